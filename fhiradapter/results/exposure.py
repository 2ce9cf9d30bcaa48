"""What was given."""

from datetime import date

from fhiradapter.results.base import Result


class Infusion(Result, frozen=True, kw_only=True):
    """One administration of the study's product, given or missed."""

    subject_id: str
    row_id: str
    status: str
    started_on: date | None
    day: int | None  # study day: first dose is day 1, there is no day 0
    months: float | None  # since first dose
    cells: float | None
    planned_visit: int | None  # 1 is the first planned visit; null for an additional dose
    timing: str  # on_time, early, late, missed, additional
    same_day_discharge: bool | None
    notes: tuple[str, ...] = ()
    minutes: float | None = None  # from start to end


class SubjectExposure(Result, frozen=True, kw_only=True):
    """One subject's exposure."""

    subject_id: str
    infusions: int
    planned: int | None
    cells: float | None
    dose_intensity_percent: float | None
    duration_days: int | None
    longest_gap_days: int | None
    interrupted: int
    not_done: int
    on_time: int
    early: int
    late: int
    missed: int
    additional: int
    courses: int | None = None  # null where nothing says how long a gap may be


class Course(Result, frozen=True, kw_only=True):
    """Infusions of one subject without a gap longer than the schedule allows."""

    subject_id: str
    number: int  # 1 is the first
    infusions: int
    first_on: date | None
    last_on: date | None
    days: int  # first and last day included
    cells: float | None
    gap_before_days: int | None


class Interruption(Result, frozen=True, kw_only=True):
    """A gap between two courses, or an infusion that was stopped before its end."""

    subject_id: str
    kind: str  # gap, stopped
    row_id: str  # the infusion that was stopped, or the last one before the gap
    on: date | None
    days: int | None
    until: date | None  # the day on which the next course began


class InfusionDuration(Result, frozen=True, kw_only=True):
    """Minutes from start to end, over the infusions of which both have a time of day."""

    known: int
    unknown: dict[str, int]  # infusions, by reason
    median: float | None
    min: float | None
    max: float | None


class ConcomitantFinding(Result, frozen=True, kw_only=True):
    """A medication that the protocol excludes, given inside the window."""

    subject_id: str
    row_id: str
    concept: str
    kind: str
    started_on: date | None


class ConcomitantCheck(Result, frozen=True, kw_only=True):
    """Whether the protocol's exclusions were kept, and what that rests on."""

    excluded_kinds: tuple[str, ...]
    subjects_checked: int
    administrations_checked: int
    unmapped_administrations: int
    undated_administrations: int
    findings: tuple[ConcomitantFinding, ...]
    unknown_kinds: tuple[str, ...] = ()  # excluded kinds that no concept has: they cannot be found
    after_cut_administrations: int = 0  # begun after the data cut: not looked at


class Discharge(Result, frozen=True, kw_only=True):
    """How many infusions ended with the subject going home on the same local day."""

    infusions: int
    with_encounter: int
    same_day: int
    percent: float | None  # of those with an encounter


class Exposure(Result, frozen=True, kw_only=True):
    """What was given."""

    concept: str
    infusions: dict[str, float | None]  # median, min, max, total
    cells: dict[str, float | None]  # median, total
    dose_intensity_percent: dict[str, float | None]  # median
    adherence: dict[str, int]  # on_time, early, late, missed, additional
    excluded: dict[str, int]  # administrations that are no dose, by status
    subjects: tuple[SubjectExposure, ...]
    timeline: tuple[Infusion, ...]
    concomitant: ConcomitantCheck
    discharge: Discharge
    course_gap_days: int | None = None  # more days than this between two infusions begin a new course
    courses: tuple[Course, ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    undated_infusions: int = 0  # in no course
    duration: InfusionDuration | None = None
