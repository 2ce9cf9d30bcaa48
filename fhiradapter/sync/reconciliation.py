"""Reconciliation: the ids and versions of a whole type on the server, beside those of the store."""

from collections.abc import Iterator
from typing import NamedTuple

from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.units import Fetched, Tombstone, Unit
from fhiradapter.sync.absences import explain
from fhiradapter.sync.known import Held
from fhiradapter.sync.reading import Portions, Reading, bounds
from fhiradapter.sync.windows import read_window

UNSEEN = frozenset({"hidden", "access_lost"})
ONLY_NAMES = ("_elements", "id,meta")


class Differences(NamedTuple):
    """In what the store differs from the server."""

    missing: list[str]
    changed: list[str]
    extra: list[str]
    hidden: list[str]
    """What was not shown before either, although it was there."""


def reconcile(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield what the store lacks or has otherwise, and what became of what the server does not list.

    The counts are in the warnings, as `RECONCILED missing=0 changed=0 extra=0`.
    """
    if unit.since == unit.until:  # everything was read in this very run
        yield Fetched(unit, watermark=unit.until)
        return
    differences = compare(unit, reading)
    portions = Portions(unit)
    portions.entries += reading.with_ids(unit.type, [*differences.missing, *differences.changed])
    yield from portions.full()
    absences = explain(reading, unit.type, [*differences.extra, *differences.hidden])
    tombstones: tuple[Tombstone, ...] = tuple(absences.tombstones)
    # What changed since the unit's end is not listed either, and is there all the same.
    extra = sum(tombstone.id not in differences.hidden for tombstone in tombstones)
    counts = f"missing={len(differences.missing)} changed={len(differences.changed)} extra={extra}"
    warnings = (*absences.warnings, f"RECONCILED {counts}")
    yield Fetched(unit, [*portions.entries, *absences.entries], tombstones, unit.until, warnings)


def compare(unit: Unit, reading: Reading) -> Differences:
    """Return in what the store differs from the server's list up to the unit's end."""
    _, high = bounds(unit)
    ordered = reading.ability(unit).ordered
    listed: dict[str, Entry] = {}
    for query in reading.queries(unit.type, unit.patients):
        names = query if reading.sifts(unit) else query.also(ONLY_NAMES)
        for part in read_window(reading.rest, names, None, high, ordered=ordered):
            entries = reading.sifted(unit, part.entries)
            listed.update((entry.id, entry._replace(content=b"")) for entry in entries)
    held = reading.known.held(unit.type, patients=unit.patients or None)
    elsewhere = reading.known.held(unit.type, ids=[key for key in listed if key not in held])
    missing, changed = [], []
    for key, entry in listed.items():
        one = held.get(key) or elsewhere.get(key)
        if one is None or one.state != "current":
            missing.append(key)
        elif _is_older(one, entry):
            changed.append(key)
    unlisted = [(key, one.state) for key, one in held.items() if key not in listed]
    extra = [key for key, state in unlisted if state == "current"]
    return Differences(missing, changed, extra, [key for key, state in unlisted if state in UNSEEN])


def _is_older(held: Held, listed: Entry) -> bool:
    """Return True when the server's version is another one, and not one from before the store's."""
    if held.version is not None and listed.version is not None and held.version == listed.version:
        return False
    ours, theirs = instant(held.updated), instant(listed.updated)
    if ours is None or theirs is None:
        return held.version != listed.version
    return theirs > ours or (theirs == ours and held.version != listed.version)
