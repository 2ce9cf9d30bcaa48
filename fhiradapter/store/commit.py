"""A commit: what was fetched goes into raw files, a journal and one transaction of the database."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from fhiradapter.errors import AccountingError
from fhiradapter.fhir.units import Tombstone
from fhiradapter.garbage import without_collection
from fhiradapter.reasons import IGNORED, QUARANTINED, Reason
from fhiradapter.store.arrivals import Arrival, portions
from fhiradapter.store.database import Database
from fhiradapter.store.dependents import IDENTIFIER, Key
from fhiradapter.store.disk import Disk
from fhiradapter.store.heads import head_of
from fhiradapter.store.journal import run_folder, stem
from fhiradapter.store.mapped import Line, Location, MappedRows, Mapping
from fhiradapter.store.mapping import LOOKED_UP, Mapper
from fhiradapter.store.placing import Round, changes_of, keep_texts, make_room
from fhiradapter.store.raw import RawFile, RawWriter, read_places
from fhiradapter.store.resources import HISTORY, KNOWN, MAPPED, SHOW_AGAIN, decide, keep, staged_table
from fhiradapter.store.rows import key_table, put_in
from fhiradapter.store.stale import MAPPED_AT_ONCE, Stale
from fhiradapter.store.tombstones import bury

LATEST = """
SELECT (r.source, r.resource_type, r.resource_id), (r.file, r.line) FROM base.resources r SEMI JOIN asked a
    ON r.source = a.source AND r.resource_type = a.resource_type AND r.resource_id = a.resource_id
