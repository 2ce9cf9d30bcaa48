"""The mapping kernel: batches of resource bytes to Arrow record batches, issues and receipts."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.receipts import MAPPED, SCHEMA
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.decoding import Refusal, decode, inspect
from fhiradapter.fhir.elements import AnyResource, Resource
from fhiradapter.fhir.source import Batch, Failure
from fhiradapter.mappers.context import Context, Neighbours
from fhiradapter.mappers.instants import instants
from fhiradapter.mappers.outcome import NAMELESS, PROVENANCE, Deferred, Mapped, Note, Unusable
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
TEXT, DAY = pa.string(), pa.date32()
MAPPERS_BY_CLASS = {kind: MAPPERS[kind.__name__] for kind in get_args(AnyResource)}
IMPLICIT_RULES = b'"implicitRules"'
READING = "reading/1"  # the rule of issues about what is no resource to map


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
            context = context.within(Neighbours(batch.targets, batch.bases))
        for failure in batch.failures:
            work.fail(failure)
        self._learn(batch, context)
        hazardous, ids = batch.hazardous, batch.ids
        with _without_collection():
            for number, line in zip(batch.numbers, batch.lines, strict=True):
                if line:
                    self._map_line(line, number, ids.get(number) if ids else None, hazardous, context, work)
            return work.finish(self._run_id, self._rules)

    def map_deferred(self, later: list[Later]) -> MappedBatch:
        """Map resources that had to wait."""
        work = _Work("", self.context.source)
        for one in later:
            work.file = one.file
            context = self.context.within(one.neighbours)
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
        if isinstance(resource, Refusal):
            if not line.isspace():
                work.refuse(resource, number)
            return
        kind = type(resource)
        if (
            hazardous
            or resource.implicit_rules is not None
            or (resource.contained is not None and IMPLICIT_RULES in line)
        ):
            refusal = inspect(
                line, nesting=self._nesting, allowed_modifiers=context.catalogue.allowed_modifiers
            )
            if refusal is not None:
                work.refuse(refusal._replace(resource_type=kind.__name__, id=resource.id), number)
                return
        own = resource.id
        if own is None:
            own = id_
            # Something has to name the rows of a resource without an id: the place that it came from.
            resource.id = own or f"{NAMELESS}{work.file}:{number}"
        mapper = MAPPERS_BY_CLASS[kind]
        try:
            mapped = mapper.map(resource, context)
        except Deferred:
            work.deferred.append(Later(work.file, number, line, id_, context.neighbours))
            return
        except Unusable as unusable:
            work.drop(kind.__name__, own, resource, number, unusable.note)
            return
        if mapper.learn is not None:
            mapper.learn(resource, context)
        work.keep(kind.__name__, own, resource, number, mapped)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for cyclic garbage: rows have no cycles, and there are a million of them."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Work:
    """The rows of one batch on their way into columns.

    `heads` has one entry per resource: type, id, name, versionId, lastUpdated, line, file. Rows point at it
    by its place, so that what a resource's rows share is turned into columns once.
    """

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.deferred: list[Later] = []
        self._source = source
        self._heads: list[tuple[Any, ...]] = []
        self._subjects: list[str | None] = []
        self._fates: dict[int, tuple[str, Reason]] = {}  # of those that were not mapped
        self._uncounted: list[int] = []
        self._rows: dict[str, tuple[list[tuple[Any, ...]], list[int], list[str]]] = {}
        self._members: list[tuple[str, str]] = []

    def keep(self, kind: str, own: str | None, resource: Resource, number: int, mapped: Mapped) -> None:
        """Take the rows and notes of a mapped resource."""
        subject, rows, notes, members = mapped
        place = len(self._heads)
        meta = resource.meta
        if meta is None:
            self._heads.append((kind, own, resource.id, None, None, number, self.file))
        else:
            self._heads.append(
                (kind, own, resource.id, meta.version_id, meta.last_updated, number, self.file)
            )
            if meta.tag is not None and any(tag.code == SUBSETTED for tag in meta.tag):
                notes.append(Note(Reason.INCOMPLETE_COPY, "meta.tag"))
        self._subjects.append(subject)
        for table, part, values in rows:
            columns = self._rows.get(table)
            if columns is None:
                columns = self._rows[table] = ([], [], [])
            columns[0].append(values)
            columns[1].append(place)
            columns[2].append(part)
        if notes:
            self._note(notes, place)
        if members:
            panel = f"{self._source}/{kind}/{resource.id}"
            self._members.extend((member, panel) for member in members)

    def drop(self, kind: str, own: str | None, resource: Resource, number: int, note: Note) -> None:
        """Take a resource that is quarantined or ignored."""
        place = len(self._heads)
        self.keep(kind, own, resource, number, Mapped(None, [], [note]))
        self._fates[place] = (MEANINGS[note.reason].disposition, note.reason)

    def refuse(self, refusal: Refusal, number: int) -> None:
        """Take bytes that are no resource to map."""
        kind = refusal.resource_type or UNREADABLE
        name = refusal.id or f"{NAMELESS}{self.file}:{number}"
        place = self._head(kind, refusal.id, name, number)
        if refusal.reason is not Reason.TYPE_NOT_READ:
            self._note([Note(refusal.reason, refusal.path, refusal.detail)], place)
        self._fates[place] = (MEANINGS[refusal.reason].disposition, refusal.reason)

    def fail(self, failure: Failure) -> None:
        """Take a file, line or entry that is no resource; a deletion is the last version of one."""
        reason, line, version = failure.reason, failure.line, failure.version
        if version is None:
            kind = STAND_INS.get(reason, UNREADABLE)
            place = self._head(kind, None, f"{NAMELESS}{self.file}:{line or 0}", line)
        else:
            place = len(self._heads)
            kind, own, number, updated = version
            self._heads.append((kind, own, own, number, updated, line, self.file))
            self._subjects.append(None)
        self._note([Note(reason)], place)
        self._fates[place] = (MEANINGS[reason].disposition, reason)
        if not failure.counted:
            self._uncounted.append(place)

    def finish(self, run_id: str, rules: dict[str, str]) -> MappedBatch:
        """Turn rows into columns."""
        shared = self._shared_columns(run_id, rules)
        tables = {
            table: _record_batch(table, rows, owners, parts, shared)
            for table, (rows, owners, parts) in self._rows.items()
        }
        receipts = self._receipts(shared)
        # Gone before the collector looks again, so that it does not walk through them.
        self._rows.clear()
        self._heads.clear()
        return MappedBatch(tables, receipts, self._members, self.deferred)

    def _shared_columns(self, run_id: str, rules: dict[str, str]) -> list[pa.Array]:
        """Return the columns of provenance, one entry per resource."""
        count = len(self._heads)
        kinds, own, names, versions, updated, lines, files = (
            zip(*self._heads, strict=True) if count else [()] * 7
        )
        kind = _array(kinds, TEXT)
        source = pa.scalar(self._source, TEXT)
        ids = _array(own, TEXT)
        name = _array(names, TEXT) if None in own else ids
        return [
            pc.binary_join_element_wise(source, kind, name, "/"),
            _array(self._subjects, TEXT),
            pa.repeat(source, count),
            _array(files, TEXT),
            pa.array(lines, pa.int32()),
            kind,
            ids,
            _array(versions, TEXT),
            instants(updated),
            pc.fill_null(_array([*map(rules.get, kinds)], TEXT), READING),
            pa.repeat(pa.scalar(run_id, TEXT), count),
        ]

    def _receipts(self, shared: list[pa.Array]) -> pa.RecordBatch:
        """Return one line per resource that was received; what was deferred is received later."""
        _, _, source, files, lines, kinds, own, versions, updated, _, _ = shared
        count = len(self._heads)
        fates = [MAPPED] * count
        reasons: list[str | None] = [None] * count
        for place, (disposition, reason) in self._fates.items():
            fates[place], reasons[place] = disposition, reason
        columns = [kinds, own, versions, updated, source, files, lines]
        columns += [_array(fates, TEXT), _array(reasons, TEXT)]
        receipts = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
        if self._uncounted:
            counted = set(range(count)) - set(self._uncounted)
            receipts = receipts.take(pa.array(sorted(counted), pa.int32()))
        return receipts

    def _head(self, kind: str, own: str | None, name: str, number: int | None) -> int:
        self._heads.append((kind, own, name, None, None, number, self.file))
        self._subjects.append(None)
        return len(self._heads) - 1

    def _note(self, notes: list[Note], place: int) -> None:
        for number, note in enumerate(notes, 1):
            meaning = MEANINGS[note.reason]
            detail = f"{meaning.advice} ({note.detail})" if note.detail else meaning.advice
            values = (note.reason, note.path, detail, meaning.severity, meaning.disposition)
            rows, owners, parts = self._rows.setdefault("issues", ([], [], []))
            rows.append(values)
            owners.append(place)
            parts.append(f"#issue-{number}")


def _record_batch(
    table: str,
    rows: list[tuple[Any, ...]],
    owners: list[int],
    parts: list[str],
    shared: list[pa.Array],
) -> pa.RecordBatch:
    schema = SCHEMAS[table]
    provenance = shared
    # Where each resource has one row, as with laboratory results, the shared columns are the rows' own.
    if len(owners) != len(shared[0]) or owners != list(range(len(owners))):
        indices = pa.array(owners, pa.int32())
        provenance = [column.take(indices) for column in shared]
    if any(parts):
        provenance = [
            pc.binary_join_element_wise(provenance[0], pa.array(parts, pa.string()), ""),
            *provenance[1:],
        ]
    columns = [
        _array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), list(schema)[PROVENANCE:], strict=True)
    ]
    return pa.RecordBatch.from_arrays([*provenance, *columns], schema=schema)


def _array(column: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return a column as Arrow; one that says the same all the way is not built value by value."""
    if column:
        first = column[0]
        if first == column[-1] == column[len(column) // 2] and column.count(first) == len(column):
            stored = pa.int32() if kind == DAY else kind
            return pa.repeat(pa.scalar(first, stored), len(column)).view(kind)
    return pa.array(column, pa.int32()).view(kind) if kind == DAY else pa.array(column, kind)
