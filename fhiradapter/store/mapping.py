"""The mapping port: what a store asks of the code that turns resources into rows, and what it offers it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from fhiradapter.fhir.source import Batch
from fhiradapter.store.database import Database

# Types that others refer to for their meaning, in the order in which they are mapped.
LOOKED_UP = ("Patient", "Medication", "Specimen")


class Waited(Protocol):
    """A resource that could not be mapped without another one."""

    @property
    def file(self) -> str:
        """Its raw file."""
        ...

    @property
    def line(self) -> int:
        """Its line there."""
        ...

    @property
    def content(self) -> bytes:
        """Its bytes."""
        ...


class Mapped(Protocol):
    """Rows by table, one receipt per resource, members of panels, and the resources that had to wait."""

    @property
    def tables(self) -> Mapping[str, pa.RecordBatch]:
        """Rows by table."""
        ...

    @property
    def receipts(self) -> pa.RecordBatch:
        """What became of each resource."""
        ...

    @property
    def members(self) -> Sequence[tuple[str, str]]:
        """(member, panel): 'Observation/7' and the row_id of its panel."""
        ...

    @property
    def deferred(self) -> Sequence[Waited]:
        """Resources that refer to others; they come mapped in a later one."""
        ...


class Mapper(Protocol):
    """Maps resources of one source; what it has to look up it finds in the batches or in the store."""

    def map(
        self, source: str, batches: Iterable[Batch], stored: "StoredTexts", *, run_id: str, now: int
    ) -> Iterator[Mapped]:
        """Map batches; `now` is the moment of the run, microseconds since 1970."""
        ...


class StoredTexts:
    """The current Patients, Medications and Specimens of one source in a store, as they were sent."""

    def __init__(self, database: Database, source: str) -> None:
        self._database, self._source = database, source

    def texts(self, kind: str, ids: Iterable[str]) -> dict[str, bytes]:
        """Return the resources of a type with these ids that are in the store."""
        wanted = pa.table({"id": pa.array(list(ids), pa.string())})
        with self._database.given(wanted=wanted):
            rows = self._database.rows(
                "SELECT resource_id, text FROM base.lookups SEMI JOIN wanted ON resource_id = id"
                " WHERE source = ? AND resource_type = ?",
                [self._source, kind],
            )
        return dict(rows)

    def patients(self, key: str) -> list[bytes]:
        """Return the Patients that may carry an identifier, given as 'system|value'."""
        rows = self._database.rows(
            "SELECT text FROM base.lookups l JOIN base.subjects s USING (source, resource_type, resource_id)"
            " WHERE l.source = ? AND contains(s.identifiers, ?) ORDER BY resource_id",
            [self._source, key],
        )
        return [text for (text,) in rows]
