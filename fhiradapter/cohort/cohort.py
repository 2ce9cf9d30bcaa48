"""The cohort: six tables and the account of what was received."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount, add_accounts
from fhiradapter.cohort.schema import SCHEMAS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Codes:
    """A column of text as numbers: `codes` (n,) are places among the sorted `words`, -1 where it is null."""

    codes: npt.NDArray[np.int32]
    words: pa.Array

    @classmethod
    def of(cls, column: pa.ChunkedArray, words: pa.Array | None = None) -> Codes:
        """Return a column as numbers; `words` are those of several columns that shall have the same ones."""
        if words is None:
            words = _sorted_words([column])
        codes = pc.fill_null(pc.index_in(column, value_set=words), -1)
        return cls(codes.to_numpy().astype(np.int32, copy=False), words)


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
    _codes: dict[tuple[str, str], Codes] = field(default_factory=dict, repr=False, compare=False)
    _types: dict[str, pd.CategoricalDtype] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, Iterable[Mapping[str, Any]]],
        accounting: Mapping[str, TypeAccount] | None = None,
    ) -> Cohort:
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
            self._frames[table] = _frame(self.tables[table])
        return self._frames[table].copy(deep=False)

    def select(
        self,
        table: str,
        columns: Collection[str],
        *,
        concepts: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
        without_concepts: Collection[str] = (),
    ) -> pd.DataFrame:
        """Return some columns of the rows of some concepts or kinds, None for all, in the table's order.

        The columns are as in `frame`, but `subject_id` is a categorical, whose categories are the sorted
        ids of all subjects in all tables: comparing numbers is many times quicker than comparing text.

        >>> rows = [{"subject_id": "b", "concept": "alt"}, {"subject_id": "a", "concept": "ast"}]
        >>> cohort = Cohort.from_rows({"measurements": rows})
        >>> found = cohort.select("measurements", ["subject_id"], concepts=["ast"])["subject_id"]
        >>> found.tolist(), found.cat.categories.tolist()
        (['a'], ['a', 'b'])
        """
        import pandas as pd

        arrow = self.tables[table].select([name for name in columns if name != "subject_id"])
        chosen: npt.NDArray[np.bool_] | None = None
        for column, words in (("concept", concepts), ("kind", kinds)):
            if words is not None:
                known = self.codes(table, column)
                wanted = np.append(np.isin(known.words.to_pylist(), list(words)), False).astype(bool)
                here = wanted[known.codes]
                chosen = here if chosen is None else chosen & here
        if without_concepts:
            known = self.codes(table, "concept")
            other = ~np.isin(np.append(known.words.to_pylist(), ""), list(without_concepts))
            chosen = other[known.codes] if chosen is None else chosen & other[known.codes]
        if chosen is not None:
            arrow = _filtered(arrow, pa.array(chosen))
        found = _frame(arrow)
        if "subject_id" in columns:
            codes = self.codes(table, "subject_id").codes
            subject_id = pd.Categorical.from_codes(
                codes if chosen is None else codes[chosen], dtype=self._subjects_dtype(), validate=False
            )
            found.insert(0, "subject_id", pd.Series(subject_id))
        return found[list(columns)]

    def codes(self, table: str, column: str) -> Codes:
        """Return a column of text as numbers; those of `subject_id` are the same in all tables."""
        if (table, column) not in self._codes:
            words = None
            if column == "subject_id":
                known = [codes.words for (_, name), codes in self._codes.items() if name == column]
                every = [one.column(column) for one in self.tables.values()]
                words = known[0] if known else _sorted_words(every)
            self._codes[table, column] = Codes.of(self.tables[table].column(column), words)
        return self._codes[table, column]

    def _subjects_dtype(self) -> pd.CategoricalDtype:
        """Return the type of subject ids, made once: pandas compares types by their categories."""
        if "dtype" not in self._types:
            import pandas as pd

            words = self.codes("subjects", "subject_id").words
            self._types["dtype"] = pd.CategoricalDtype(pd.Index(words.to_pandas(), dtype="str"))
        return self._types["dtype"]

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

    def merge(self, *others: Cohort) -> Cohort:
        """Return the cohort of all the rows, with the accounts added up."""
        tables = {
            table: pa.concat_tables([self.tables[table], *(other.tables[table] for other in others)])
            for table in SCHEMAS
        }
        return Cohort(tables, add_accounts(self.accounting, *(other.accounting for other in others)))

    def partitions(self, count: int) -> list[Cohort]:
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


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as pandas, which is loaded when it is first asked for: mapping does without it."""
    import pandas as pd

    kinds = {pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    found: pd.DataFrame = table.to_pandas(date_as_object=False, types_mapper=kinds.get)
    return found


def _filtered(table: pa.Table, mask: pa.Array) -> pa.Table:
    """Return some rows of a table; a column that holds nothing is made anew, which is quicker."""
    if not table.num_columns:
        return table.filter(mask)
    count = pc.sum(mask).as_py() or 0
    columns = [
        pa.nulls(count, column.type) if column.null_count == len(column) else column.filter(mask)
        for column in table.columns
    ]
    return pa.table(columns, schema=table.schema)


def _sorted_words(columns: Iterable[pa.ChunkedArray]) -> pa.Array:
    """Return the different words of some columns, in the order of their characters."""
    words = pc.drop_null(pa.concat_arrays([column.unique() for column in columns])).unique()
    return words.take(pc.array_sort_indices(words))


def _default(column: pa.Field) -> Any:
    """Return what stands in a column that a row leaves out."""
    if column.nullable:
        return None
    return False if pa.types.is_boolean(column.type) else ""
