"""Who was studied."""

from datetime import date

from fhiradapter.results.base import Result, Spread


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
