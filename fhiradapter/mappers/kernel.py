"""The mapping kernel: batches of resource bytes to Arrow record batches, issues and receipts."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from fhiradapter.cohort.receipts import MAPPED, SCHEMA
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.decoding import Refusal, decode, inspect
from fhiradapter.fhir.elements import Meta, Resource
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.context import ALONE, Context, Neighbours
from fhiradapter.mappers.outcome import COLUMNS, PROVENANCE, Deferred, Mapped, Note, TableRow, Unusable
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.reasons import MEANINGS, Reason

UNREADABLE = "(unreadable)"  # the account of what does not even show its type
# What stands in a Bundle in place of a resource has an account of its own.
STAND_INS = {
    Reason.OUTCOME: "OperationOutcome",
    Reason.DELETED: "(Bundle entry)",
    Reason.NO_RESOURCE: "(Bundle entry)",
}
SUBSETTED = "SUBSETTED"


class Later(NamedTuple):
    """A resource that refers to one that was not read yet."""

    file: str
    line: int
    content: bytes
    id: str | None
    neighbours: Neighbours


@dataclass(frozen=True)
class MappedBatch:
    """What the kernel makes of a batch."""

    tables: dict[str, pa.RecordBatch]
    receipts: pa.RecordBatch
    members: list[tuple[str, str]]
    """(member, panel): 'Observation/7' and the row_id of the panel that it belongs to."""
    deferred: list[Later]


class Head(NamedTuple):
    """The provenance of one resource; the first columns of a receipt."""

    kind: str
    id: str | None
    version: str | None
    updated: int | None
    line: int | None
    name: str
    """The row_id that its rows start with."""


class Kernel:
    """Maps batches of one source; keeps nothing between batches but look-ups and memories of its context."""

    def __init__(self, context: Context, *, run_id: str, nesting: int = 64) -> None:
        self.context = context
        self._run_id = run_id
        self._nesting = nesting
        self._rules = {kind: mapper.rule for kind, mapper in MAPPERS.items()}

    def finish(self) -> None:
        """Say that everything was read: from now on a reference that is unknown stays so."""
        self.context = replace(self.context, final=True)

    def map_batch(self, batch: Batch) -> MappedBatch:
        """Map the resources of a batch; each is mapped, quarantined, ignored or deferred, and never lost."""
        work = _Work(batch.file, self.context.source)
        context = self.context
        if batch.targets or batch.bases:
            context = replace(context, neighbours=Neighbours(batch.targets, batch.bases))
        for failure in batch.failures:
            work.fail(failure.reason, failure.line, counted=failure.counted)
        self._learn(batch, context)
        for number, line in zip(batch.numbers, batch.lines, strict=True):
            if line and not line.isspace():
                self._map_line(line, number, batch.ids.get(number), batch.hazardous, context, work)
        return work.finish(self._run_id, self._rules)

    def map_deferred(self, later: list[Later]) -> MappedBatch:
        """Map resources that had to wait."""
        work = _Work("", self.context.source)
        for one in later:
            work.file = one.file
            context = replace(self.context, neighbours=one.neighbours)
            self._map_line(one.content, one.line, one.id, True, context, work)
        return work.finish(self._run_id, self._rules)

    def _learn(self, batch: Batch, context: Context) -> None:
        """Read a Bundle's look-ups before the entries that refer to them."""
        if not batch.targets:
            return
        for number, line in zip(batch.numbers, batch.lines, strict=True):
            resource = decode(line) if line else None
            if isinstance(resource, Resource):
                mapper = MAPPERS[type(resource).__name__]
                if mapper.learn is not None:
                    resource.id = resource.id or batch.ids.get(number)
                    mapper.learn(resource, context)

    def _map_line(
        self, line: bytes, number: int, id_: str | None, hazardous: bool, context: Context, work: "_Work"
    ) -> None:
        resource = decode(line)
        if hazardous:
            refusal = inspect(
                line, nesting=self._nesting, allowed_modifiers=context.catalogue.allowed_modifiers
            )
            if refusal is not None and not isinstance(resource, Refusal):
                resource = refusal._replace(resource_type=type(resource).__name__, id=resource.id)
        if isinstance(resource, Refusal):
            work.refuse(resource, number)
            return
        if resource.id is None:
            resource.id = id_
        head = work.head(resource, number, context)
        mapper = MAPPERS[head.kind]
        try:
            mapped = mapper.map(resource, context)
        except Deferred:
            neighbours = context.neighbours if context.neighbours is not ALONE else ALONE
            work.deferred.append(Later(work.file, number, line, id_, neighbours))
            return
        except Unusable as unusable:
            work.drop(head, unusable.note)
            return
        if mapper.learn is not None:
            mapper.learn(resource, context)
        work.keep(head, mapped, resource.meta)


