"""Status: what an operator wants to know of a store."""

from contextlib import closing
from pathlib import Path

import msgspec

from fhiradapter.errors import LockedError, UsageError
from fhiradapter.fhir.units import Unit
from fhiradapter.store import ledger
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.lock import Lock
from fhiradapter.store.place import Place, is_store
from fhiradapter.store.snapshot import open_snapshot


class Watermark(msgspec.Struct, frozen=True):
    """Up to when a type was read."""

    source: str
    type: str
    shard: str
    until: str


class Status(msgspec.Struct, frozen=True):
    """What is in a store, and how it got there."""

    runs: list[ledger.Run]
    watermarks: list[Watermark]
    resources: dict[str, dict[str, int]]
    """Type to state (current, hidden, access_lost, deleted, gone) to count."""
    quarantine: dict[str, int]
    """Reason to count."""
    failed: list[Unit]
    received: dict[str, dict[str, dict[str, int]]]
    """What the last run received: type to fate to reason to count; '' is no reason."""
    warnings: dict[str, int]
    """What servers remarked during the last run: code to count."""


def status(database: Database, runs: int = 10) -> Status:
    """Return the status of an open store."""
    last = ledger.runs(database, runs)
    resources: dict[str, dict[str, int]] = {}
    for kind, state, count in database.rows(
        "SELECT resource_type, state, count(*) FROM base.resources GROUP BY ALL ORDER BY ALL"
    ):
        resources.setdefault(kind, {})[state] = count
    return Status(
        runs=last,
        watermarks=[
            Watermark(*row)
            for row in database.rows("SELECT source, type, shard, until FROM base.watermarks ORDER BY ALL")
        ],
        resources=resources,
        quarantine=dict(
            database.rows(
                "SELECT reason, count(*) FROM base.resources WHERE fate = 'quarantined'"
                " AND state NOT IN ('deleted', 'gone') GROUP BY ALL ORDER BY ALL"
            )
        ),
        failed=ledger.failed_units(database),
        received=dict(ledger.received(database, last[0].run_id)) if last else {},
        warnings=dict(
            database.rows(
                "SELECT code, count(*) FROM base.warnings WHERE run_id = ? GROUP BY ALL ORDER BY ALL",
                [last[0].run_id if last else ""],
            )
        ),
    )


def read_status(folder: Path, runs: int = 10) -> Status:
    """Return the status of a store; while a run holds it, that of its last snapshot.

    Raises UsageError when there is no store.
    """
    place = Place(folder)
    if not is_store(folder) or not place.database.exists():
        raise UsageError(f"{folder}: is no store")
    try:
        lock = Lock(place.lock)
    except LockedError:
        with closing(open_snapshot(folder)) as database:
            return status(database, runs)
    try:
        with closing(Database(place.database, Disk())) as database:
            return status(database, runs)
    finally:
        lock.release()
