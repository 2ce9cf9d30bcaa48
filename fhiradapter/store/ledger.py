"""The ledger: runs, their units, watermarks and accounts, as they stand in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
import pyarrow as pa

from fhiradapter.errors import AccountingError
from fhiradapter.fhir.units import Unit
from fhiradapter.store.commit import Counts
from fhiradapter.store.database import Database
from fhiradapter.store.journal import UnitRecord
from fhiradapter.store.moments import moment

PLANNED, DONE, FAILED, EXCLUDED = "planned", "done", "failed", "excluded"
ENDS = (DONE, FAILED, EXCLUDED)
COLUMNS = "source, type, name, feed, shard, since, until, state, reason, status, received"
TEXTS = ("source", "type", "name", "feed", "shard", "since", "until", "state", "reason")
UNITS = pa.schema(
    [
        *((name, pa.string()) for name in TEXTS),
        ("status", pa.int32()),
        ("received", pa.int64()),
        ("patients", pa.list_(pa.string())),
        ("watermark", pa.string()),
    ]
)
STOPPED = "STOPPED"  # the run was stopped before the unit's turn came

# A failed unit is made good by one that covers its time, whatever its own name.
COVERED = """
DELETE FROM base.failures f USING records u
WHERE u.state = 'done' AND f.source = u.source AND f.type = u.type AND (f.name = u.name OR (
    f.feed = u.feed AND f.shard = u.shard AND len(f.patients) = 0 AND len(u.patients) = 0
    AND f.since IS NOT NULL AND f.until IS NOT NULL
    AND coalesce(u.since, f.since) <= f.since AND coalesce(u.until, f.until) >= f.until))"""
# What the server does not have is not missed. Every other type that was excluded is.
OUTCOME = """
SELECT count(*) FILTER (state = 'planned'),
    count(*) FILTER (state = 'failed' OR (state = 'excluded' AND reason IS DISTINCT FROM 'NOT_OFFERED'))
FROM base.units WHERE run_id = ?"""
ANY_FAILURE = "SELECT 1 FROM base.failures LIMIT 1"
# A run asks again for all that was not read: what failed before and not again was made good, also where it
# was asked for in other portions.
MADE_GOOD = """
DELETE FROM base.failures f WHERE last_run <> $1 AND EXISTS (
    FROM base.units u WHERE u.run_id = $1 AND u.source = f.source AND u.type = f.type AND u.state = 'done')"""
FAILING = """
SELECT u.source, u.type, u.name, u.feed, u.shard, u.patients, u.since, u.until, u.reason, u.status,
    coalesce(f.first_run, $1) AS first_run, $1 AS last_run
