"""Look-ups: Medications and Specimens that what was read refers to."""

from collections.abc import Iterator, Sequence

from fhiradapter.fhir.pages import refuse
from fhiradapter.fhir.units import Fetched, Tombstone, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.absences import explain
from fhiradapter.sync.queries import IDS_AT_ONCE, Query, by_id, portions
from fhiradapter.sync.reading import Portions, Reading, bounds
from fhiradapter.sync.windows import read_window

LOOKED_UP = ("Medication", "Specimen")
SEARCHES = 2  # by id, that an idle run may cost; with more ids the type's changes are read as a whole


def look_up(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield what is referred to and not in the store, and what changed of the rest since the unit's begin."""
    referred = sorted(reading.known.referred(unit.type))
    held = reading.known.held(unit.type)
    gathered = Portions(unit)
    missing = [key for key in referred if key not in held]
    ability = reading.ability(unit)
    if ability.feed is None:
        if missing:
            refuse(ability.refused or Reason.NOT_OFFERED, unit.type, ability.refused_status)
        yield Fetched(unit)
        return
    tombstones: list[Tombstone] = []
    for portion in portions(missing, 20 * IDS_AT_ONCE):
        found = explain(reading, unit.type, portion)
        gathered.entries += found.entries
        # Hidden from searches, it was found all the same.
        tombstones += [tombstone for tombstone in found.tombstones if tombstone.state != "hidden"]
        yield from gathered.full()
    wanted = [key for key, one in held.items() if one.state in {"current", "hidden"}]
    if wanted and not (ability.updates and unit.until):
        gathered.entries += reading.with_ids(unit.type, wanted)
    elif wanted:
        yield from _changed(unit, reading, wanted, gathered)
    yield Fetched(unit, gathered.entries, tuple(tombstones), unit.until)


def _changed(unit: Unit, reading: Reading, wanted: Sequence[str], gathered: Portions) -> Iterator[Fetched]:
    low, high = bounds(unit)
    everything = reading.ability(unit).everything
    if len(wanted) <= SEARCHES * IDS_AT_ONCE or low is None or not everything:
        queries = [Query(unit.type, (by_id(portion),)) for portion in portions(wanted)]
    else:
        queries = [Query(unit.type)]
    names = set(wanted)
    for query in queries:
        for part in read_window(reading.rest, query, low, high, ordered=reading.ability(unit).ordered):
            gathered.entries += [entry for entry in part.entries if entry.id in names]
            yield from gathered.full()
