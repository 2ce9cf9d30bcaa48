"""Vital signs that stand out after the first dose."""

from datetime import date

import msgspec

from fhiradapter.results.base import Result


class VitalFinding(Result, frozen=True, kw_only=True):
    """One subject's worst reading of one sign."""

    subject_id: str
    sign: str
    row_id: str
    concept: str
    value: float
    unit: str | None
    on: date | None
    grade: int | None  # null for a screening flag
    baseline: float | None
    baseline_row_id: str | None
    infusion_row_id: str | None  # that it came soon after
    hours_after_infusion: float | None


class VitalSign(Result, frozen=True, kw_only=True):
    """One sign, such as fever, over the subjects with a reading after the first dose."""

    sign: str
    kind: str  # "grade", or "screening flag" where CTCAE gives no number
    criterion: str
    assessed: int  # subjects with a reading after the first dose, the next ones not among them
    not_assessable: int  # subjects with a reading that could not be judged, and without the sign
    subjects: int  # with the sign
    readings: int
    near_infusion: int  # subjects with the sign within the hours of an infusion's start
    by_worst_grade: dict[str, int] = msgspec.field(default_factory=dict)
    treatment_emergent: int | None = None  # worst grade above a known baseline; null for a flag
    without_baseline: int = 0  # subjects with the sign and no baseline to set it against


class VitalSigns(Result, frozen=True, kw_only=True):
    """Vital signs against limits and baseline."""

    signs: tuple[VitalSign, ...]
    findings: tuple[VitalFinding, ...]
    baseline_rule: str
    left_out: dict[str, int] = msgspec.field(default_factory=dict)  # readings, by reason
