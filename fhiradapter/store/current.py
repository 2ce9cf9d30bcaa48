"""Current resources: the newest version of each as it was sent, and up to when all of them were read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from fhiradapter.store.database import Database
from fhiradapter.store.raw import read_places

PLACES = """
SELECT resource_type, file, line FROM base.resources
WHERE state NOT IN ('deleted', 'gone') AND file IS NOT NULL ORDER BY ALL"""


def current_resources(database: Database, raw: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the bytes of every resource that is not deleted, by type; one raw file at a time."""
    for (kind, file), rows in groupby(database.rows(PLACES), key=lambda row: (row[0], row[1])):
        found = read_places(raw, [(file, row[2]) for row in rows])
        for place in sorted(found):
            yield kind, found[place]


def read_up_to(database: Database) -> datetime | None:
    """Return the moment up to which every type was read; None when nothing was."""
    marks = database.rows("SELECT min(until) FROM base.watermarks")
    text = marks[0][0] if marks else None
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
