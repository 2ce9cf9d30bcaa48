"""Snapshots: a copy of the database that readers use while the next run writes."""

from itertools import chain, count
from pathlib import Path

import pyarrow as pa

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import FhirAdapterError, UsageError
from fhiradapter.reasons import IGNORED, QUARANTINED
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.place import SNAPSHOT, Place

KEPT = 2  # the one before the current one is still being read
TRIES = 20
PART = "unfinished"
ACCOUNTED = "SELECT resource_type, fate, reason, sum(count)::BIGINT FROM accounts GROUP BY ALL ORDER BY ALL"


def publish(place: Place, name: str, disk: Disk) -> None:
    """Copy the database, of which nothing is in memory only, and let readers find the copy.

    Readers see the old copy or the new one and nothing in between. `name` is one from `free_name`.
    """
    folder = place.published / name
    part = place.published / PART
    if part.exists():
        disk.remove(part)
    disk.make_folder(part)
    disk.copy(place.database, part / SNAPSHOT)
    disk.sync_folder(part)
    disk.rename(part, folder)
    link = place.published / "next"
    disk.link(folder.name, link)
    disk.rename(link, place.current)
    disk.sync_folder(place.published)
    _forget(place, disk)


def free_name(place: Place, run_id: str) -> str:
    """Return the name of a run's snapshot: its own, with a number when it has published before."""
    names = chain([run_id], (f"{run_id}-{number}" for number in count(2)))
    return next(name for name in names if not (place.published / name).exists())


def published_name(place: Place) -> str | None:
    """Return the name of the current snapshot; None when nothing was published."""
    return place.current.readlink().name if place.current.is_symlink() else None


def snapshot_path(folder: Path) -> Path:
    """Return the file of the current snapshot.

    Raises UsageError when nothing was published.
    """
    place = Place(folder)
    try:
        return place.published / place.current.readlink() / SNAPSHOT
    except OSError as error:
        raise UsageError(f"{folder}: no run of this store has ended yet") from error


def open_snapshot(folder: Path) -> Database:
    """Open the current snapshot for reading; a sync that goes on meanwhile does not disturb it.

    Raises UsageError when nothing was published.
    """
    for _ in range(TRIES):
        path = snapshot_path(folder)
        try:
            return Database(path, Disk(), read_only=True)
        except FhirAdapterError:
            # Two runs may have ended since the link was read, and taken the copy away.
            if snapshot_path(folder) == path and path.exists():
                raise
    raise FhirAdapterError(f"{folder}: the snapshots change faster than they can be opened")


def read_snapshot(folder: Path) -> Cohort:
    """Return the cohort of a store as it was published last, with its accounts.

    Raises UsageError when nothing was published.
    """
    database = open_snapshot(folder)
    try:
        return read_cohort(database)
    finally:
        database.close()


def read_cohort(database: Database) -> Cohort:
    """Return the cohort of an open database, whose rows are in the order of their names."""
    tables = {}
    for table, schema in SCHEMAS.items():
        found = database.table(f"SELECT * FROM {table} ORDER BY row_id")
        tables[table] = pa.table(
            [column.cast(field.type) for column, field in zip(found.columns, schema, strict=True)],
            schema=schema,
        )
    return Cohort(tables, accounts(database))


def accounts(database: Database) -> dict[str, TypeAccount]:
    """Return what became of the current resources, by type."""
    found: dict[str, dict[str | None, dict[str | None, int]]] = {}
    for kind, fate, reason, number in database.rows(ACCOUNTED):
        found.setdefault(kind, {}).setdefault(fate, {})[reason] = number
    return {
        kind: TypeAccount(
            received=sum(sum(reasons.values()) for reasons in fates.values()),
            mapped=sum(fates.get("mapped", {}).values()),
            quarantined=sum(fates.get(QUARANTINED, {}).values()),
            ignored={str(reason): count for reason, count in fates.get(IGNORED, {}).items()},
        )
        for kind, fates in found.items()
    }


def _forget(place: Place, disk: Disk) -> None:
    """Remove all snapshots but the last ones; those who read one go on reading it."""
    folders = [path for path in place.published.iterdir() if path.is_dir() and not path.is_symlink()]
    folders.sort(key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    current = published_name(place)
    others = [path for path in folders if path.name != current]
    for path in others[KEPT - 1 :]:
        disk.remove(path)