FROM records u LEFT JOIN base.failures f ON f.source = u.source AND f.type = u.type AND f.name = u.name
WHERE u.state = 'failed'"""
RUNS = """
SELECT run_id, epoch_us(started_at), epoch_us(ended_at), kind, outcome, new, changed, removed
FROM base.runs"""
STATES = "SELECT run_id, state, count(*) FROM base.units WHERE run_id IN ({}) GROUP BY ALL"
OF_UNIT = "f.source = u.source AND f.type = u.type AND f.name = u.name"

UnitKey = tuple[str, str, str]


class Run(msgspec.Struct, frozen=True):
    """One run."""

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    kind: str
    outcome: str
    new: int
    changed: int
    removed: int
    planned: int
    done: int
    failed: int
    excluded: int


def begin(database: Database, run_id: str, started: datetime, kind: str) -> set[UnitKey]:
    """Write down that a run began, and return its units: some when it was begun before."""
    database.execute("DELETE FROM base.runs WHERE run_id = ?", [run_id])
    database.execute(
        "INSERT INTO base.runs VALUES (?, ?, NULL, ?, 'running', 0, 0, 0)", [run_id, started, kind]
    )
    return set(database.rows("SELECT source, type, name FROM base.units WHERE run_id = ?", [run_id]))


def plan(database: Database, run_id: str, records: Sequence[UnitRecord]) -> None:
    """Write down units of which the run has none yet."""
    with database.given(records=_table(records)):
        database.execute(f"INSERT INTO base.units SELECT ?, {COLUMNS} FROM records", [run_id])


def settle_units(
    database: Database, run_id: str, records: Sequence[UnitRecord], known: Collection[UnitKey]
) -> None:
    """Write down what came of units, where it leaves their watermarks, and what has to be tried again.

    `known` are those of the run that were written down before.
    """
    # Where several say up to when a shard was read, the last one does.
    marking = {(one.source, one.type, one.shard): one for one in records if one.watermark is not None}
    marks = [marking.get((one.source, one.type, one.shard)) is one for one in records]
    with database.given(records=_table(records).append_column("marks", pa.array(marks, pa.bool_()))):
        if any(unit_key(one) in known for one in records):
            database.execute(
                f"DELETE FROM base.units f USING records u WHERE f.run_id = ? AND {OF_UNIT}", [run_id]
            )
        database.execute(f"INSERT INTO base.units SELECT ?, {COLUMNS} FROM records", [run_id])
        if database.value(ANY_FAILURE):
            database.execute(COVERED)
        if any(one.state == FAILED for one in records):
            failing = database.table(FAILING, [run_id])
            with database.given(failing=failing):
                database.execute(f"DELETE FROM base.failures f USING failing u WHERE {OF_UNIT}")
                database.execute("INSERT INTO base.failures FROM failing")
        if marking:
            database.execute(
                "DELETE FROM base.watermarks f USING records u"
                " WHERE u.marks AND f.source = u.source AND f.type = u.type AND f.shard = u.shard"
            )
            database.execute(
                "INSERT INTO base.watermarks SELECT source, type, shard, watermark, patients FROM records"
                " WHERE marks"
            )
    for one in records:
        for code in one.warnings:
            database.execute(
                "INSERT INTO base.warnings VALUES (?, ?, ?, ?, ?)",
                [run_id, one.source, one.type, one.name, code],
            )


def add_counts(database: Database, run_id: str, counts: Counts) -> None:
    """Add what a commit did to its run."""
    for (source, kind, fate, reason), count in counts.received.items():
        database.execute(
            "INSERT INTO base.received VALUES (?, ?, ?, ?, ?, ?)", [run_id, source, kind, fate, reason, count]
        )
    if counts.new or counts.changed or counts.removed:
        database.execute(
            "UPDATE base.runs SET new = new + ?, changed = changed + ?, removed = removed + ?"
            " WHERE run_id = ?",
            [counts.new, counts.changed, counts.removed, run_id],
        )


def end(database: Database, run_id: str, ended: datetime, *, stopped: bool) -> str:
    """Close the account of a run and return its outcome: complete, or partial.

    Partial is a run with failed units, or with a type that the server offers and did not let be read. Units
    that were not reached fail when the run was `stopped`. Raises AccountingError otherwise.
    """
    open_ones, missed = database.rows(OUTCOME, [run_id])[0]
    if open_ones and not stopped:
        raise AccountingError(f"{run_id}: {open_ones} planned units are neither done nor failed nor excluded")
    if open_ones:
        database.execute(
            "UPDATE base.units SET state = 'failed', reason = ? WHERE run_id = ? AND state = 'planned'",
            [STOPPED, run_id],
        )
    outcome = "partial" if missed or stopped else "complete"
    if not stopped and database.value(ANY_FAILURE):
        database.execute(MADE_GOOD, [run_id])
    database.execute(
        "UPDATE base.runs SET ended_at = ?, outcome = ? WHERE run_id = ?", [ended, outcome, run_id]
    )
    return outcome


def unit_key(record: UnitRecord) -> UnitKey:
    """Return what tells the units of a run apart."""
    return (record.source, record.type, record.name)


def unit_record(unit: Unit, **known: object) -> UnitRecord:
    """Return a unit as the ledger and the journals have it."""
    return UnitRecord(**unit._asdict(), **known)  # type: ignore[arg-type]


def watermark(database: Database, source: str, kind: str, shard: str) -> str | None:
    """Return up to when a type was read; None when it was not."""
    value: str | None = database.value(
        "SELECT until FROM base.watermarks WHERE source = ? AND type = ? AND shard = ?", [source, kind, shard]
    )
    return value


def failed_units(database: Database) -> list[Unit]:
    """Return the units that failed and were not made good since, the oldest first."""
    return [
        Unit(source, kind, name, feed, shard, tuple(patients), since, until)
        for source, kind, name, feed, shard, patients, since, until in database.rows(
            "SELECT source, type, name, feed, shard, patients, since, until FROM base.failures"
            " ORDER BY first_run, source, type, name"
        )
    ]


def runs(database: Database, count: int) -> list[Run]:
    """Return the last runs, the newest first."""
    return _runs(database, f"{RUNS} ORDER BY 2 DESC, 1 DESC LIMIT ?", count)


def run(database: Database, run_id: str) -> Run:
    """Return one run; by a clock that was set back it need not be the newest."""
    return _runs(database, f"{RUNS} WHERE run_id = ?", run_id)[0]


def received(database: Database, run_id: str) -> Mapping[str, dict[str, dict[str, int]]]:
    """Return what a run received: type to fate to reason to count; '' is no reason."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kind, fate, reason, count in database.rows(
        "SELECT type, fate, coalesce(reason, ''), sum(count)::BIGINT FROM base.received WHERE run_id = ?"
        " GROUP BY ALL ORDER BY ALL",
        [run_id],
    ):
        found.setdefault(kind, {}).setdefault(fate, {})[reason] = count
    return found


def _runs(database: Database, query: str, *parameters: object) -> list[Run]:
    found = database.rows(query, parameters)
    if not found:
        return []
    counts: dict[str, dict[str, int]] = {row[0]: {} for row in found}
    for run_id, state, count in database.rows(STATES.format(", ".join("?" * len(counts))), list(counts)):
        counts[run_id][state] = count
    return [
        Run(
            row[0],
            moment(row[1]),
            moment(row[2]) if row[2] is not None else None,
            *row[3:],
            *(sum(counts[row[0]].values()), *(counts[row[0]].get(state, 0) for state in ENDS)),
        )
        for row in found
    ]


def _table(records: Sequence[UnitRecord]) -> pa.Table:
    return pa.table(
        [pa.array([getattr(one, field.name) for one in records], field.type) for field in UNITS], schema=UNITS
    )
