"""Absences: what became of resources that a complete reading did not show."""

from collections.abc import Sequence
from typing import NamedTuple

from fhiradapter.fhir.instants import SECOND, instant, written
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.rest import Found
from fhiradapter.fhir.units import Absence, Tombstone
from fhiradapter.reasons import Reason
from fhiradapter.sync.reading import Reading

STATES: dict[int, Absence] = {410: "deleted", 404: "gone", 401: "access_lost", 403: "access_lost"}
UNREADABLE = frozenset({"", ".", ".."})  # as a part of a path they mean another place


class Absences(NamedTuple):
    """What was found out: resources that are there after all, and what is to be told of the others."""

    entries: list[Entry]
    tombstones: list[Tombstone]
    warnings: tuple[str, ...] = ()


def explain(reading: Reading, kind: str, ids: Sequence[str]) -> Absences:
    """Ask for each id: first by a search, as it may have come or moved meanwhile, then by itself.

    A resource that only the reading by id shows is hidden, as some servers do with merged Patients and with
    what was entered in error; it is kept and flagged.
    """
    if not ids:
        return Absences([], [])
    entries = reading.with_ids(kind, ids)
    shown = {entry.id for entry in entries}
    tombstones: list[Tombstone] = []
    warnings: tuple[str, ...] = ()
    for key in ids:
        if key in shown:
            continue
        if key in UNREADABLE:
            warnings = (Reason.NOT_FHIR,)
            continue
        found = reading.rest.read(kind, key)
        if found.entry is not None:
            entries.append(found.entry)
            tombstones.append(Tombstone(kind, key, "hidden", found.entry.updated))
        elif found.status in STATES:
            tombstones.append(Tombstone(kind, key, STATES[found.status], _at(found)))
        else:
            warnings = (Reason.QUERY_REFUSED,)
    return Absences(entries, tombstones, warnings)


def _at(found: Found) -> str | None:
    """Return the server's time, at which it was surely away."""
    moment = instant(found.date.isoformat()) if found.date is not None else None
    return written(moment - moment % SECOND) if moment is not None else None
