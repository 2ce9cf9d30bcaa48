"""Where each score lies in time: before, during or after treatment."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.population import of_subject
from fhiradapter.settings import DAYS_PER_MONTH, Study

BEFORE, DURING, AFTER, ALL = "before", "during", "after", "all"


def period_names(study: Study) -> tuple[str, ...]:
    """Return the periods of a study in order of time: one, "all", without treatment."""
    return (BEFORE, DURING, AFTER) if study.treatment else (ALL,)


def time_origin(study: Study) -> str:
    """Return the event that time is counted from: the first score where a study has no doses."""
    origin = study.progression.time_origin
    return "first_score" if study.treatment is None and origin == "first_dose" else origin


def months_since(
    rows: pd.DataFrame, timeline: pd.DataFrame, study: Study, *, event: str
) -> npt.NDArray[np.float64]:
    """Return the months from a subject's event to each row; NaN where the event has no date.

    rows: `subject_id`, `at` (UTC), `on` (local day). event: first_dose, last_dose, first_score or onset.
    Policy `progression.time_scale`: days are differences of local days, or of instants; a month is 30.4375
    days.

    >>> timeline = pd.DataFrame({"onset_on": pd.to_datetime(["2024-01-01"])}, index=["s1"])
    >>> rows = pd.DataFrame({"subject_id": ["s1"], "on": pd.to_datetime(["2024-03-01"])})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> months_since(rows, timeline, study, event="onset").round(4).tolist()  # 60 days
    [1.9713]
    """
    suffix = "on" if study.progression.time_scale == "local_day" else "at"
    column = timeline.get(f"{event}_{suffix}")
    if column is None:
        return np.full(len(rows), np.nan)
    return days_between(rows[suffix], of_subject(column, rows["subject_id"])) / DAYS_PER_MONTH


def months_from_origin(
    rows: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return each row's months from the study's time origin, and where that is the first score instead.

    A subject without the origin's date (no onset known, no dose given) is counted from the first score, and a
    subject without score from its own first row.
    """
    months = months_since(rows, timeline, study, event=time_origin(study))
    missing = np.isnan(months)
    months = np.where(missing, months_since(rows, timeline, study, event="first_score"), months)
    if np.isnan(months).any():
        time = rows["on" if study.progression.time_scale == "local_day" else "at"]
        first = time.groupby(rows["subject_id"]).transform("min")
        months = np.where(np.isnan(months), days_between(time, first) / DAYS_PER_MONTH, months)
    return months, missing


def washout_end(timeline: pd.DataFrame, study: Study) -> pd.Series:
    """Return each subject's last day of treatment: last dose + `progression.washout_days`."""
    return timeline["last_dose_on"] + pd.Timedelta(days=study.progression.washout_days)


def lies_in(scores: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> dict[str, npt.NDArray[np.bool_]]:
    """Return for each period whether each score lies in it, (n,).

    Before: until the day of the first dose; after `before_start`, when that is `within_days`. During: from
    the day of the first dose to the last dose + washout. After: later. The day of the first dose thus counts
    twice: it ends one line and begins the next. A subject without a dose lies in none of the three.
    """
    if study.treatment is None:
        return {ALL: np.ones(len(scores), dtype=bool)}
    on, subject = scores["on"], scores["subject_id"]
    first = of_subject(timeline["first_dose_on"], subject)
    end = of_subject(washout_end(timeline, study), subject)
    before = on.le(first)
    days = study.progression.before_within_days
    if study.progression.before_start == "within_days" and days is not None:
        before &= on.ge(first - pd.Timedelta(days=days))
    inside = {BEFORE: before, DURING: on.ge(first) & on.le(end), AFTER: on.gt(end)}
    return {name: holds.to_numpy(dtype=bool) for name, holds in inside.items()}
