"""How the functional score changes."""

from collections.abc import Sequence
from datetime import date

import msgspec
import pandas as pd

from fhiradapter.results.base import Exclusion, Interval, Result, frame


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
    scores: Sequence[Score]
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
