"""Quarantine: resources of which the newest version cannot be used, and why."""

from pathlib import Path

import msgspec

from fhiradapter.errors import UsageError
from fhiradapter.store.database import Database
from fhiradapter.store.raw import read_places

LISTED = """
SELECT r.source, r.resource_type, r.resource_id, r.version_id, r.reason, r.file, r.line,
    r.shown_file IS NOT NULL, i.path, i.detail
FROM base.resources r LEFT JOIN (
    SELECT source, source_file, source_line, min(path) AS path, min(detail) AS detail FROM base.issues
    WHERE disposition = 'quarantined' GROUP BY ALL
) i ON i.source = r.source AND i.source_file = r.file AND i.source_line = r.line
WHERE r.fate = 'quarantined' AND r.state NOT IN ('deleted', 'gone') AND ($1::VARCHAR IS NULL OR r.reason = $1)
ORDER BY ALL"""


class Quarantined(msgspec.Struct, frozen=True):
    """One resource in quarantine; nothing of its content but the element at fault."""

    source: str
    type: str
    id: str
    version: str | None
    reason: str
    file: str
    line: int
    shown: bool
    """True when an older version of it is in the cohort."""
    path: str | None
    detail: str | None


def quarantined(database: Database, reason: str | None = None) -> list[Quarantined]:
    """Return what is in quarantine, or what is there for one reason."""
    return [Quarantined(*row) for row in database.rows(LISTED, [reason])]


def show(database: Database, raw: Path, source: str, kind: str, id: str) -> bytes:  # noqa: A002 - FHIR's own name
    """Return the newest version of a resource as it was sent: patient content, for those who asked for it.

    Raises UsageError when the store does not have it.
    """
    places = database.rows(
        "SELECT file, line FROM base.resources WHERE source = ? AND resource_type = ? AND resource_id = ?",
        [source, kind, id],
    )
    if not places or places[0][0] is None:
        raise UsageError(f"{kind}/{id}: is not in the store")
    return read_places(raw, places)[places[0]]
