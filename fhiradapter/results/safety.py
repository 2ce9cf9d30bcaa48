"""What harm was seen, and on which sources that rests."""

from datetime import date

from fhiradapter.results.base import Result
from fhiradapter.results.incidence import Incidence
from fhiradapter.results.laboratory import LabAbnormalities
from fhiradapter.results.liver import HysLaw
from fhiradapter.results.reactions import ReactionCandidates, SpecialEvent
from fhiradapter.results.vital_signs import VitalSigns


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
    incidence: Incidence | None = None  # among the subjects with a dose


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
    laboratory: LabAbnormalities | None = None  # null without treatment, or where no Observation was read
    hys_law: HysLaw | None = None
    vital_signs: VitalSigns | None = None
    reactions: ReactionCandidates | None = None
    special_interest: tuple[SpecialEvent, ...] = ()
