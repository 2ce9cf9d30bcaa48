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
    notes: dict[str, int] = msgspec.field(default_factory=dict)  # values left out or flagged, counted
