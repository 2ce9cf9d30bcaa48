"""Quarantine: resources of which the newest version cannot be used, and why."""

import re
from hashlib import sha256
from pathlib import Path

import msgspec

from fhiradapter.errors import UsageError
from fhiradapter.store.database import Database
from fhiradapter.store.raw import read_places

ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")  # as FHIR allows it
UNREADABLE = re.compile(r"\(unreadable\) [0-9a-f]+\Z")  # a name that the store gave
DIGEST = "sha256-"  # in place of an id that is not shown
LENGTH = 16

LISTED = """
SELECT r.source, r.resource_type, r.resource_id, r.version_id, r.reason, r.file, r.line,
    r.shown_file IS NOT NULL, i.path, i.detail
FROM base.resources r LEFT JOIN (
    SELECT source, source_file, source_line, min(path) AS path, min(detail) AS detail FROM base.issues
    WHERE disposition = 'quarantined' GROUP BY ALL
) i ON i.source = r.source AND i.source_file = r.file AND i.source_line = r.line
WHERE r.fate = 'quarantined' AND r.state NOT IN ('deleted', 'gone') AND ($1::VARCHAR IS NULL OR r.reason = $1)
ORDER BY ALL"""


PLACE = "SELECT file, line FROM base.resources WHERE source = ? AND resource_type = ?"


class Quarantined(msgspec.Struct, frozen=True):
    """One resource in quarantine; nothing of its content but the element at fault."""

    source: str
    type: str
    id: str
    """A Patient's, or one that FHIR does not allow, as a digest."""
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
    return [
        Quarantined(source, kind, shown_id(kind, id_), *rest)
        for source, kind, id_, *rest in database.rows(LISTED, [reason])
    ]


def shown_id(kind: str, id: str) -> str:  # noqa: A002 - FHIR's own name
    """Return an id as lists show it: that of a Patient leads to a person, and what is no id may be anything.

    >>> shown_id("Observation", "o-1"), shown_id("Patient", "p-1")
    ('o-1', 'sha256-1dee6e3ec67dc803')
    """
    if UNREADABLE.match(id) or (kind != "Patient" and ID.match(id)):
        return id
    return f"{DIGEST}{sha256(id.encode()).hexdigest()[:LENGTH]}"


def show(database: Database, raw: Path, source: str, kind: str, id: str) -> bytes:  # noqa: A002 - FHIR's own name
    """Return the newest version of a resource as it was sent: patient content, for those who asked for it.

    `id` may be a digest, as lists show it. Raises UsageError when the store does not have it.
    """
    places = database.rows(f"{PLACE} AND resource_id = ?", [source, kind, id])
    if not places and id.startswith(DIGEST):
        digest = id.removeprefix(DIGEST)
        places = database.rows(f"{PLACE} AND left(sha256(resource_id), {LENGTH}) = ?", [source, kind, digest])
    if not places or places[0][0] is None:
        raise UsageError(f"{kind}/{id}: is not in the store")
    return read_places(raw, places)[places[0]]
