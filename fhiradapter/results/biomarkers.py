"""How log-normal biomarkers change."""

from datetime import date

import msgspec

from fhiradapter.results.base import Exclusion, Interval, Result


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
    visit: str | None = None  # the planned visit that it stands for


class BiomarkerVisit(Result, frozen=True, kw_only=True):
    """A planned visit: geometric mean of the values there, and geometric mean ratio to baseline."""

    label: str
    day: int  # planned, from the index date; where months differ in length, the middle one
    early_days: int
    late_days: int
    subjects: int  # with a value at this visit
    below_limit: int  # of these values
    geometric_mean: float | None  # of these values
    n: int  # subjects that have a baseline too
    gmr: float | None
    ci95: Interval | None
    percent_change: float | None
    note: str | None  # why there is no ratio or no interval


class Biomarker(Result, frozen=True, kw_only=True):
    """A log-normal biomarker in one matrix and by one method: geometric mean ratio to baseline."""

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
    notes: dict[str, int] = msgspec.field(default_factory=dict)  # values left out or flagged, counted
    method: str | None = None  # of the assay, as sent; None where it is not stated
    visits: tuple[BiomarkerVisit, ...] = ()
