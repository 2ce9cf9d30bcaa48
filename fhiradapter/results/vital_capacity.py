"""How vital capacity changes."""

from datetime import date

from fhiradapter.results.base import Exclusion, Interval, Result
from fhiradapter.results.progression import Contrast, PeriodSlope, SubjectSlope


class VitalCapacityValue(Result, frozen=True, kw_only=True):
    """One value of a series of vital capacity."""

    subject_id: str
    row_id: str
    on: date | None
    months: float  # from the time origin
    value: float
    change: float | None  # from the subject's baseline, in the unit of the series
    relative_change: float | None  # percent of the subject's baseline
    is_baseline: bool
    visit: str | None  # the planned visit that it stands for


class Change(Result, frozen=True, kw_only=True):
    """Mean change from baseline over n subjects: in the unit of the series, and in percent of baseline."""

    n: int
    change: float | None
    ci95: Interval | None  # Student t
    relative_change: float | None
    relative_ci95: Interval | None
    note: str | None  # why there is no change or no interval


class VitalCapacityVisit(Result, frozen=True, kw_only=True):
    """A planned visit: mean of the values there, and mean change from baseline."""

    label: str
    day: int  # planned, from the index date; where months differ in length, the middle one
    early_days: int
    late_days: int
    subjects: int  # with a value at this visit
    mean: float | None  # of these values
    change: Change


class VitalCapacity(Result, frozen=True, kw_only=True):
    """One series of vital capacity: slow or forced, litres or percent predicted, by one method."""

    concept: str
    method: str | None
    unit: str | None
    baseline_n: int
    baseline_mean: float | None
    baseline_sd: float | None
    compared: str  # which value is set against baseline
    change: Change
    visits: tuple[VitalCapacityVisit, ...]
    periods: dict[str, PeriodSlope]  # unit per month; no bootstrap interval
    contrasts: dict[str, Contrast]
    by_subject_rows: tuple[SubjectSlope, ...]
    excluded: tuple[Exclusion, ...]  # subjects without a change from baseline
    series: tuple[VitalCapacityValue, ...]
    notes: dict[str, int]  # values left out or flagged, counted
