"""A commit: what was fetched goes into raw files, a journal and one transaction of the database."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.errors import AccountingError
from fhiradapter.fhir.decoding import is_hazardous
from fhiradapter.fhir.source import Batch
from fhiradapter.fhir.units import Tombstone
from fhiradapter.reasons import IGNORED, QUARANTINED, Reason
from fhiradapter.store.arrivals import Arrival, portions
from fhiradapter.store.database import Database
from fhiradapter.store.dependents import IDENTIFIER, Key, dependency_table, dependents, references
from fhiradapter.store.disk import Disk
from fhiradapter.store.garbage import without_collection
from fhiradapter.store.heads import head_of, identifier_keys
from fhiradapter.store.journal import run_folder, stem
from fhiradapter.store.mapping import LOOKED_UP, Mapped, Mapper, StoredTexts
from fhiradapter.store.raw import RawFile, RawWriter, read_places
from fhiradapter.store.resources import HISTORY, KNOWN, MAPPED, SHOW_AGAIN, decide, keep, staged_table
from fhiradapter.store.rows import key_table, put_in, take_out, take_out_places
from fhiradapter.store.tombstones import bury

LINES_AT_ONCE = 1_000  # about a megabyte, which a core's cache holds
REMAPPED_AT_ONCE = 10_000

CHANGES = """
SELECT d.*, p.file AS new_file, p.line AS new_line, f.disposition AS new_fate, f.reason AS new_reason
FROM decided d JOIN placed p ON p.seq = d.seq
    LEFT JOIN fates f ON f.source = d.source AND f.source_file = p.file AND f.source_line = p.line
ORDER BY d.seq"""

# The rows of a resource give way to those of a version that can be read; else only the issues of one before it
# that could not be read either.
REPLACED = """
SELECT source, resource_type, resource_id FROM changes
WHERE decision IN ('newer', 'differs', 'again') AND new_fate <> 'quarantined'"""
UNREAD = """
SELECT source, old_file AS file, old_line AS line FROM changes
WHERE decision IN ('newer', 'differs', 'again') AND new_fate = 'quarantined' AND fate = 'quarantined'
UNION ALL
SELECT source, shown_file, shown_line FROM changes
WHERE decision = 'readable' AND new_fate <> 'quarantined' AND shown_file IS NOT NULL"""
BESIDE = """
SELECT source, resource_type, resource_id FROM changes
WHERE decision = 'readable' AND new_fate <> 'quarantined'"""
USELESS = """
SELECT new_file AS file, new_line AS line FROM changes
WHERE decision = 'readable' AND new_fate = 'quarantined'"""
TEXTS = """
INSERT INTO base.lookups
SELECT c.source, c.resource_type, c.resource_id, t.text FROM changes c JOIN texts t ON t.seq = c.seq
WHERE c.new_fate = 'mapped'"""
LATEST = """
SELECT (r.source, r.resource_type, r.resource_id), (r.file, r.line) FROM base.resources r SEMI JOIN asked a
    ON r.source = a.source AND r.resource_type = a.resource_type AND r.resource_id = a.resource_id
WHERE r.state NOT IN ('deleted', 'gone') ORDER BY ALL"""
SHOWN = """
SELECT r.source, r.resource_type, r.resource_id, r.shown_file AS file, r.shown_line AS line
FROM base.resources r SEMI JOIN stale s
    ON r.source = s.source AND r.resource_type = s.resource_type AND r.resource_id = s.resource_id
WHERE r.shown_file IS NOT NULL ORDER BY ALL"""
REMAPPED = """
UPDATE base.resources r SET shown_fate = f.disposition, shown_reason = f.reason,
    fate = CASE WHEN r.file = r.shown_file AND r.line = r.shown_line THEN f.disposition ELSE r.fate END,
    reason = CASE WHEN r.file = r.shown_file AND r.line = r.shown_line THEN f.reason ELSE r.reason END
