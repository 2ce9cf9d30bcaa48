"""Updates: what changed of a type since it was last read, as the server tells it."""

from collections.abc import Iterator

from fhiradapter.errors import RefusedAnswerError, ServerError
from fhiradapter.fhir.instants import instant, written
from fhiradapter.fhir.pages import Entry, refuse
from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.absences import explain
from fhiradapter.sync.lags import mark_of
from fhiradapter.sync.naming import named
from fhiradapter.sync.queries import Query
from fhiradapter.sync.reading import ENTRIES_AT_ONCE, PATIENT_TYPE, Reading, bounds, part_of
from fhiradapter.sync.windows import read_window


def updates(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield a unit's window in parts, each complete up to its own watermark.

    What was read before a ServerError is yielded before the error is raised.
    """
    queries = list(reading.queries(unit.type, unit.patients))
    gathered = _Gathered(unit, reading)
    if len(queries) == 1:
        yield from _one_search(reading, queries[0], gathered)
    else:
        yield from _several_searches(reading, queries, gathered)
    if (
        gathered.rows == 0
        and not reading.sifts(unit)
        and not reading.ability(unit).proven
        and not _is_held(unit, reading)
    ):
        _ask_plainly(reading, queries[0], bounds(unit)[1])
    # Patients who were merged into others are often found by their ids alone.
    absences = explain(reading, unit.type, sorted(gathered.unseen))
    gathered.entries += absences.entries
    gathered.warnings.update(absences.warnings)
    yield gathered.last()._replace(deleted=tuple(absences.tombstones))


class _Gathered:
    """What was read of a unit and not handed on yet."""

    def __init__(self, unit: Unit, reading: Reading) -> None:
        self.unit, self._reading = unit, reading
        # Where nobody asks for some Patients alone, who is new among them seems late.
        self._mark = None if reading.sifts(unit) else mark_of(unit, reading.known)
        self.begin = unit.since
        self.entries: list[Entry] = []
        self.warnings: set[str] = set()
        self.rows = 0
        self.unseen = set(unit.patients if unit.type == PATIENT_TYPE and unit.since is None else ())

    def add(self, entries: list[Entry], warnings: tuple[str, ...]) -> None:
        self._reading.lags.note(self.unit, self._mark, entries, self._reading.known)
        self.entries += entries
        self.rows += len(entries)
        self.warnings.update(warnings)
        if self.unseen:
            self.unseen.difference_update(entry.id for entry in entries)

    def upto(self, moment: int) -> Fetched:
        """Return what there is, complete up to a moment of the window, and begin anew."""
        end = written(moment)
        unit = named(self.unit._replace(since=self.begin, until=end))
        entries, self.entries, self.begin = self.entries, [], end
        return Fetched(unit, entries, (), end, tuple(sorted(self.warnings)))

    def beside(self) -> Fetched:
        """Return what there is, without saying up to when it is complete, and begin anew."""
        entries, self.entries = self.entries, []
        return Fetched(part_of(self.unit, self.rows), entries, (), None, tuple(sorted(self.warnings)))

    def last(self) -> Fetched:
        unit = self.unit if self.begin == self.unit.since else named(self.unit._replace(since=self.begin))
        return Fetched(unit, self.entries, (), self.unit.until, tuple(sorted(self.warnings)))


def _one_search(reading: Reading, query: Query, gathered: _Gathered) -> Iterator[Fetched]:
    low, high = bounds(gathered.unit)
    ordered = reading.abilities[query.kind].ordered
    reached: int | None = None
    try:
        for part in read_window(reading.rest, query, low, high, ordered=ordered):
            gathered.add(reading.sifted(gathered.unit, part.entries), part.warnings)
            reached = part.upto
            if len(gathered.entries) >= ENTRIES_AT_ONCE and reached < high:
                yield gathered.upto(reached)
    except ServerError:
        if gathered.entries and reached is not None:
            yield gathered.upto(reached)
        raise


def _several_searches(reading: Reading, queries: list[Query], gathered: _Gathered) -> Iterator[Fetched]:
    """Read one search after the other; none is complete before the last one is."""
    low, high = bounds(gathered.unit)
    ordered = reading.abilities[gathered.unit.type].ordered
    for query in queries:
        for part in read_window(reading.rest, query, low, high, ordered=ordered):
            gathered.add(reading.sifted(gathered.unit, part.entries), part.warnings)
            if len(gathered.entries) >= ENTRIES_AT_ONCE:
                yield gathered.beside()


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
