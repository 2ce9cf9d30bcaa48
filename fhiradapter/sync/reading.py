"""A reading: all that a unit's function is given beside the unit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.rest import Parameters, Rest
from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.known import Known
from fhiradapter.sync.lags import Lags
from fhiradapter.sync.queries import Query, about, by_id, portions
from fhiradapter.sync.stable import read_stable
from fhiradapter.sync.subjects import patient_of

ENTRIES_AT_ONCE = 5_000  # handed on together; at 1.5 kB each, four threads hold about 30 MB
PATIENT_TYPE = "Patient"


@dataclass(frozen=True)
class Reading:
    """One run's server, what is known of it, and what the store had after the last commit."""

    rest: Rest
    known: Known
    abilities: Mapping[str, Ability]
    lags: Lags = field(default_factory=Lags)

    def __post_init__(self) -> None:
        sizes = {kind: one.page_size for kind, one in self.abilities.items() if one.page_size is not None}
        object.__setattr__(self, "rest", self.rest.with_sizes(sizes))

    def ability(self, unit: Unit) -> Ability:
        """Return how a unit's type is read."""
        return self.abilities[unit.type]

    def queries(self, kind: str, patients: Sequence[str]) -> Iterator[Query]:
        """Yield the searches that together show a type, of some Patients or of all."""
        ability = self.abilities[kind]
        if not patients or ability.patient is None:
            groups: list[Parameters] = [()]
        elif ability.several:
            groups = [(about(ability.patient, patients),)]
        else:
            groups = [(about(ability.patient, [patient]),) for patient in patients]
        for group in groups:
            if not ability.categories or ability.everything:
                yield Query(kind, group)
            for category in () if ability.everything else ability.categories:
                yield Query(kind, (*group, ("category", category)))

    def sifts(self, unit: Unit) -> bool:
        """Return True where a unit's searches show others than its Patients, as none asks for them alone."""
        return bool(unit.patients) and self.ability(unit).patient is None

    def sifted(self, unit: Unit, entries: list[Entry]) -> list[Entry]:
        """Return the entries that are about a unit's Patients."""
        if not self.sifts(unit):
            return entries
        patients = frozenset(unit.patients)
        return [entry for entry in entries if patient_of(entry.content) in patients]

    def with_ids(self, kind: str, ids: Sequence[str]) -> list[Entry]:
        """Return those of some ids that a search shows; none where the server has no such search."""
        found: list[Entry] = []
        for portion in portions(ids):
            try:
                found += read_stable(self.rest, Query(kind, (by_id(portion),)))
            except RefusedAnswerError as error:
                if error.reason not in {Reason.QUERY_REFUSED, Reason.NOT_OFFERED}:
                    raise
                return found
        return [entry for entry in found if not entry.subsetted]


def part_of(unit: Unit, number: int) -> Unit:
    """Return the unit as which a part of it is handed on."""
    return unit if number == 0 else unit._replace(name=f"{unit.name}/{number}")


def bounds(unit: Unit) -> tuple[int | None, int]:
    """Return a unit's window in microseconds."""
    high = instant(unit.until)
    if high is None:
        raise ValueError(f"{unit.type}: a window needs an end")
    return instant(unit.since), high


class Portions:
    """Hands a unit's entries on some at a time, so that memory does not grow with the unit."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.entries: list[Entry] = []
        self.number = 0

    def full(self) -> Iterator[Fetched]:
        """Yield what has gathered, when it is enough; its watermark waits for the end."""
        if len(self.entries) >= ENTRIES_AT_ONCE:
            self.number += 1
            yield Fetched(part_of(self.unit, self.number), self.entries)
            self.entries = []
