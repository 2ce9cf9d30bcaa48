"""The probe: how each type of a server can be read, learnt by trying rather than from what it says."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from fhiradapter.errors import ServerError, TransientServerError
from fhiradapter.fhir.capabilities import Capabilities, Offer
from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.pages import Page
from fhiradapter.fhir.rest import Parameters, Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability, Kept, are_ordered, as_asked_for, as_the_others
from fhiradapter.sync.queries import about
from fhiradapter.sync.subjects import patient_of

FUTURE = "2999-01-01T00:00:00.000Z"
NOBODY = "fhiradapter-nobody"  # an id that no server has
SAMPLES = 5
PAGE_SIZES = (500, 250, 100, 50, 20, 10)  # tried where larger ones are refused
ASKED = 2  # times before a refusal is believed: a proxy's bad minute must not decide how a week is read
BROKEN = frozenset({500, 501})  # some servers answer so to a parameter that they do not know
UNTRIED: Offer = Offer(frozenset(), frozenset())
SUBJECTS = ("patient", "subject", "individual")  # AdverseEvent has `subject`, ResearchSubject `individual`
# Where a search has to name a category as well (Epic), these are asked for one by one: the value sets of
# http://hl7.org/fhir/R4/valueset-observation-category.html and of US Core's conditions.
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Observation": (
        "laboratory",
        "vital-signs",
        "survey",
        "exam",
        "procedure",
        "imaging",
        "social-history",
        "therapy",
        "activity",
    ),
    "Condition": ("problem-list-item", "encounter-diagnosis", "health-concern"),
}


def probe(
    rest: Rest,
    capabilities: Capabilities,
    kinds: Collection[str],
    *,
    patients: Sequence[str] = (),
    overruled: Mapping[str, Kept] | None = None,
) -> dict[str, Ability]:
    """Return how each type is read; `patients` are some that the server has, `overruled` the settings' feeds.

    Raises the ServerError of a server that fails each time, as nothing can be said of it then.
    """
    found = {
        kind: _Probe(rest, kind, capabilities.types.get(kind, UNTRIED), patients[:SAMPLES]).ability()
        for kind in kinds
    }
    proven = [ability for ability in found.values() if ability.proven and ability.refused is None]
    for kind, ability in found.items():
        if not ability.proven and ability.feed == "reread" and ability.everything:
            found[kind] = as_the_others(ability, proven)
        elif ability.tied:
            found[kind] = msgspec.structs.replace(ability, ordered=are_ordered(proven))
        wanted = (overruled or {}).get(kind)
        if wanted is not None and ability.refused is None:
            found[kind] = as_asked_for(found[kind], wanted)
    return found


class _Probe:
    """Tries one type."""

    def __init__(self, rest: Rest, kind: str, offer: Offer, patients: Sequence[str]) -> None:
        self.rest, self.kind, self.offer, self.patients = rest, kind, offer, patients
        self.why: list[str] = []
        self.refusal: ServerError | None = None

    def ability(self) -> Ability:
        everything = self._rows(()) is not None
        if self.refusal is not None and self.refusal.reason in {Reason.FORBIDDEN, Reason.NOT_OFFERED}:
            return self._refused(self.refusal)
        patient = "_id" if self.kind == "Patient" else self._patient_parameter()
        scope: Parameters = ()
        categories: tuple[str, ...] = ()
        if not everything:
            allowed = self._scope(patient)
            if allowed is None:
                return self._refused(self.refusal)
            scope, categories = allowed
        scope = (*scope, *self._category(categories))
        first = self._rows(scope)
        updates = self._obeys_updated(scope, first)
        ordered, tied = self._obeys_sort(scope) if updates else (False, False)
        if updates:
            self.why.append(
                "_lastUpdated is obeyed" + ("" if ordered else ", _sort=_lastUpdated is not proven")
            )
        return Ability(
            feed="updated" if updates else "reread",
            patient=patient,
            several=patient is not None and self._takes_lists(patient, scope),
            everything=everything,
            ordered=ordered,
            tied=tied,
            history=self._has_history(),
            counts=(total := self._total(scope)) is not None,
            total=total if everything else None,
            updates=updates,
            categories=categories,
            page_size=self._page_size(scope),
            proven=bool(first and first.entries),
            why=tuple(self.why),  # the last to be looked at: each of the others may have added to it
        )

    def _refused(self, error: ServerError | None) -> Ability:
        reason = Reason(error.reason) if error is not None else Reason.QUERY_REFUSED
        status = error.status if error is not None else None
        self.why.append(f"searches are refused: {reason}" + (f", status {status}" if status else ""))
        return Ability(None, tuple(self.why), refused=reason, refused_status=status)

    def _rows(self, parameters: Parameters, *, count: int = 2) -> Page | None:
        """Return a page, or null when the server refuses the search."""
        refusal: ServerError | None = None
        for _ in range(ASKED):
            try:
                return self.rest.search(self.kind, parameters, count=count, strict=True)
            except ServerError as error:
                if isinstance(error, TransientServerError) and error.status not in BROKEN:
                    raise
                refusal = error
        self.refusal = refusal
        return None

    def _category(self, categories: tuple[str, ...]) -> Parameters:
        return (("category", categories[0]),) if categories else ()

    def _patient_parameter(self) -> str | None:
        """Return the first parameter that gives nothing for somebody who is not there."""
        named = [name for name in SUBJECTS if name in self.offer.searches]
        for name in named or SUBJECTS:
            for category in ((), self._category(CATEGORIES.get(self.kind, ()))):
                page = self._rows((about(name, [NOBODY]), *category), count=1)
                if page is not None and page.entries:
                    self.why.append(f"`{name}` is ignored")
                    break
                if page is not None:
                    return name
        # An id that is not there may be refused: then one that is there tells.
        for name in named or SUBJECTS:
            if self.patients and self._mine(name) is not None:
                return name
        self.why.append("no parameter asks for one Patient's resources")
        return None

    def _mine(self, name: str) -> Page | None:
        page = self._rows((about(name, self.patients[:1]),))
        if page is None or any(patient_of(entry.content) != self.patients[0] for entry in page.entries):
            return None
        return page

    def _scope(self, patient: str | None) -> tuple[Parameters, tuple[str, ...]] | None:
        """Return a Patient with such resources, where searches need one, and the categories if they do."""
        self.why.append("searches need a Patient")
        if patient is None or not self.patients:
            return None
        wanted = CATEGORIES.get(self.kind, ())
        allowed: tuple[Parameters, tuple[str, ...]] | None = None
        for key in self.patients:
            one = (about(patient, [key]),)
            page = self._rows(one)
            categories: tuple[str, ...] = ()
            if page is None and wanted:
                page, categories = self._rows((*one, *self._category(wanted))), wanted
            if page is not None:
                allowed = allowed or (one, categories)
                if page.entries:
                    allowed = one, categories
                    break
        if allowed is None:
            return None
        if allowed[1]:
            self.why.append(f"searches need a category: {', '.join(wanted)} are read")
        return allowed

    def _obeys_updated(self, scope: Parameters, first: Page | None) -> bool:
        """Return True when rows come for a time that has passed, and none for one that has not."""
        older = self._rows((*scope, ("_lastUpdated", f"lt{FUTURE}")))
        if older is None:
            self.why.append("_lastUpdated is refused")
            return False
        newer = self._rows((*scope, ("_lastUpdated", f"ge{FUTURE}")))
        if newer is None or newer.entries or (newer.self and "_lastUpdated" not in newer.self):
            self.why.append("_lastUpdated is ignored")
            return False
        if not first or not first.entries:
            self.why.append("the type is empty, so nothing is proven")
            return False
        if not older.entries:
            self.why.append("_lastUpdated gives nothing, although there is something")
            return False
        if any(instant(entry.updated) is None for entry in older.entries):
            self.why.append("resources do not show when they were updated")
            return False
        return True

    def _obeys_sort(self, scope: Parameters) -> tuple[bool, bool]:
        """Return whether rising and falling order give rising and falling times, and whether all are one."""
        past = ("_lastUpdated", f"lt{FUTURE}")
        times = []
        for order in ("_lastUpdated", "-_lastUpdated", "_lastUpdated"):  # others may write in between
            page = self._rows((*scope, past, ("_sort", order)))
            if page is None or (page.self and "_sort" not in page.self):
                return False, False
            times.append([instant(entry.updated) or 0 for entry in page.entries])
        rising, falling, again = times
        obeyed = falling == sorted(falling, reverse=True)
        if not (rising and falling and obeyed and rising == sorted(rising) and again == sorted(again)):
            return False, False
        return rising[0] < falling[0], rising[0] == falling[0]

    def _takes_lists(self, patient: str, scope: Parameters) -> bool:
        """Return True when a list with somebody who is not there gives what the other one has."""
        if self.kind == "Patient":
            known = list(self.patients[:1])
        else:
            page = self._rows(scope)
            owners = [patient_of(entry.content) for entry in page.entries] if page else []
            known = [owner for owner in owners if owner is not None][:1]
        if not known:
            return False
        rest = tuple(parameter for parameter in scope if parameter[0] != patient)
        for ids in ((known[0], NOBODY), (NOBODY, known[0])):
            page = self._rows((about(patient, ids), *rest), count=1)
            if page is None or not page.entries:
                self.why.append("Patients are asked for one by one")
                return False
        return True

    def _page_size(self, scope: Parameters) -> int | None:
        """Return a smaller page size where the usual one is refused; null where it is taken, or cut."""
        usual = self.rest.page_size
        for size in (usual, *(size for size in PAGE_SIZES if size < usual)):
            page = self._rows(scope, count=size)
            if page is None:
                continue
            if page.next is not None and 0 < len(page.entries) < size:
                self.why.append(f"pages hold at most {len(page.entries)}")
            if size < usual:
                self.why.append(f"pages of {usual} are refused, of {size} are not")
            return size if size < usual else None
        return None

    def _has_history(self) -> bool:
        if self.offer.interactions and "history-type" not in self.offer.interactions:
            return False
        for _ in range(ASKED):
            try:
                next(self.rest.pages(self.kind, (("_since", FUTURE),), count=1, history=True), None)
            except ServerError:
                continue
            return True
        return False

    def _total(self, scope: Parameters) -> int | None:
        for _ in range(ASKED):
            try:
                return self.rest.total(self.kind, scope).number
            except ServerError:
                continue
        return None
