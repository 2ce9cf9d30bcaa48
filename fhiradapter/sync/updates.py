"""Updates: what changed of a type since it was last read, as the server tells it."""

from collections.abc import Iterator

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.instants import instant, written
from fhiradapter.fhir.pages import Entry, refuse
from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.absences import explain
from fhiradapter.sync.naming import named
from fhiradapter.sync.queries import Query
from fhiradapter.sync.reading import ENTRIES_AT_ONCE, PATIENT_TYPE, Reading, bounds, part_of
from fhiradapter.sync.windows import Part, read_window


def updates(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield a unit's window in parts, each complete up to its own watermark."""
    low, high = bounds(unit)
    queries = list(reading.queries(unit.type, unit.patients))
    begin, rows = unit.since, 0
    entries: list[Entry] = []
    warnings: set[str] = set()
    unseen = set(unit.patients if unit.type == PATIENT_TYPE and unit.since is None else ())
    for query in queries:
        for part in _parts(reading, query, low, high):
            entries += part.entries
            warnings.update(part.warnings)
            rows += len(part.entries)
            unseen.difference_update([entry.id for entry in part.entries] if unseen else ())
            if len(entries) < ENTRIES_AT_ONCE or part.upto == high:
                continue
            if len(queries) > 1:
                # None of several searches is complete before the last one is.
                yield Fetched(part_of(unit, rows), entries, (), None, tuple(sorted(warnings)))
            else:
                upto = written(part.upto)
                yield Fetched(_part(unit, begin, upto), entries, (), upto, tuple(sorted(warnings)))
                begin = upto
            entries = []
    if rows == 0 and not reading.ability(unit).proven and not _is_held(unit, reading):
        _ask_plainly(reading, queries[0], high)
    last = unit if begin == unit.since else _part(unit, begin, unit.until or "")
    # Patients who were merged into others are often found by their ids alone.
    absences = explain(reading, unit.type, sorted(unseen))
    warnings.update(absences.warnings)
    yield Fetched(
        last, [*entries, *absences.entries], tuple(absences.tombstones), unit.until, tuple(sorted(warnings))
    )


def _parts(reading: Reading, query: Query, low: int | None, high: int) -> Iterator[Part]:
    ordered = reading.abilities[query.kind].ordered
    return read_window(reading.rest, query, low, high, ordered=ordered)


def _part(unit: Unit, since: str | None, until: str) -> Unit:
    return named(unit._replace(since=since, until=until))


def _is_held(unit: Unit, reading: Reading) -> bool:
    return reading.known.count(unit.type, before=unit.until or "", patients=unit.patients or None) > 0


def _ask_plainly(reading: Reading, query: Query, high: int) -> None:
    """Refuse an empty window of a type of which no resource was seen yet, if there are some after all.

    Some servers answer with nothing when they do not know a parameter.
    """
    try:
        page = reading.rest.search(query.kind, query.parameters, count=1)
    except RefusedAnswerError:
        return
    times = [instant(entry.updated) for entry in page.entries]
    if any(time is None or time < high for time in times):
        refuse(Reason.FILTER_IGNORED, query.kind, 200)
