"""Domains of the ALSFRS-R and stages of the disease."""

from datetime import date

import pandas as pd

from fhiradapter.results.base import Exclusion, Result, Spread, frame


class StagedAssessment(Result, frozen=True, kw_only=True):
    """One assessment whose items were sent: its domains, 0-12 points each, and its stages."""

    subject_id: str
    row_id: str  # of its first item
    on: date | None
    months: float | None  # from first dose, else from the subject's first assessment
    bulbar: float | None
    fine_motor: float | None
    gross_motor: float | None
    respiratory: float | None
    mitos: str | None
    kings: str | None
    cutting_form: str  # of item 5: 5a without and 5b with gastrostomy, both, or empty
    flags: tuple[str, ...] = ()


class SubjectStages(Result, frozen=True, kw_only=True):
    """One subject's course in one system; stage 5 is death."""

    subject_id: str
    system: str
    assessments: int  # with a stage
    baseline: str | None
    baseline_on: date | None
    last: str | None
    last_on: date | None  # of a death, the day on which it counts
    worst: str | None
    steps_back: int
    reason: str | None  # why there is no stage, or no time to a stage


class StageStep(Result, frozen=True, kw_only=True):
    """How often one stage came after another, from an assessment to the next or to death."""

    before: str
    after: str
    count: int


class TimeToStage(Result, frozen=True, kw_only=True):
    """Months from the index date until a stage or a higher one is first seen; death counts as reaching it."""

    stage: str
    subjects: int  # at risk: below the stage at the index date
    already: int  # there at the index date, and so not at risk
    events: int
    deaths: int  # events that were the death itself
    median: float | None  # Kaplan-Meier
    ci95: tuple[float | None, float | None] | None  # at `statistics.confidence`
    at_risk: tuple[int, ...]  # at `StageSystem.at_risk_months`


class StageSystem(Result, frozen=True, kw_only=True):
    """Stages by one system: MiToS or King's."""

    stages: tuple[str, ...]
    subjects: int  # with a stage
    baseline: dict[str, int]
    last: dict[str, int]
    worst: dict[str, int]
    steps: tuple[StageStep, ...]  # staying included
    steps_back: int
    subjects_back: int
    undecided: dict[str, int]  # assessments without a stage, by reason
    times: tuple[TimeToStage, ...]
    at_risk_months: tuple[int, ...]
    excluded: tuple[Exclusion, ...]  # from the times


class DomainSpread(Result, frozen=True, kw_only=True):
    """One domain's points at baseline and at the last assessment, median and range."""

    baseline: Spread
    last: Spread


class Staging(Result, frozen=True, kw_only=True):
    """Domains of the ALSFRS-R and stages of the disease."""

    domains: dict[str, DomainSpread]
    systems: dict[str, StageSystem]
    subject_rows: tuple[SubjectStages, ...]
    assessments: tuple[StagedAssessment, ...]
    notes: dict[str, int]  # flags of assessments and exclusions of items, counted

    @property
    def by_subject(self) -> pd.DataFrame:
        """One row per subject and system: assessments, baseline, last, worst, steps_back, reason."""
        return frame(self.subject_rows, SubjectStages)
