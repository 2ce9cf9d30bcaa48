"""Parts: what several batches gave together, and its way from one process to another."""

import pickle
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.collected import NOTHING, Later, MappedBatch
from fhiradapter.mappers.lookups import Lookups

LINE = "source_line"


@dataclass(frozen=True)
class Part:
    """What some batches that follow one another gave, and what they showed of the source."""

    mapped: MappedBatch
    bytes_read: int
    lines_read: int
    placed: bool
    """True when something has its line for a name, so that the line cannot be changed afterwards."""
    home: frozenset[str]
    """The bases that were taken for the source's own when it was done."""
    lookups: Lookups
    """What these batches alone told of the resources that others refer to."""

    def moved(self, lines: int) -> "Part":
        """Return it for a text that begins so many lines later."""
        if not lines:
            return self
        mapped = self.mapped
        changed = replace(
            mapped,
            tables={table: moved_batch(batch, lines) for table, batch in mapped.tables.items()},
            receipts=moved_batch(mapped.receipts, lines),
            deferred=[one._replace(line=one.line + lines) for one in mapped.deferred],
        )
        return replace(self, mapped=changed)

    def packed(self) -> bytes:
        """Return it as bytes."""
        mapped = self.mapped
        tables = {table: packed_batch(batch) for table, batch in mapped.tables.items()}
        rest = replace(self, mapped=MappedBatch({}, None, mapped.members, mapped.deferred))
        return pickle.dumps((rest, tables, packed_batch(mapped.receipts)), pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def unpacked(content: bytes | bytearray) -> "Part":
        """Return what was packed."""
        part, tables, receipts = pickle.loads(content)  # noqa: S301 - from a process that this one started
        mapped = replace(
            part.mapped,
            tables={table: unpacked_batch(packed, SCHEMAS[table]) for table, packed in tables.items()},
            receipts=unpacked_batch(receipts, RECEIPTS),
        )
        found: Part = replace(part, mapped=mapped)
        return found


@dataclass
class Gathered:
    """Batches on their way into a part."""

    name: str
    """The file that they are read from; the entries of a Bundle in a line have another one."""
    bytes_read: int = 0
    lines_read: int = 0
    _placed: bool = False
    _mapped: list[MappedBatch] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return True when there is anything to return."""
        return bool(self._mapped)

    def add(self, batch: Batch, mapped: MappedBatch) -> None:
        """Add what a batch gave."""
        self.bytes_read += batch.bytes_read
        self.lines_read += batch.lines_read
        self._placed |= batch.file != self.name or _is_placed(mapped)
        if mapped is not NOTHING or not self._mapped:
            self._mapped.append(mapped)

    def part(self, home: frozenset[str], lookups: Lookups) -> Part:
        """Return everything together."""
        return Part(_together(self._mapped), self.bytes_read, self.lines_read, self._placed, home, lookups)


def _together(mapped: list[MappedBatch]) -> MappedBatch:
    if len(mapped) == 1:
        return mapped[0]
    tables: dict[str, list[pa.RecordBatch]] = {}
    members: list[tuple[str, str]] = []
    deferred: list[Later] = []
    for one in mapped:
        for table, batch in one.tables.items():
            tables.setdefault(table, []).append(batch)
        members += one.members
        deferred += one.deferred
    return MappedBatch(
        {table: pa.concat_batches(batches) for table, batches in tables.items()},
        pa.concat_batches([one.receipts for one in mapped]),
        members,
        deferred,
    )


def _is_placed(mapped: MappedBatch) -> bool:
    """Return True when a resource has no id, and is named by its file and line."""
    batches = (mapped.receipts, *mapped.tables.values())
    return any(batch.column("resource_id").null_count for batch in batches)


def moved_batch(batch: pa.RecordBatch, lines: int) -> pa.RecordBatch:
    """Return a batch for a text that begins so many lines later."""
    index = batch.schema.get_field_index(LINE)
    changed = pc.add(batch.column(index), pa.scalar(lines, pa.int32()))
    return batch.set_column(index, batch.schema.field(index), changed)


def packed_batch(batch: pa.RecordBatch) -> tuple[int, dict[str, Any], bytes]:
    """Return a batch as bytes, and apart from them the columns that say the same all the way."""
    constants: dict[str, Any] = {}
    for field_, column in zip(batch.schema, batch.columns, strict=True):
        if is_constant(column):
            constants[field_.name] = column[0].as_py() if field_.type == pa.string() else None
    rest = batch.select([name for name in batch.schema.names if name not in constants])
    return batch.num_rows, constants, rest.serialize().to_pybytes()


def is_constant(column: pa.Array) -> bool:
    """Return True for a column without values, and for a text that is the same in all rows."""
    count = len(column)
    if not count:
        return False
    if column.null_count:
        return bool(column.null_count == count)
    if column.type != pa.string():
        return False
    first = column[0]
    if column[count - 1] != first or column[count // 2] != first:
        return False
    return pc.all(pc.equal(column, first)).as_py() is True


def unpacked_batch(packed: tuple[int, dict[str, Any], bytes], schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch that was packed."""
    rows, constants, content = packed
    sent = pa.schema([field_ for field_ in schema if field_.name not in constants])
    rest = pa.ipc.read_record_batch(pa.py_buffer(content), sent)
    columns = []
    for field_ in schema:
        if field_.name not in constants:
            columns.append(rest.column(field_.name))
        elif constants[field_.name] is None:
            columns.append(pa.nulls(rows, field_.type))
        else:
            columns.append(pa.repeat(pa.scalar(constants[field_.name], field_.type), rows))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
