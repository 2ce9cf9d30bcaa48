"""Rereads: a type read in full, Patient by Patient, where a server does not tell what changed."""

from collections.abc import Iterator, Sequence

from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.units import Fetched, Tombstone, Unit
from fhiradapter.sync.absences import explain
from fhiradapter.sync.queries import Query
from fhiradapter.sync.reading import PATIENT_TYPE, Portions, Reading
from fhiradapter.sync.stable import read_stable

KEPT = frozenset({"current", "hidden", "access_lost"})  # what was deleted comes back by itself, or not


def reread(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield all that a server has of a unit's Patients, and what became of what it does not show any more.

    What did not change is told by its content when it is stored. A page is one state of the server: Patients
    are asked for in ever smaller groups until a page holds all of them, and a single one who needs several
    pages is read until two readings agree.
    """
    portions = Portions(unit)
    tombstones: list[Tombstone] = []
    warnings: set[str] = set()
    waiting: list[Sequence[str]] = [unit.patients]
    while waiting:
        patients = waiting.pop()
        alone = len(patients) <= 1 or reading.sifts(unit)
        if not alone and not reading.ability(unit).several:
            waiting += [(patient,) for patient in patients]
            continue
        entries = _read(unit, reading, patients, warnings, alone=alone)
        if entries is None:
            half = len(patients) // 2
            waiting += [patients[:half], patients[half:]]
            continue
        entries = reading.sifted(unit, entries)
        portions.entries += entries
        seen = {entry.id for entry in entries}
        held = reading.known.held(unit.type, patients=patients or None)
        missing = [key for key, one in held.items() if one.state in KEPT and key not in seen]
        if unit.type == PATIENT_TYPE:
            missing += [key for key in patients if key not in seen and key not in held]
        absences = explain(reading, unit.type, missing)
        portions.entries += absences.entries
        tombstones += absences.tombstones
        warnings.update(absences.warnings)
        if waiting:
            yield from portions.full()
    yield Fetched(unit, portions.entries, tuple(tombstones), unit.until, tuple(sorted(warnings)))


def _read(
    unit: Unit, reading: Reading, patients: Sequence[str], warnings: set[str], *, alone: bool
) -> list[Entry] | None:
    """Return the resources of some Patients; null when a page is too small and fewer can be asked for."""
    entries: list[Entry] = []
    for query in reading.queries(unit.type, patients):
        found = _one_page(reading, query, warnings)
        if found is None and not alone:
            return None
        entries += read_stable(reading.rest, query) if found is None else found
    return entries


def _one_page(reading: Reading, query: Query, warnings: set[str]) -> list[Entry] | None:
    page = reading.rest.search(query.kind, query.parameters)
    warnings.update(page.warnings)
    return page.entries if page.next is None else None
