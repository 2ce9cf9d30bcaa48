"""Collected rows: what a batch's resources gave, on its way into columns."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fhiradapter.cohort.receipts import MAPPED, SCHEMA
from fhiradapter.fhir.decoding import Refusal
from fhiradapter.fhir.elements import Resource
from fhiradapter.fhir.source import Failure
from fhiradapter.mappers.columns import TEXT, Heads, column, constant, provenance, record_batch
from fhiradapter.mappers.context import Neighbours
from fhiradapter.mappers.outcome import NAMELESS, Mapped, Note
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

    def with_regular(self, regular: "list[MappedBatch]") -> "MappedBatch":
        """Return this batch with the regular resources of the same lines, all in the order of the lines."""
        if not regular:
            return self
        tables: dict[str, list[pa.RecordBatch]] = {}
        for one in (*regular, self):
            for table, batch in one.tables.items():
                tables.setdefault(table, []).append(batch)
        receipts = in_order_of_lines([*(one.receipts for one in regular), self.receipts])
        return MappedBatch(
            {
                table: in_order_of_lines(batches) if len(batches) > 1 else batches[0]
                for table, batches in tables.items()
            },
            receipts,
            self.members,
            self.deferred,
        )


NOTHING = MappedBatch(
    {}, pa.record_batch([pa.nulls(0, field.type) for field in SCHEMA], schema=SCHEMA), [], []
)


class Collected:
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

    def finish(self, run_id: str) -> MappedBatch:
        """Turn rows into columns."""
        kinds, ids, names, versions, updated, lines, files = (
            zip(*self._heads, strict=True) if self._heads else [()] * 7
        )
        heads = Heads(kinds, ids, names, versions, updated, lines, files, self._subjects)
        shared = provenance(heads, self._source, run_id)
        tables = {
            table: record_batch(table, list(zip(*rows, strict=True)), shared, owners, parts)
            for table, (rows, owners, parts) in self._rows.items()
        }
        receipts = self._receipts(shared)
        # Gone before the collector looks again, so that it does not walk through them.
        self._rows.clear()
        self._heads.clear()
        return MappedBatch(tables, receipts, self._members, self.deferred)

    def _receipts(self, shared: list[pa.Array]) -> pa.RecordBatch:
        """Return one line per resource that was received; what was deferred is received later."""
        count = len(self._heads)
        fates = [MAPPED] * count
        reasons: list[str | None] = [None] * count
        for place, (disposition, reason) in self._fates.items():
            fates[place], reasons[place] = disposition, reason
        receipts = receipts_of(shared, column(fates, TEXT), column(reasons, TEXT))
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


def in_order_of_lines(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of batches of the same lines; what is regular must not change the order of rows."""
    together = pa.concat_batches(batches)
    lines = together.column("source_line").to_numpy(zero_copy_only=False)
    return together.take(pa.array(np.argsort(lines, kind="stable")))


def mapped_receipts(shared: list[pa.Array]) -> pa.RecordBatch:
    """Return the receipts of resources that were all mapped."""
    count = len(shared[0])
    return receipts_of(shared, constant(MAPPED, count), constant(None, count))


def receipts_of(shared: list[pa.Array], fates: pa.Array, reasons: pa.Array) -> pa.RecordBatch:
    """Return the receipts of resources from their provenance and what became of them."""
    _, _, source, files, lines, kinds, own, versions, updated, _, _ = shared
    columns = [kinds, own, versions, updated, source, files, lines, fates, reasons]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
