"""A store in memory: the rules of versions and deletions and nothing else, for tests of what is fetched."""

import re
from collections.abc import Collection, Mapping, Sequence

from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.units import Failure, Fetched, Tombstone
from fhiradapter.sync.known import Held, Mark, Replacement
from fhiradapter.sync.subjects import patient_of, survivor_of

MEDICATION = re.compile(rb'"(Medication|Specimen)/([^"]+)"')


class MemoryStore:
    """Implements `sync.known.Known`; a commit is `take`."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, tuple[Held, Entry]]] = {}
        self.times: dict[tuple[str, str], int] = {}
        self.of: dict[tuple[str, str], str | None] = {}
        self.by_patient: dict[tuple[str, str], set[str]] = {}
        self.marked: dict[tuple[str, str], Mark] = {}
        self.survivors: dict[str, str] = {}
        self.references: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self.failures: list[tuple[str, Failure]] = []
        self.warnings: list[str] = []
        self.changes = 0
        self.accepted: set[tuple[str, str, str | None, bytes]] = set()
        self.duplicates = 0  # versions that were current and were written once more
        self.taken = 0
        self.run = 0
        self.buried: dict[tuple[str, str], tuple[int, int]] = {}  # the run that told of a deletion, and when

    def begin_run(self) -> None:
        """Begin a run: what is shown again after an earlier run saw it deleted has come back."""
        self.run += 1

    def take(self, fetched: Fetched) -> None:
        """Commit what was fetched."""
        unit = fetched.unit
        self.warnings += fetched.warnings
        if fetched.failure is not None:
            self.failures.append((unit.name, fetched.failure))
            return
        for entry in fetched.entries:
            self.taken += 1
            self._take(entry)
        for tombstone in fetched.deleted:
            self._bury(tombstone)
        if fetched.watermark is not None:
            self.marked[unit.type, unit.shard] = Mark(unit.shard, fetched.watermark, unit.patients)

    def _take(self, entry: Entry) -> None:
        assert not entry.subsetted, "a part of a resource was handed on as the whole"
        key = entry.type, entry.id
        old = self.rows.get(entry.type, {}).get(entry.id)
        at = instant(entry.updated) or 0
        if old is not None and old[0].state in {"deleted", "gone"}:
            run, buried = self.buried[key]
            if old[0].state == "deleted" and run == self.run and at < buried:
                return
        elif old is not None:
            ours = self.times[key], int(old[0].version or 0)
            theirs = at, int(entry.version or 0)
            if theirs < ours:
                return
            if theirs == ours and old[1].content == entry.content and old[0].state == "current":
                return
        self.changes += 1
        version = entry.type, entry.id, entry.version, entry.content
        self.duplicates += version in self.accepted and (old is None or old[0].state == "current")
        self.accepted.add(version)
        self._set(entry, Held(entry.version, entry.updated))
        self.times[key] = at

    def _bury(self, tombstone: Tombstone) -> None:
        key = tombstone.type, tombstone.id
        row = self.rows.get(tombstone.type, {}).get(tombstone.id)
        at = instant(tombstone.at) or 0
        if row is None:
            blank = Entry(tombstone.type, tombstone.id, None, None, b"", False)
            self._set(blank, Held(None, None, tombstone.state))
        else:
            undone = tombstone.state == "deleted" and 0 < at < self.times[key]
            if undone or row[0].state in {"deleted", "gone", tombstone.state}:
                return
            self._set(row[1], row[0]._replace(state=tombstone.state))
        self.buried[key] = self.run, at

    def _set(self, entry: Entry, held: Held) -> None:
        key = entry.type, entry.id
        self.rows.setdefault(entry.type, {})[entry.id] = held, entry
        self.times.setdefault(key, 0)
        patient = patient_of(entry.content) if entry.content else None
        before = self.of.get(key)
        if before is not None:
            self.by_patient[entry.type, before].discard(entry.id)
        self.of[key] = patient
        if patient is not None:
            self.by_patient.setdefault((entry.type, patient), set()).add(entry.id)
        if entry.type == "Patient":
            survivor = survivor_of(entry.content)
            self.survivors.pop(entry.id, None)
            if survivor is not None:
                self.survivors[entry.id] = survivor
        found = {(m[1].decode(), m[2].decode()) for m in MEDICATION.finditer(entry.content)}
        self.references[key] = found if held.state == "current" else set()

    # -- Known -------------------------------------------------------------------------------------------

    def marks(self, kind: str) -> Sequence[Mark]:
        return [mark for (kind_, _), mark in self.marked.items() if kind_ == kind]

    def held(
        self, kind: str, *, patients: Collection[str] | None = None, ids: Collection[str] | None = None
    ) -> Mapping[str, Held]:
        rows = self.rows.get(kind, {})
        if patients is not None:
            ids = [key for patient in patients for key in self.by_patient.get((kind, patient), ())]
        if ids is not None:
            return {key: rows[key][0] for key in ids if key in rows}
        return {key: row[0] for key, row in rows.items()}

    def count(self, kind: str, *, before: str, patients: Collection[str] | None = None) -> int:
        end = instant(before) or 0
        return sum(
            one.state == "current" and self.times[kind, key] < end
            for key, one in self.held(kind, patients=patients).items()
        )

    def referred(self, kind: str) -> Collection[str]:
        return {key for found in self.references.values() for kind_, key in found if kind_ == kind}

    def replacements(self) -> Collection[Replacement]:
        return [Replacement(*pair) for pair in self.survivors.items()]
