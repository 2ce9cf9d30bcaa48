"""Laboratory values that got worse."""

from datetime import date

import msgspec

from fhiradapter.results.base import Result
from fhiradapter.results.incidence import Incidence


class LabAbnormality(Result, frozen=True, kw_only=True):
    """One subject's worst value of one test and direction after the first dose, of grade 1 or more."""

    subject_id: str
    test: str
    direction: str
    term: str | None
    row_id: str
    on: date | None
    value: float
    comparator: str | None
    unit: str | None
    grade: int
    baseline_grade: int | None
    treatment_emergent: bool | None  # null without a known baseline grade


class LabAbnormalities(Result, frozen=True, kw_only=True):
    """Abnormal laboratory values after the first dose."""

    rows: tuple[LabAbnormality, ...]
    emergent: dict[str, Incidence]  # subjects with a grade above their baseline grade: any, grade 3 or more
    by_number: dict[str, int] = msgspec.field(default_factory=dict)  # emergent tests of a subject -> subjects
