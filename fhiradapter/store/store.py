"""The store: one folder that a run writes and everybody reads."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.units import Fetched, Tombstone, Unit
from fhiradapter.store import ledger
from fhiradapter.store.arrivals import Arrival, arrivals_of, order_of
from fhiradapter.store.commit import Commit, Counts
from fhiradapter.store.database import Database
from fhiradapter.store.dependents import Key, missing
from fhiradapter.store.disk import Disk
from fhiradapter.store.dump import dump_hash
from fhiradapter.store.heads import head_of
from fhiradapter.store.holdings import Holdings, Known
from fhiradapter.store.journal import (
    Journal,
    TombstoneRecord,
    UnitRecord,
    set_aside_uncommitted,
    write_journal,
)
from fhiradapter.store.lock import Lock
from fhiradapter.store.mapping import Mapper
from fhiradapter.store.moments import microseconds
from fhiradapter.store.place import Place
from fhiradapter.store.quarantine import Quarantined, quarantined, show
from fhiradapter.store.raw import read_lines
from fhiradapter.store.settled import SETTLED, settle
from fhiradapter.store.snapshot import free_name, publish, published_name
from fhiradapter.store.status import Status, status

PRIVATE = 0o077  # DuckDB makes its files as the process's mask says


class Store:
    """A store that is open for writing; use `Store.open`, and close it, best by `with`."""

    def __init__(
        self, place: Place, lock: Lock, database: Database, disk: Disk, mapper: Mapper, sources: Sequence[str]
    ) -> None:
        self.place = place
        self.database = database
        self._lock = lock
        self._disk = disk
        self._mapper = mapper
        self._sources = tuple(sources)
        self._run_id = ""
        self._now = 0
        self._units: set[ledger.UnitKey] = set()  # those of the run that are in the ledger
        self._planned: dict[ledger.UnitKey, UnitRecord] = {}  # those that go there with the next commit
        self._broken = False
        number, digest = database.rows("SELECT max(number), arg_max(digest, number) FROM base.commits")[0]
        self._last: tuple[int, str] = (number or 0, digest or "")

    @classmethod
    def open(
        cls, folder: Path, *, mapper: Mapper, sources: Sequence[str], disk: Disk | None = None
    ) -> "Store":
        """Open a store, or make it; what an interrupted run left is set aside, since it will be read again.

        `sources` are in the order in which they are trusted. Raises LockedError when another run holds it,
        UsageError when the folder is no store's, FhirAdapterError when its parts do not fit together.
        """
        place, disk = Place(folder), disk or Disk()
        mask = os.umask(PRIVATE)
        try:
            place.prepare(disk)
            lock = Lock(place.lock)
            try:
                new = not place.database.exists()
                database = Database(place.database, disk, waiting=place.waiting)
                try:
                    store = cls(place, lock, database, disk, mapper, sources)
                    set_aside_uncommitted(place.raw, store._last[0], disk, new=new)
                    return store
                except BaseException:
                    database.close()
                    raise
            except BaseException:
                lock.release()
                raise
        finally:
            os.umask(mask)

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and give the lock back."""
        try:
            if self._planned and not self._broken:
                # What could not be read is told by the error that ended the run, not by this one.
                with suppress(FhirAdapterError, OSError), self._writing():
                    self._write_plan()
        finally:
            self.database.close()
            self._lock.release()

    def begin_run(self, run_id: str, *, now: datetime, kind: str = "sync") -> None:
        """Begin a run; `now` tells which dates are in the future."""
        self._run_id, self._now = run_id, microseconds(now)
        with self._writing():
            self._units = ledger.begin(self.database, run_id, now, kind)

    def plan(self, units: Iterable[Unit], *, excluded: Mapping[Unit, str] | None = None) -> None:
        """Note what is going to be read, and what is not and why; units planned before stay.

        It is written with the next commit, the end of the run or of the store, whichever comes first.
        """
        records = [ledger.unit_record(unit, state=ledger.PLANNED) for unit in units]
        for unit, reason in (excluded or {}).items():
            records.append(ledger.unit_record(unit, state=ledger.EXCLUDED, reason=reason))
        new = {ledger.unit_key(one): one for one in reversed(records)}
        known = self._units | self._planned.keys()
        self._planned |= {key: new[key] for key in reversed(new) if key not in known}

    def commit(self, fetched: Sequence[Fetched]) -> Counts:
        """Take what was fetched: all of it, or nothing.

        Units need not be planned. After an error the store has to be opened again.
        """
        ordered = sorted(fetched, key=lambda one: order_of(one.unit.type))
        with self._committing() as commit:
            commit.hidden = frozenset(
                (one.unit.source, grave.type, grave.id)
                for one in ordered
                if one.failure is None
                for grave in one.deleted
                if grave.state not in ("deleted", "gone")
            )
            received = [0] * len(ordered)
            commit.resources(_arrivals(ordered, received))
            records = [_record(one, count) for one, count in zip(ordered, received, strict=True)]
            commit.tombstones(
                [(one.unit.source, grave) for one in ordered if one.failure is None for grave in one.deleted]
            )
            return self._finish(commit, records)

    def replay(self, journal: Journal, digest: str) -> Counts:
        """Take a commit again from its raw files, which stay as they are."""
        self._run_id, self._now = journal.run_id, journal.now
        with self._committing() as commit:
            commit.resources(_replayed(self.place.raw, journal))
            commit.show_again(journal.shown)
            commit.tombstones(
                [(one.source, Tombstone(one.type, one.id, one.state, one.at)) for one in journal.tombstones]
            )
            commit.map_again(journal.again)
            return self._finish(commit, journal.units, digest)

    def map_again(self, keys: Sequence[Key]) -> Counts:
        """Map resources again after a definition was mended: those in quarantine, or any others."""
        with self._committing() as commit:
            commit.map_again(keys)
            return self._finish(commit, [])

    def finish_run(self, *, now: datetime, stopped: bool = False) -> str:
        """End a run: settle, publish when anything changed, and return its outcome, complete or partial.

        `stopped` says that the run did not come to all of its units. Raises AccountingError when units that
        were planned are neither done nor failed nor excluded.
        """
        changed = self.database.value("SELECT max(number) FROM base.commits WHERE changed")
        settled = int(self.database.meta(SETTLED) or 0)
        published = self.database.meta("published")
        stale = (changed or 0) > settled or published is None or published != published_name(self.place)
        with self._writing():
            if stale:
                settle(self.database, self._run_id, self._sources)
                self.database.set_meta(SETTLED, str(changed or 0))
                # Should it not come to that, the next run finds another name published and does it again.
                name = free_name(self.place, self._run_id)
                self.database.set_meta("published", name)
            self._write_plan()
            outcome = ledger.end(self.database, self._run_id, now, stopped=stopped)
        if stale:
            self._publish(name)
        return outcome

    def _publish(self, name: str) -> None:
        """Let readers see what is in the store now."""
        try:
            self.database.execute("CHECKPOINT")
            publish(self.place, name, self._disk)
        except BaseException:
            self._broken = True
            raise

    def watermark(self, source: str, kind: str, shard: str = "all") -> str | None:
        """Return up to when a type was read; None when it never was."""
        return ledger.watermark(self.database, source, kind, shard)

    def failed_units(self) -> list[Unit]:
        """Return the units that failed and were not made good since, the oldest first."""
        return ledger.failed_units(self.database)

    def known(
        self,
        source: str,
        kind: str,
        *,
        ids: Iterable[str] | None = None,
        patients: Iterable[str] | None = None,
    ) -> dict[str, Known]:
        """Return what there is of a type by id: of some ids, of some Patients, or all that is current."""
        return Holdings(self.database, source).known(kind, ids=ids, patients=patients)

    def current_ids(self, source: str, kind: str, patients: Iterable[str] | None = None) -> set[str]:
        """Return the ids of a type that are not deleted, of some Patients or of all."""
        return set(self.known(source, kind, patients=patients))

    def referenced_but_missing(self, source: str, kind: str) -> list[str]:
        """Return the ids of Medications or Specimens that are referred to and were never asked for."""
        return missing(self.database, source, kind)

    def counts(self, source: str, *, before: str, patients: Iterable[str] | None = None) -> dict[str, int]:
        """Return by type how many current resources were last updated before an instant, or are undated."""
        return Holdings(self.database, source).counts(before=before, patients=patients)

    def remember(self, name: str, value: str) -> None:
        """Keep a text for the next run, such as what a server can do."""
        with self._writing():
            self.database.set_meta(name, value)

    def remembered(self, name: str) -> str | None:
        """Return a text that was kept; None when there is none."""
        return self.database.meta(name)

    def marks(self, source: str, kind: str) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return the watermarks of a type: shard, up to when, and the patients of the unit that set it."""
        return Holdings(self.database, source).marks(kind)

    def all_marks(self, source: str) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
        """Return the watermarks of every type, as `marks` does of one."""
        return Holdings(self.database, source).all_marks()

    def referred(self, source: str, kind: str) -> list[str]:
        """Return the ids of Medications or Specimens that current resources refer to for their meaning."""
        return Holdings(self.database, source).referred(kind)

    def replacements(self, source: str) -> list[tuple[str, str]]:
        """Return (Patient, the one that replaces it) as the current Patients of a source say it."""
        prefix = f"{source}:" if len(self._sources) > 1 else ""
        return Holdings(self.database, source, prefix).replacements()

    def status(self, runs: int = 10) -> Status:
        """Return what an operator asks: runs, watermarks, what is there, what is wrong."""
        return status(self.database, runs)

    def quarantined(self, reason: str | None = None) -> list[Quarantined]:
        """Return what is in quarantine."""
        return quarantined(self.database, reason)

    def show(self, source: str, kind: str, id: str) -> bytes:  # noqa: A002 - FHIR's own name
        """Return the newest version of a resource as it was sent."""
        return show(self.database, self.place.raw, source, kind, id)

    def dump_hash(self) -> str:
        """Return a digest of everything that the store says."""
        return dump_hash(self.database)

    def _finish(self, commit: Commit, records: list[UnitRecord], digest: str | None = None) -> Counts:
        counts = commit.finish()
        if digest is None:
            journal = Journal(
                number=commit.number,
                run_id=commit.run_id,
                now=commit.now,
                previous=self._last[1],
                units=records,
                files=commit.files,
                tombstones=[
                    TombstoneRecord(source=source, type=one.type, id=one.id, state=one.state, at=one.at)
                    for source, one in commit.buried
                ],
                copies=_nested(commit.copies),
                shown=commit.shown,
                again=commit.asked_again,
            )
            digest = write_journal(self.place.raw, journal, self._disk)
        changed = any((counts.new, counts.changed, counts.removed, counts.remapped))
        for record in records:
            self._planned.pop(ledger.unit_key(record), None)
        self._write_plan()
        ledger.settle_units(self.database, commit.run_id, records, self._units)
        self._units.update(map(ledger.unit_key, records))
        ledger.add_counts(self.database, commit.run_id, counts)
        self.database.execute(
            "INSERT INTO base.commits VALUES (?, ?, ?, ?)", [commit.number, commit.run_id, digest, changed]
        )
        self._last = (commit.number, digest)
        return counts

    def _write_plan(self) -> None:
        if self._planned:
            ledger.plan(self.database, self._run_id, list(self._planned.values()))
            self._units.update(self._planned)
            self._planned = {}

    @contextmanager
    def _committing(self) -> Iterator[Commit]:
        commit = Commit(
            self.database,
            self._disk,
            self.place.raw,
            self._mapper,
            self._last[0] + 1,
            self._run_id,
            self._now,
        )
        with self._writing():
            try:
                yield commit
            except BaseException:
                commit.abandon()
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._broken:
            raise FhirAdapterError(f"{self.place.folder}: writing failed before; open the store again")
        mask = os.umask(PRIVATE)
        try:
            with self.database.transaction():
                yield
        except BaseException:
            self._broken = True
            raise
        finally:
            os.umask(mask)


def _arrivals(fetched: Sequence[Fetched], received: list[int]) -> Iterator[Arrival]:
    """Yield what units brought, and count it for each."""
    for number, one in enumerate(fetched):
        if one.failure is None:
            contents = (entry.content for entry in one.entries)
            for arrival in arrivals_of(one.unit.source, one.unit.type, contents):
                received[number] += 1
                yield arrival


def _replayed(raw: Path, journal: Journal) -> Iterator[Arrival]:
    """Yield what a commit brought, from its raw files."""
    for record in journal.files:
        for line, content in enumerate(read_lines(raw, record.file), 1):
            yield Arrival(record.source, head_of(content, record.type), content, (record.file, line))


def _record(fetched: Fetched, received: int) -> UnitRecord:
    unit, failure = fetched.unit, fetched.failure
    return ledger.unit_record(
        unit,
        state=ledger.DONE if failure is None else ledger.FAILED,
        reason=None if failure is None else str(failure.reason),
        status=None if failure is None else failure.status,
        received=received,
        watermark=fetched.watermark if failure is None else None,
        warnings=tuple(fetched.warnings),
    )


def _nested(copies: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (source, kind), count in sorted(copies.items()):
        found.setdefault(source, {})[kind] = count
    return found
