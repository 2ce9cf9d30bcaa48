"""Frozen results of an analysis, with the policies that they were computed under."""

from datetime import date
from typing import Any

import msgspec
import pandas as pd

from fhiradapter.cohort.accounting import TypeAccount

Interval = tuple[float, float]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the results: plain numbers and words, written to JSON as it stands."""


def frame(rows: tuple[Result, ...], kind: type[Result]) -> pd.DataFrame:
    """Return one row per result, with its fields as columns, also when there is none."""
    return pd.DataFrame([msgspec.structs.asdict(row) for row in rows], columns=list(kind.__struct_fields__))


class Spread(Result, frozen=True, kw_only=True):
    """Median with range; n counts the subjects that have a value."""

    n: int
    median: float | None
    min: float | None
    max: float | None


class StudyCard(Result, frozen=True, kw_only=True):
    """What the study is, for people."""

    id: str
    title: str
    product: str | None
    target: str | None
    indication: str | None
    organisation: str | None
    phase: str | None
    registry_number: str | None
    synthetic: bool
    notice: str | None


class CharacteristicRow(Result, frozen=True, kw_only=True):
    """One line of the baseline table: a number as median (range), or a category as count (percent)."""

    name: str
    level: str | None
    n: int
    missing: int
    unit: str | None
    value: str


class SubjectSummary(Result, frozen=True, kw_only=True):
    """One subject: index dates and what is known at baseline."""

    subject_id: str
    sex: str | None
    arm: str | None
    age: float | None  # completed years at the index date
    onset_on: date | None
    first_dose_on: date | None
    last_dose_on: date | None
    index_on: date | None  # first dose, else first score
    last_contact_on: date | None
    follow_up_months: float | None
    follow_up_adequate: bool
    died: bool
    death_on: date | None
    baseline_score: float | None
    delta_fs: float | None  # points per month since onset
    notes: tuple[str, ...] = ()


class CohortSummary(Result, frozen=True, kw_only=True):
    """Who was studied."""

    n: int
    age: Spread
    sex: dict[str, int]
    arms: dict[str, int]
    baseline_score: Spread
    follow_up_months: Spread  # over those with adequate follow-up
    deaths: int
    baseline_table: tuple[CharacteristicRow, ...]
    subjects: tuple[SubjectSummary, ...]


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


class Exclusion(Result, frozen=True, kw_only=True):
    """A subject that an estimate does without, and why."""

    subject_id: str
    reason: str


class PeriodSlope(Result, frozen=True, kw_only=True):
    """The slopes of one period over its adequate subjects, points per month."""

    n: int
    mean_slope: float | None
    sd: float | None
    median_slope: float | None
    ci95: Interval | None  # Student t
    bootstrap: Interval | None  # percentile, subjects drawn with replacement
    excluded: tuple[Exclusion, ...]


class SubjectSlope(Result, frozen=True, kw_only=True):
    """One subject's least-squares slope in one period, points per month."""

    subject_id: str
    period: str
    points: int
    days: float
    slope: float | None
    se: float | None
    intercept: float | None  # at time 0 of the plot: `Score.months`
    adequate: bool
    reason: str | None


class Contrast(Result, frozen=True, kw_only=True):
    """Difference of two periods within subjects, points per month."""

    n: int
    estimate: float | None
    se: float | None
    ci95: Interval | None
    wilcoxon_p: float | None  # exact signed rank, two-sided


class MixedModel(Result, frozen=True, kw_only=True):
    """A linear mixed model of the score with the periods' slopes as its coefficients."""

    method: str
    coefficients: dict[str, float]
    se: dict[str, float]
    contrasts: dict[str, Contrast]
    random_sd: dict[str, float]
    random_correlation: float | None
    residual_sd: float
    criterion: float | None  # null when all scores are equal: it is minus infinity
    observations: int
    subjects: int
    converged: bool
    singular: bool
    fallback: str | None


class Score(Result, frozen=True, kw_only=True):
    """One score as analysed and plotted."""

    subject_id: str
    row_id: str
    on: date | None
    months: float  # from the time origin
    value: float
    periods: tuple[str, ...]
    flags: tuple[str, ...] = ()


class Progression(Result, frozen=True, kw_only=True):
    """How the functional score changes."""

    concept: str
    unit: str
    time_origin: str
    periods: dict[str, PeriodSlope]
    contrasts: dict[str, Contrast]
    mixed_model: MixedModel | None
    mixed_model_note: str | None  # why there is none
    by_subject_rows: tuple[SubjectSlope, ...]
    scores: tuple[Score, ...]
    score_notes: dict[str, int]  # flags and exclusions of scores, counted
    cautions: tuple[str, ...]

    @property
    def by_subject(self) -> pd.DataFrame:
        """One row per subject and period: points, days, slope, se, adequate, reason."""
        return frame(self.by_subject_rows, SubjectSlope)

    @property
    def by_period(self) -> pd.DataFrame:
        """One row per period: n, mean_slope, sd, median_slope, ci95, bootstrap, excluded."""
        return pd.DataFrame(
            [{"period": name, **msgspec.structs.asdict(period)} for name, period in self.periods.items()],
            columns=["period", *PeriodSlope.__struct_fields__],
        )


class BiomarkerValue(Result, frozen=True, kw_only=True):
    """One value of a biomarker's series."""

    subject_id: str
    row_id: str
    on: date | None
    months: float
    value: float
    ratio: float | None  # to the subject's baseline
    below_limit: bool
    is_baseline: bool = False


class Biomarker(Result, frozen=True, kw_only=True):
    """A log-normal biomarker in one matrix: geometric mean ratio to baseline."""

    concept: str
    matrix: str | None
    unit: str | None
    n: int
    baseline_geometric_mean: float | None
    gmr: float | None
    ci95: Interval | None
    percent_change: float | None
    compared: str  # which value is set against baseline
    excluded: tuple[Exclusion, ...]
    series: tuple[BiomarkerValue, ...]
    notes: dict[str, int] = {}  # values left out or flagged, counted


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


class Unmapped(Result, frozen=True, kw_only=True):
    """A code that no code list knows, and how often it was seen."""

    table: str
    code: str
    display: str | None
    unit: str | None
    count: int


class DataQuality(Result, frozen=True, kw_only=True):
    """What the data could not say."""

    issues: dict[str, dict[str, int]]  # reason -> disposition -> count
    unmapped: tuple[Unmapped, ...]
    unmapped_rows: int
    text_only_rows: int


class Results(Result, frozen=True, kw_only=True):
    """Everything that `results.json` holds."""

    study: StudyCard
    cohort: CohortSummary
    exposure: Exposure | None
    progression: Progression
    biomarkers: dict[str, Biomarker]  # concept; further matrices of it as concept:matrix
    safety: Safety
    policies: dict[str, Any]
    accounting: dict[str, TypeAccount]
    quality: DataQuality
    versions: dict[str, str]

    def to_json(self) -> bytes:
        """Return `results.json`: a missing number is null; what has an order, such as periods, keeps it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @staticmethod
    def from_json(content: bytes) -> "Results":
        """Read what `to_json` wrote; raises msgspec.ValidationError when it is something else."""
        return msgspec.json.decode(content, type=Results)
