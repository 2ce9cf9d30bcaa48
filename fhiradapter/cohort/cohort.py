"""The cohort: six tables and the account of what was received."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount, add_accounts
from fhiradapter.cohort.schema import SCHEMAS

PANDAS_TYPES = {pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}


@dataclass(frozen=True)
class Cohort:
    """Tables by name, one row per fact; immutable.

    >>> cohort = Cohort.from_rows({"subjects": [{"row_id": "a", "subject_id": "s1", "sex": "female"}]})
    >>> cohort.subjects["sex"].tolist()
    ['female']
    >>> len(cohort.exposures)
    0
    """

    tables: Mapping[str, pa.Table]
    accounting: Mapping[str, TypeAccount] = field(default_factory=dict)
    _frames: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, Iterable[Mapping[str, Any]]],
        accounting: Mapping[str, TypeAccount] | None = None,
    ) -> "Cohort":
        """Build a cohort from dictionaries; a column that is left out is null, a required text is ''."""
        tables = {}
        for table, schema in SCHEMAS.items():
            given = [dict(row) for row in rows.get(table, ())]
            columns = {
                name: [row.get(name, _default(schema.field(name))) for row in given] for name in schema.names
            }
            tables[table] = pa.table(
                [pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema
            )
        return cls(tables, accounting or {})

    def arrow(self, table: str) -> pa.Table:
        """Return one table as Arrow; raises KeyError for a name that is not a table."""
        return self.tables[table]

    def frame(self, table: str) -> pd.DataFrame:
        """Return one table as pandas: instants in UTC, days as datetime64, missing numbers as NaN."""
        if table not in self._frames:
            self._frames[table] = self.tables[table].to_pandas(
                date_as_object=False, types_mapper=PANDAS_TYPES.get
            )
        return self._frames[table].copy(deep=False)

    @property
    def subjects(self) -> pd.DataFrame:
        """One row per person."""
        return self.frame("subjects")

    @property
    def exposures(self) -> pd.DataFrame:
        """One row per administration of a medication, given or not."""
        return self.frame("exposures")

    @property
    def measurements(self) -> pd.DataFrame:
        """One row per measured value."""
        return self.frame("measurements")

    @property
    def events(self) -> pd.DataFrame:
        """One row per adverse event, condition, death or enrolment."""
        return self.frame("events")

    @property
    def encounters(self) -> pd.DataFrame:
        """One row per visit or stay."""
        return self.frame("encounters")

    @property
    def issues(self) -> pd.DataFrame:
        """One row per thing about a resource or value that a person should know."""
        return self.frame("issues")

    def merge(self, *others: "Cohort") -> "Cohort":
        """Return the cohort of all the rows, with the accounts added up."""
        tables = {
            table: pa.concat_tables([self.tables[table], *(other.tables[table] for other in others)])
            for table in SCHEMAS
        }
        return Cohort(tables, add_accounts(self.accounting, *(other.accounting for other in others)))

    def partitions(self, count: int) -> list["Cohort"]:
        """Split into at most `count` cohorts of whole subjects; the rows without a subject go with the first.

        The accounts stay with the first part, so that merging the parts gives them back.
        """
        if count < 1:
            raise ValueError("count must be at least 1")
        seen = pa.concat_arrays([table.column("subject_id").unique() for table in self.tables.values()])
        subjects = pc.drop_null(seen).unique().sort()
        shares = np.array_split(np.arange(len(subjects)), max(1, min(count, len(subjects))))
        parts = []
        for number, share in enumerate(shares):
            wanted = subjects.take(pa.array(share))
            tables = {}
            for name, table in self.tables.items():
                mask = pc.is_in(table.column("subject_id"), value_set=wanted)
                if number == 0:
                    mask = pc.or_(mask, pc.is_null(table.column("subject_id")))
                tables[name] = table.filter(mask)
            parts.append(Cohort(tables, dict(self.accounting) if number == 0 else {}))
        return parts


def _default(column: pa.Field) -> Any:
    """Return what stands in a column that a row leaves out."""
    if column.nullable:
        return None
    return False if pa.types.is_boolean(column.type) else ""