class _Work:
    """The rows of one batch on their way into columns."""

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self._source = source
        self.deferred: list[Later] = []
        self._heads: list[tuple[Any, ...]] = []
        self._fates: list[tuple[str, Reason | None]] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._owners: dict[str, list[tuple[Any, ...]]] = {}
        self._members: list[tuple[str, str]] = []
        self._issues: Counter[str] = Counter()

    def head(self, resource: Resource, number: int, context: Context) -> Head:
        """Return the provenance of a resource; one without an id is named after the place it came from."""
        kind = type(resource).__name__
        meta = resource.meta
        own = resource.id
        if own is None:
            resource.id = f"~{self.file}:{number}"
        name = f"{self._source}/{kind}/{resource.id}"
        if meta is None:
            return Head(kind, own, None, None, number, name)
        updated = context.dates.read(meta.last_updated)[0][0] if meta.last_updated else None
        return Head(kind, own, meta.version_id, updated, number, name)

    def keep(self, head: Head, mapped: Mapped, meta: Meta | None) -> None:
        """Take the rows and notes of a mapped resource."""
        subject = mapped.subject
        for row in mapped.rows:
            self._add(row, head, subject)
        for note in mapped.notes:
            self._note(note, head, subject)
        if meta is not None and meta.tag and any(tag.code == SUBSETTED for tag in meta.tag):
            self._note(Note(Reason.INCOMPLETE_COPY, "meta.tag"), head, subject)
        self._members.extend((member, head.name) for member in mapped.members)
        self._receive(head, MAPPED, None)

    def drop(self, head: Head, note: Note) -> None:
        """Take a resource that is quarantined or ignored."""
        self._note(note, head, None)
        self._receive(head, MEANINGS[note.reason].disposition, note.reason)

    def refuse(self, refusal: Refusal, number: int) -> None:
        """Take bytes that are no resource to map."""
        kind = refusal.resource_type or UNREADABLE
        name = f"{self._source}/{kind}/{refusal.id or f'~{self.file}:{number}'}"
        head = Head(kind, refusal.id, None, None, number, name)
        if refusal.reason is not Reason.TYPE_NOT_READ:
            self._note(Note(refusal.reason, refusal.path, refusal.detail), head, None)
        self._receive(head, MEANINGS[refusal.reason].disposition, refusal.reason)

    def fail(self, reason: Reason, line: int | None, *, counted: bool) -> None:
        """Take a file, line or entry that is no resource."""
        kind = STAND_INS.get(reason, UNREADABLE)
        head = Head(kind, None, None, None, line, f"{self._source}/{kind}/~{self.file}:{line or 0}")
        self._note(Note(reason), head, None)
        if counted:
            self._receive(head, MEANINGS[reason].disposition, reason)

    def finish(self, run_id: str, rules: dict[str, str]) -> MappedBatch:
        """Turn rows into columns."""
        tables = {}
        for table, rows in self._rows.items():
            schema = SCHEMAS[table]
            ids, subjects, kinds, own, versions, updated, lines, files = zip(
                *self._owners[table], strict=True
            )
            count = len(rows)
            provenance = [
                ids,
                subjects,
                pa.repeat(pa.scalar(self._source, pa.string()), count),
                files,
                lines,
                kinds,
                own,
                versions,
                updated,
                [rules.get(kind, "reading/1") for kind in kinds],
                pa.repeat(pa.scalar(run_id, pa.string()), count),
            ]
            columns = [*provenance, *zip(*rows, strict=True)]
            arrays = [_array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            tables[table] = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return MappedBatch(tables, self._receipts(), self._members, self.deferred)

    def _receipts(self) -> pa.RecordBatch:
        heads = list(zip(*self._heads, strict=True)) or [()] * 6
        fates = list(zip(*self._fates, strict=True)) or [()] * 2
        kinds, own, versions, updated, lines, files = heads
        sources = [self._source] * len(kinds)
        columns = [kinds, own, versions, updated, sources, files, lines, *fates]
        arrays = [_array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)

    def _receive(self, head: Head, disposition: str, reason: Reason | None) -> None:
        self._heads.append((head.kind, head.id, head.version, head.updated, head.line, self.file))
        self._fates.append((disposition, reason))

    def _add(self, row: TableRow, head: Head, subject: str | None) -> None:
        name = head.name + row.part
        owner = (name, subject, head.kind, head.id, head.version, head.updated, head.line, self.file)
        try:
            self._rows[row.table].append(row.values)
            self._owners[row.table].append(owner)
        except KeyError:
            self._rows[row.table] = [row.values]
            self._owners[row.table] = [owner]

    def _note(self, note: Note, head: Head, subject: str | None) -> None:
        self._issues[head.name] += 1
        meaning = MEANINGS[note.reason]
        detail = f"{meaning.advice} ({note.detail})" if note.detail else meaning.advice
        values = (note.reason, note.path, detail, meaning.severity, meaning.disposition)
        self._add(TableRow("issues", f"#issue-{self._issues[head.name]}", values), head, subject)


def _array(column: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if pa.types.is_date32(kind):
        return pa.array(column, pa.int32()).view(kind)
    return pa.array(column, kind, from_pandas=False)


assert len(COLUMNS["issues"]) + PROVENANCE == len(SCHEMAS["issues"].names)
