"""How long subjects lived without the event."""

from datetime import date

import pandas as pd

from fhiradapter.results.base import Exclusion, Interval, Result, frame


class SurvivalStep(Result, frozen=True, kw_only=True):
    """The curve from one time on, until the next."""

    months: float
    at_risk: int
    events: int
    censored: int
    survival: float
    se: float | None  # null where nobody survives
    lower: float | None
    upper: float | None


class SurvivalCurve(Result, frozen=True, kw_only=True):
    """The Kaplan-Meier curve of one group; the intervals are on the logarithm of survival."""

    n: int
    events: int
    person_months: float
    rate: float | None  # events per 100 person-years
    rate_interval: Interval | None  # exact Poisson
    median: float | None  # months; null: not reached
    median_lower: float | None
    median_upper: float | None
    at_risk: tuple[int, ...]  # at `Survival.times`
    steps: tuple[SurvivalStep, ...]


class GroupComparison(Result, frozen=True, kw_only=True):
    """The log-rank test of the arms."""

    arms: tuple[str, ...]
    observed: tuple[int, ...]
    expected: tuple[float, ...]
    chi_square: float
    df: int
    p: float


class SubjectSurvival(Result, frozen=True, kw_only=True):
    """One subject's time at risk; `event` is true when it ends in the event."""

    subject_id: str
    arm: str | None
    origin_on: date
    end_on: date
    months: float
    event: bool
    cause: str | None  # death, or the concept or term that came first
    note: str | None


class Survival(Result, frozen=True, kw_only=True):
    """How long subjects lived without the event, in months of 30.4375 days."""

    origin: str
    event: str
    times: tuple[float, ...]  # months at which the numbers at risk are given
    overall: SurvivalCurve
    arms: dict[str, SurvivalCurve]  # empty when there is one group
    log_rank: GroupComparison | None
    by_subject_rows: tuple[SubjectSurvival, ...]
    excluded: tuple[Exclusion, ...]
    cautions: tuple[str, ...]

    @property
    def by_subject(self) -> pd.DataFrame:
        """One row per subject: months, event, cause."""
        return frame(self.by_subject_rows, SubjectSurvival)
