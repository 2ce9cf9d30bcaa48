"""Settlement: what can be said of rows only when every resource was read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.receipts import Place
from fhiradapter.reasons import Reason

STAND_IN = "identifier-"  # begins the id of what is known by an identifier alone
# Ids of Encounters that were contained, sent as a foreign URL, or named by an identifier alone: of these it
# is known already, or cannot be known, whether they were received.
NOT_TO_FIND = rf"^(https?://|urn:|{STAND_IN})|#"


@dataclass(frozen=True)
class Translation:
    """A new value for each row that has a certain key."""

    keys: pa.Array
    values: pa.Array

    @classmethod
    def of(cls, meanings: Mapping[str, str] | Mapping[str, float]) -> "Translation":
        """Make a translation from a dictionary."""
        return cls(pa.array(list(meanings), pa.string()), pa.array(list(meanings.values())))

    def __len__(self) -> int:
        return len(self.keys)

    def apply(self, batch: pa.RecordBatch, *, key: str, changed: str) -> pa.RecordBatch:
        """Set a column where the key column has a translation."""
        index = pc.index_in(batch.column(key), self.keys)
        if index.null_count == len(index):
            return batch
        place = batch.schema.get_field_index(changed)
        found = pc.coalesce(self.values.take(index), batch.column(changed))
        return batch.set_column(place, batch.schema.field(place), found)


NOTHING = Translation(pa.nulls(0, pa.string()), pa.nulls(0, pa.string()))


@dataclass(frozen=True)
class Settlement:
    """Changes to rows that are already mapped.

    `dropped` are the places of resources that another receipt replaces; `renamed` those of resources that
    share id and version with another one, so that their rows get a number; `survivors` lead from a merged
    subject to the one that stands for it; `panels` from the row of a member to the row of its panel;
    `doses` from the row of an exposure to its dose in cells.
    """

    dropped: Mapping[Place, Reason] = field(default_factory=dict)
    renamed: Mapping[Place, int] = field(default_factory=dict)
    survivors: Translation = NOTHING
    panels: Translation = NOTHING
    doses: Translation = NOTHING

    def touches(self, table: str) -> bool:
        """Return True when rows of a table may change."""
        changes = bool(self.dropped or self.renamed or self.survivors)
        return (
            changes
            or (table == "measurements" and bool(self.panels))
            or (table == "exposures" and bool(self.doses))
        )

    def apply(self, table: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch as it is when everything is known."""
        if self.dropped:
            batch = self._without_dropped(batch)
        if self.renamed:
            batch = self._with_numbers(batch)
        if self.survivors:
            changed = "replaced_by" if table == "subjects" else "subject_id"
            batch = self.survivors.apply(batch, key="subject_id", changed=changed)
        if table == "measurements" and self.panels:
            batch = self.panels.apply(batch, key="row_id", changed="parent_id")
        if table == "exposures" and self.doses:
            batch = self.doses.apply(batch, key="row_id", changed="dose_cells")
        return batch

    def _without_dropped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(pa.array([place not in self.dropped for place in _places(batch)], pa.bool_()))

    def _with_numbers(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        numbers = [self.renamed.get(place) for place in _places(batch)]
        if not any(numbers):
            return batch
        names = [
            f"{name}~{number}" if number else name
            for name, number in zip(batch.column("row_id").to_pylist(), numbers, strict=True)
        ]
        return batch.set_column(0, batch.schema.field(0), pa.array(names, pa.string()))


def _places(batch: pa.RecordBatch) -> Iterator[Place]:
    columns = (batch.column(name).to_pylist() for name in ("source", "source_file", "source_line"))
    return (Place(source, file, line or 0) for source, file, line in zip(*columns, strict=True))
