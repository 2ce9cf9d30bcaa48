"""What harm was seen, and on which sources that rests."""

from datetime import date

from fhiradapter.results.base import Interval, Result


class Incidence(Result, frozen=True, kw_only=True):
    """Subjects with at least one event, with both intervals in percent."""

    count: int
    n: int
    events: int
    percent: float | None
    clopper_pearson: Interval | None
    wilson: Interval | None
    person_years: float | None = None  # at risk; null where it is not counted
    rate_per_100_person_years: float | None = None
    rate_interval: Interval | None = None  # exact Poisson


class Term(Result, frozen=True, kw_only=True):
    """One adverse-event term, each subject once at the worst grade."""

    system: str | None
    term: str
    subjects: int
    events: int
    by_worst_grade: dict[str, int]  # "1".."5", "unknown" -> subjects
    row_ids: tuple[str, ...] = ()  # of the events, in the table of events


class LabShift(Result, frozen=True, kw_only=True):
    """Baseline grade against worst grade after first dose, in subjects."""

    test: str
    direction: str
    grade_shift: dict[str, dict[str, int]]
    not_gradable: int
    treatment_emergent: int
    term: str | None = None  # CTCAE term that the test is graded by


class DoseLimiting(Result, frozen=True, kw_only=True):
    """Dose-limiting toxicities by the study's rule."""

    n: int
    events: tuple[str, ...]
    rule: str


class Coverage(Result, frozen=True, kw_only=True):
    """What a safety table rests on."""

    read: bool
    received: int
    mapped: int
    first_on: date | None
    last_on: date | None
    statement: str


class Safety(Result, frozen=True, kw_only=True):
    """What harm was seen, and on which sources that rests."""

    overview: dict[str, Incidence]
    terms: tuple[Term, ...]
    labs: tuple[LabShift, ...]
    ctcae_version: str
    dose_limiting: DoseLimiting | None
    notes: dict[str, int]
    sources: dict[str, Coverage]
