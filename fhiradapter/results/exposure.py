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