WHERE r.state NOT IN ('deleted', 'gone') ORDER BY ALL"""


class Counts(NamedTuple):
    """What a commit did: fates of what was received by (source, type, fate, reason), and what changed."""

    received: dict[tuple[str, str, str, str | None], int]
    new: int
    changed: int
    removed: int
    remapped: int


@dataclass
class Commit:
    """One commit, inside a transaction; `resources` and `tombstones`, then `finish`."""

    database: Database
    disk: Disk
    raw: Path
    mapper: Mapper
    number: int
    run_id: str
    now: int
    files: list[RawFile] = field(default_factory=list)
    buried: list[tuple[str, Tombstone]] = field(default_factory=list)
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked_again: list[Key] = field(default_factory=list)
    shown: list[Key] = field(default_factory=list)
    hidden: frozenset[Key] = frozenset()
    """Resources that this commit will say are hidden: that they are read by their id does not show them."""
    _writers: dict[tuple[str, str], RawWriter] = field(default_factory=dict)
    _received: Counter[tuple[str, str, str, str | None]] = field(default_factory=Counter)
    _arrived: Counter[tuple[str, str]] = field(default_factory=Counter)
    _done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._stale = Stale(self.database)
        self._mapping = Mapping(self.database, self.mapper, self.run_id, self.now)

    def resources(self, arrivals: Iterable[Arrival]) -> None:
        """Take resources; those that are among the raw files already are not written again."""
        with without_collection():
            for portion in portions(arrivals):
                for key, count in portion.copies.items():
                    self._count_copies(key, count)
                for part in portion.rounds:
                    self._round(part)

    def show_again(self, keys: Sequence[Key]) -> None:
        """Take resources that were hidden for shown again, as they were."""
        if keys:
            self.shown += keys
            self._done["changed"] += len(keys)
            with self.database.given(again=key_table(keys)):
                self.database.execute(SHOW_AGAIN, [self.number])

    def tombstones(self, tombstones: Sequence[tuple[str, Tombstone]]) -> None:
        """Take tombstones, each with its source, after the resources of the same commit."""
        if tombstones:
            places, removed = bury(self.database, tombstones, self.run_id, self.number)
            self.buried += [tombstones[place] for place in places]
            self._done["changed"] += len(places) - len(removed)
            self._done["removed"] += len(removed)
            self._stale.mark_removed(key for key in removed if key[1] in LOOKED_UP)

    def map_again(self, keys: Sequence[Key]) -> None:
        """Map the latest versions of resources again that did not change, since definitions did."""
        self.asked_again += keys
        for start in range(0, len(keys), MAPPED_AT_ONCE):
            with self.database.given(asked=key_table(keys[start : start + MAPPED_AT_ONCE])):
                found = self.database.rows(LATEST)
            contents = read_places(self.raw, [place for _, place in found])
            self._round(
                [
                    Arrival(key[0], head_of(contents[place], key[1]), contents[place], place)
                    for key, place in found
                ],
                again=True,
            )

    def finish(self) -> Counts:
        """Bring the raw files to the disk, map again what is stale, and balance the account.

        Raises AccountingError when it does not balance, which would be a fault of fhiradapter.
        """
        self.files += [writer.finish() for writer in self._writers.values()]
        self._done["remapped"] += self._stale.map_again(self.raw, self._mapping)
        balance = Counter[tuple[str, str]]()
        for (source, kind, _, _), count in self._received.items():
            balance[source, kind] += count
        if balance != self._arrived:
            raise AccountingError("received resources are not all mapped, quarantined or ignored")
        done = self._done
        return Counts(dict(self._received), done["new"], done["changed"], done["removed"], done["remapped"])

    def abandon(self) -> None:
        """Close what is open after a failure."""
        for writer in self._writers.values():
            writer.abandon()

    def _round(self, arrivals: Sequence[Arrival], *, again: bool = False) -> None:
        """Decide about arrivals of different resources; write, map, place and keep them."""
        staged = staged_table([one.source for one in arrivals], [one.head for one in arrivals])
        decided = decide(self.database, staged, self.run_id, again=again)
        decisions: list[str] = decided.column("decision").to_pylist()
        part = Round(arrivals, decided, decisions, self._write(arrivals, decisions))
        self._count(part)
        history = part.history(part.those(*HISTORY))
        seen = [number for number in part.those("shown") if key_of(arrivals[number]) not in self.hidden]
        self.shown += [key_of(arrivals[number]) for number in seen]
        self._done["changed"] += len(seen)
        mapped = part.those(*MAPPED)
        rows = MappedRows()
        if mapped:
            rows = self._mapping.map(
                Line(arrivals[number].source, *place, arrivals[number].content)
                for number in mapped
                if (place := part.places[number]) is not None
            )
        changes = changes_of(part, mapped, rows.fates)
        if mapped:
            self._place(part, mapped, rows, changes)
        if mapped or history.num_rows or seen:
            keep(self.database, changes, history, decided.take(pa.array(seen, pa.int32())), self.number)

    def _place(self, part: Round, mapped: Sequence[int], rows: MappedRows, changes: pa.Table) -> None:
        """Bring mapped rows into the database, and note what has to be mapped again for them."""
        arrivals = part.arrivals
        fates = dict(zip(mapped, changes.column("new_fate").to_pylist(), strict=True))
        self._count_mapped(part, fates, changes.column("new_reason").to_pylist())
        useful = [number for number in mapped if fates[number] not in (None, QUARANTINED)]
        looked_up = [number for number in useful if arrivals[number].head.type in LOOKED_UP]
        targets = self._stale.targets([arrivals[number] for number in looked_up])
        useless = make_room(self.database, changes)
        self._stale.discard(key_of(arrivals[number]) for number in useful)
        self._stale.mark(targets)
        put_in(self.database, rows.tables, useless)
        readable = {
            place: key_of(arrivals[number]) for number in useful if (place := part.places[number]) is not None
        }
        rows.connect(self.database, readable)
        keep_texts(self.database, changes, arrivals, looked_up)
        # A look-up that was taken back, or a number that passed on, may have served resources of this round.
        voided = any(fates[number] == IGNORED and part.decisions[number] != "new" for number in looked_up)
        if voided or any(kind == IDENTIFIER for _, kind, _ in targets):
            self._stale.mark(targets)

    def _write(self, arrivals: Sequence[Arrival], decisions: Sequence[str]) -> list[Location | None]:
        """Write what is not known yet into the raw file of its type, and return where everything is."""
        places: list[Location | None] = []
        for arrival, decision in zip(arrivals, decisions, strict=True):
            if decision in KNOWN or arrival.place is not None:
                places.append(arrival.place)
                continue
            key = (arrival.source, arrival.head.type)
            writer = self._writers.get(key)
            if writer is None:
                writer = self._writers[key] = self._writer(*key)
            places.append((writer.name, writer.write(arrival.content)))
        return places

    def _writer(self, source: str, kind: str) -> RawWriter:
        run_folder(self.raw, self.run_id, self.disk)
        twins = sum(1 for _, other in self._writers if other == kind)
        name = f"{stem(self.number)}-{kind}{f'-{twins + 1}' if twins else ''}.ndjson.zst"
        return RawWriter(self.raw, f"{self.run_id}/{name}", source=source, kind=kind, disk=self.disk)

    def _count(self, part: Round) -> None:
        for arrival, decision in zip(part.arrivals, part.decisions, strict=True):
            key = (arrival.source, arrival.head.type)
            if decision in KNOWN:
                self._count_copies(key, 1)
            elif decision != "again":
                self._arrived[key] += 1
            if decision == "older":
                reason = Reason.INCOMPLETE_COPY if arrival.head.subsetted else Reason.SUPERSEDED
                self._received[*key, IGNORED, reason.value] += 1

    def _count_mapped(self, part: Round, fates: dict[int, str | None], reasons: list[str | None]) -> None:
        for (number, fate), reason in zip(fates.items(), reasons, strict=True):
            head, decision = part.arrivals[number].head, part.decisions[number]
            if fate is not None and decision != "again":
                self._received[part.arrivals[number].source, head.type, fate, reason] += 1
            self._done[{"new": "new", "again": "remapped"}.get(decision, "changed")] += 1

    def _count_copies(self, key: tuple[str, str], count: int) -> None:
        self._arrived[key] += count
        self.copies[key] += count
        self._received[*key, IGNORED, Reason.DUPLICATE.value] += count


def key_of(arrival: Arrival) -> Key:
    """Return the key of an arrival's resource."""
    return (arrival.source, arrival.head.type, arrival.head.id)