FROM fates f WHERE r.source = f.source AND r.shown_file = f.source_file AND r.shown_line = f.source_line
    AND (r.shown_fate, r.shown_reason) IS DISTINCT FROM (f.disposition, f.reason)"""


class Counts(NamedTuple):
    """What a commit did: fates of what was received by (source, type, fate, reason), and what changed."""

    received: dict[tuple[str, str, str, str | None], int]
    new: int
    changed: int
    removed: int
    remapped: int


@dataclass
class _Rows:
    """What the mapping made of some resources."""

    tables: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    fates: list[pa.RecordBatch] = field(default_factory=list)
    members: list[tuple[Key, str, str]] = field(default_factory=list)
    waited: list[tuple[tuple[str, int], set[tuple[str, str]]]] = field(default_factory=list)

    def add(self, mapped: Mapped, source: str) -> None:
        for table, batch in mapped.tables.items():
            if batch.num_rows:
                self.tables.setdefault(table, []).append(batch)
        self.fates.append(mapped.receipts)
        for member, panel in mapped.members:
            kind, _, id_ = panel.removeprefix(f"{source}/").partition("/")
            self.members.append(((source, kind, id_), member, panel))
        self.waited.extend(((one.file, one.line), references(one)) for one in mapped.deferred)


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
    _stale: dict[Key, None] = field(default_factory=dict)
    _new: int = 0
    _changed: int = 0
    _removed: int = 0
    _remapped: int = 0

    def resources(self, source: str, kind: str, contents: Iterable[bytes]) -> int:
        """Take resources of a source as they were sent, and return their number."""
        before = self._arrived.total()
        self._take(_arrivals(source, kind, contents))
        return self._arrived.total() - before

    def replay(self, record: RawFile, contents: Iterable[bytes]) -> None:
        """Take the resources of a raw file, which are not written again."""
        self._take(
            Arrival(record.source, head_of(content, record.type), content, (record.file, line))
            for line, content in enumerate(contents, 1)
        )

    def tombstones(self, tombstones: list[tuple[str, Tombstone]]) -> None:
        """Take tombstones, each with its source, after the resources of the same commit."""
        places, removed = (
            bury(self.database, tombstones, self.run_id, self.number) if tombstones else ([], [])
        )
        self.buried += [tombstones[place] for place in places]
        self._removed += len(removed)
        targets = {key for key in removed if key[1] in LOOKED_UP}
        self._mark_stale({(source, kind, id_) for source, kind, id_ in targets})
        if any(kind == "Patient" for _, kind, _ in targets) and self._identifiers_matter():
            self._mark_all_by_identifier()

    def finish(self) -> Counts:
        """Bring the raw files to the disk, map again what depends on what changed, and balance the account."""
        for writer in self._writers.values():
            self.files.append(writer.finish())
        self._map_again(list(self._stale))
        balance = Counter[tuple[str, str]]()
        for (source, kind, _, _), count in self._received.items():
            balance[source, kind] += count
        if balance != self._arrived:
            raise AccountingError("received resources are not all mapped, quarantined or ignored")
        return Counts(dict(self._received), self._new, self._changed, self._removed, self._remapped)

    def abandon(self) -> None:
        """Close what is open after a failure."""
        for writer in self._writers.values():
            writer.abandon()

    def show_again(self, keys: Sequence[Key]) -> None:
        """Take resources that were hidden for shown again, as they were."""
        self.shown += keys
        self._changed += len(keys)
        if keys:
            with self.database.given(again=key_table(keys)):
                self.database.execute(SHOW_AGAIN, [self.number])

    def map_again(self, keys: Sequence[Key]) -> None:
        """Map resources again that did not change, as definitions did: the latest version, else the one shown."""
        self.asked_again += keys
        for start in range(0, len(keys), REMAPPED_AT_ONCE):
            with self.database.given(asked=key_table(keys[start : start + REMAPPED_AT_ONCE])):
                places = self.database.rows(LATEST)
            contents = read_places(self.raw, [place for _, place in places])
            self._round(
                [
                    Arrival(key[0], head_of(contents[place], key[1]), contents[place], place)
                    for key, place in places
                ],
                again=True,
            )

    def _take(self, arrivals: Iterable[Arrival]) -> None:
        with without_collection():
            for portion in portions(arrivals):
                for key, count in portion.copies.items():
                    self._arrived[key] += count
                    self._count_copies(key, count)
                for part in portion.rounds:
                    self._round(part)

    def _count_copies(self, key: tuple[str, str], count: int) -> None:
        self.copies[key] += count
        self._received[*key, IGNORED, Reason.DUPLICATE.value] += count

    def _round(self, arrivals: list[Arrival], *, again: bool = False) -> None:
        """Decide about arrivals of different resources, write, map and keep them."""
        decided = decide(
            self.database,
            staged_table([one.source for one in arrivals], [one.head for one in arrivals]),
            self.run_id,
        )
        if again:
            number = decided.schema.get_field_index("decision")
            decided = decided.set_column(number, "decision", pa.array(["again"] * len(arrivals), pa.string()))
        decisions: list[str] = decided.column("decision").to_pylist()
        places: list[tuple[str, int] | None] = [None] * len(arrivals)
        for arrival, decision in zip(arrivals, decisions, strict=True):
            key = (arrival.source, arrival.head.type)
            if decision == "again":
                continue
            self._arrived[key] += 1
            if decision in KNOWN:
                self._count_copies(key, 1)
            elif decision == "older":
                reason = Reason.INCOMPLETE_COPY if arrival.head.subsetted else Reason.SUPERSEDED
                self._received[*key, IGNORED, reason.value] += 1
        self._write(arrivals, decisions, places)
        mapped = [place for place, decision in enumerate(decisions) if decision in MAPPED]
        rows = self._map(
            (arrivals[place].source, arrivals[place].head.type, places[place], arrivals[place].content)
            for place in mapped
        )
        self._place(arrivals, decided, decisions, places, mapped, rows)

    def _write(
        self, arrivals: list[Arrival], decisions: list[str], places: list[tuple[str, int] | None]
    ) -> None:
        """Write what is not known yet into the raw file of its type."""
        for place, (arrival, decision) in enumerate(zip(arrivals, decisions, strict=True)):
            if decision in KNOWN:
                continue
            if arrival.place is not None:
                places[place] = arrival.place
                continue
            key = (arrival.source, arrival.head.type)
            writer = self._writers.get(key)
            if writer is None:
                writer = self._writers[key] = self._writer(*key)
            places[place] = (writer.name, writer.write((arrival.content,))[0])

    def _writer(self, source: str, kind: str) -> RawWriter:
        run_folder(self.raw, self.run_id, self.disk)
        twins = sum(1 for _, other in self._writers if other == kind)
        name = f"{stem(self.number)}-{kind}{f'-{twins + 1}' if twins else ''}.ndjson.zst"
        return RawWriter(self.raw, f"{self.run_id}/{name}", source=source, kind=kind, disk=self.disk)

    def _map(self, resources: Iterable[tuple[str, str, tuple[str, int] | None, bytes]]) -> _Rows:
        """Map resources in batches of one file each; those of one source share their look-ups."""
        rows = _Rows()
        by_source: dict[str, list[tuple[str, int, bytes]]] = {}
        for source, _, place, content in resources:
            if place is not None:
                by_source.setdefault(source, []).append((*place, content))
        for source, lines in by_source.items():
            stored = StoredTexts(self.database, source)
            for mapped in self.mapper.map(source, _batches(lines), stored, run_id=self.run_id, now=self.now):
                rows.add(mapped, source)
        return rows

    def _place(
        self,
        arrivals: list[Arrival],
        decided: pa.Table,
        decisions: list[str],
        places: list[tuple[str, int] | None],
        mapped: list[int],
        rows: _Rows,
    ) -> None:
        """Bring the rows into the database, and note what has to be mapped again."""
        database = self.database
        placed = pa.table(
            {
                "seq": pa.array(mapped, pa.int32()),
                "file": pa.array([places[place][0] for place in mapped], pa.string()),  # type: ignore[index]
                "line": pa.array([places[place][1] for place in mapped], pa.int32()),  # type: ignore[index]
            }
        )
        with database.given(decided=decided, placed=placed, fates=_fates(rows)):
            changes = database.table(CHANGES)
        fates: list[str | None] = changes.column("new_fate").to_pylist()
        reasons: list[str | None] = changes.column("new_reason").to_pylist()
        useful = [
            place
            for place, fate in zip(mapped, fates, strict=True)
            if fate is not None and (fate != QUARANTINED)
        ]
        for place, fate, reason in zip(mapped, fates, reasons, strict=True):
            if fate is not None and decisions[place] != "again":
                self._received[arrivals[place].source, arrivals[place].head.type, fate, reason] += 1
        self._new += sum(decisions[place] == "new" for place in mapped)
        again = [place for place, decision in enumerate(decisions) if decision == "again"]
        self._remapped += len(again)
        self._changed += len(mapped) - len(again) - sum(decisions[place] == "new" for place in mapped)
        looked_up = [place for place in useful if arrivals[place].head.type in LOOKED_UP]
        targets = self._targets(arrivals, looked_up)
        self._replace(changes)
        for place in useful:
            self._stale.pop(_key(arrivals[place]), None)
        self._mark_stale(targets)
        with database.given(changes=changes):
            useless = database.table(USELESS)
        put_in(database, rows.tables, useless)
        readable = {places[place]: _key(arrivals[place]) for place in useful}
        self._connect(rows, readable)
        self._keep_texts(arrivals, changes, looked_up)
        history = [place for place, decision in enumerate(decisions) if decision in HISTORY]
        seen = [
            place
            for place, decision in enumerate(decisions)
            if decision == "shown" and _key(arrivals[place]) not in self.hidden
        ]
        self.shown += [_key(arrivals[place]) for place in seen]
        old = decided.take(pa.array(history, pa.int32()))
        old = old.append_column("new_file", pa.array([places[place][0] for place in history], pa.string()))  # type: ignore[index]
        old = old.append_column("new_line", pa.array([places[place][1] for place in history], pa.int32()))  # type: ignore[index]
        self._changed += len(seen)
        keep(database, changes, old, decided.take(pa.array(seen, pa.int32())), self.number)
        # A look-up that was taken back may have served resources of this very round.
        voided = [
            place
            for place, fate in zip(mapped, fates, strict=True)
            if fate == IGNORED and arrivals[place].head.type in LOOKED_UP and decisions[place] != "new"
        ]
        if voided or any(kind == IDENTIFIER for _, kind, _ in targets):
            self._mark_stale(targets)

    def _replace(self, changes: pa.Table) -> None:
        """Take out the rows that give way."""
        with self.database.given(changes=changes):
            whole, parts, beside = (self.database.table(query) for query in (REPLACED, UNREAD, BESIDE))
        take_out(self.database, whole)
        take_out_places(self.database, parts)
        if beside.num_rows:
            with self.database.given(gone=beside):
                for table in ("members", "dependencies", "lookups"):
                    self.database.execute(
                        f"DELETE FROM base.{table} t USING gone g WHERE t.resource_id = g.resource_id"
                        " AND t.resource_type = g.resource_type AND t.source = g.source"
                    )

    def _connect(self, rows: _Rows, readable: dict[tuple[str, int] | None, Key]) -> None:
        """Keep which resources are members of panels, and which refer to look-ups."""
        if rows.members:
            keys, members, panels = zip(*rows.members, strict=True)
            table = key_table(keys).append_column("member", pa.array(members, pa.string()))
            table = table.append_column("panel", pa.array(panels, pa.string()))
            with self.database.given(members=table):
                self.database.execute("INSERT INTO base.members FROM members")
        dependencies = [
            (readable[place], target)
            for place, targets in rows.waited
            if place in readable
            for target in targets
        ]
        if dependencies:
            with self.database.given(dependencies=dependency_table(dependencies)):
                self.database.execute("INSERT INTO base.dependencies FROM dependencies")

    def _keep_texts(self, arrivals: list[Arrival], changes: pa.Table, looked_up: list[int]) -> None:
        """Keep the bytes of what others look up within reach."""
        if looked_up:
            texts = pa.table(
                {
                    "seq": pa.array(looked_up, pa.int32()),
                    "text": pa.array([arrivals[place].content for place in looked_up], pa.binary()),
                }
            )
            with self.database.given(changes=changes, texts=texts):
                self.database.execute(TEXTS)

    def _targets(self, arrivals: list[Arrival], looked_up: list[int]) -> set[tuple[str, str, str]]:
        """Return what other resources may call the look-ups that changed, before and after."""
        targets = {_key(arrivals[place]) for place in looked_up if arrivals[place].head.type != "Patient"}
        patients = [arrivals[place] for place in looked_up if arrivals[place].head.type == "Patient"]
        if patients and self._identifiers_matter():
            contents = [(one.source, one.content) for one in patients]
            for source in {one.source for one in patients}:
                known = StoredTexts(self.database, source).texts("Patient", {one.head.id for one in patients})
                contents += [(source, text) for text in known.values()]
            targets |= {
                (source, IDENTIFIER, key) for source, text in contents for key in identifier_keys(text)
            }
        return targets

    def _identifiers_matter(self) -> bool:
        return bool(
            self.database.value("SELECT 1 FROM base.dependencies WHERE target_type = ? LIMIT 1", [IDENTIFIER])
        )

    def _mark_all_by_identifier(self) -> None:
        rows = self.database.rows(
            "SELECT DISTINCT source, resource_type, resource_id FROM base.dependencies WHERE target_type = ?"
            " ORDER BY ALL",
            [IDENTIFIER],
        )
        self._stale.update(dict.fromkeys(rows))

    def _mark_stale(self, targets: set[tuple[str, str, str]]) -> None:
        if targets:
            self._stale.update(dict.fromkeys(dependents(self.database, targets)))

    def _map_again(self, keys: list[Key]) -> None:
        for start in range(0, len(keys), REMAPPED_AT_ONCE):
            with self.database.given(stale=key_table(keys[start : start + REMAPPED_AT_ONCE])):
                shown = self.database.table(SHOWN)
            found = shown.to_pylist()
            contents = read_places(self.raw, [(one["file"], one["line"]) for one in found])
            resources = [
                (one["source"], one["resource_type"], place, contents[place])
                for one in found
                for place in [(one["file"], one["line"])]
            ]
            rows = self._map(sorted(resources, key=lambda one: (one[0], one[2])))
            take_out_places(self.database, shown.select(["source", "file", "line"]))
            with self.database.given(gone=shown):
                for table in ("members", "dependencies"):
                    self.database.execute(
                        f"DELETE FROM base.{table} t USING gone g WHERE t.resource_id = g.resource_id"
                        " AND t.resource_type = g.resource_type AND t.source = g.source"
                    )
            put_in(
                self.database,
                rows.tables,
                pa.table({"file": pa.array([], pa.string()), "line": pa.array([], pa.int32())}),
            )
            self._connect(
                rows,
                {
                    (one["file"], one["line"]): (one["source"], one["resource_type"], one["resource_id"])
                    for one in found
                },
            )
            with self.database.given(fates=_fates(rows)):
                self.database.execute(REMAPPED)
            self._remapped += len(found)


def _key(arrival: Arrival) -> Key:
    return (arrival.source, arrival.head.type, arrival.head.id)


def _arrivals(source: str, kind: str, contents: Iterable[bytes]) -> Iterator[Arrival]:
    for content in contents:
        line = content.replace(b"\n", b" ") if b"\n" in content else content
        if line and not line.isspace():
            yield Arrival(source, head_of(line, kind), line)


def _batches(lines: Iterable[tuple[str, int, bytes]]) -> Iterator[Batch]:
    """Yield resources in batches of one file, each small."""
    for file, group in groupby(lines, key=lambda line: line[0]):
        numbers: list[int] = []
        contents: list[bytes] = []
        for _, number, content in group:
            numbers.append(number)
            contents.append(content)
            if len(contents) == LINES_AT_ONCE:
                yield _batch(file, contents, numbers)
                numbers, contents = [], []
        if contents:
            yield _batch(file, contents, numbers)


def _batch(file: str, contents: list[bytes], numbers: list[int]) -> Batch:
    text = b"\n".join(contents)
    return Batch(file, contents, numbers, is_hazardous(text), bytes_read=len(text), text=text)


def _fates(rows: _Rows) -> pa.Table:
    return pa.Table.from_batches(rows.fates, RECEIPTS)
