"""The study's planned visits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.settings import DAYS_PER_MONTH, Treatment

DAYS = {"day": 1.0, "week": 7.0}
DAYS_OF_A_MONTH = {"28_days": 28.0, "30.4375_days": DAYS_PER_MONTH}


@dataclass(frozen=True)
class Plan:
    """Planned visits of several subjects; V visits, S subjects.

    `days` (S, V) is datetime64[D], NaT for a subject without a first dose; `early` and `late` (V,) are the
    days that a visit may be before or after its planned day and still be on time.
    """

    days: npt.NDArray[np.datetime64]
    early: npt.NDArray[np.int64]
    late: npt.NDArray[np.int64]


def planned_visits(treatment: Treatment | None) -> int | None:
    """Return how many visits the schedule plans, None without a schedule."""
    if treatment is None or not treatment.schedule:
        return None
    return sum(block.count for block in treatment.schedule)


def plan(treatment: Treatment, first_dose_on: pd.Series) -> Plan:
    """Return the planned day of each visit for each subject.

    The first visit is the first dose. Every other visit comes one interval of its own block after the visit
    before it, so 4 weekly visits followed by monthly ones of 28 days are days 0, 7, 14, 21, 49, 77, ...
    Months are 28 days, 30.4375 days (added up first, then rounded to the day) or calendar months (counted
    from the last visit of the block before; the 31st becomes the last day of a shorter month), as the study
    says.

    `first_dose_on` (S,) holds local days.

    >>> treatment = Treatment.model_validate({"concept": "cells", "schedule": [
    ...     {"count": 2, "every": "week"}, {"count": 2, "every": "month"}]})
    >>> days = plan(treatment, pd.to_datetime(pd.Series(["2024-01-01"]))).days
    >>> (days - days[0, 0]).astype(int).tolist()
    [[0, 7, 35, 63]]
    """
    first = first_dose_on.to_numpy().astype("datetime64[D]")
    columns: list[npt.NDArray[np.datetime64]] = []
    anchor, offset = first, 0.0
    for block in treatment.schedule:
        steps = np.arange(1, block.count + 1) if columns else np.arange(block.count)
        if block.every == "month" and treatment.month == "calendar":
            start = _plus_days(anchor, offset)
            columns.extend(_plus_months(start, int(step) * block.interval) for step in steps)
            anchor, offset = columns[-1], 0.0
        else:
            length = DAYS.get(block.every) or DAYS_OF_A_MONTH[treatment.month]
            columns.extend(
                _plus_days(anchor, offset + float(step) * block.interval * length) for step in steps
            )
            offset += float(steps[-1]) * block.interval * length
    counts = [block.count for block in treatment.schedule]
    return Plan(
        days=np.column_stack(columns) if columns else np.empty((len(first), 0), dtype="datetime64[D]"),
        early=np.repeat(np.array([block.early_days for block in treatment.schedule], dtype=np.int64), counts),
        late=np.repeat(np.array([block.late_days for block in treatment.schedule], dtype=np.int64), counts),
    )


def _plus_days(days: npt.NDArray[np.datetime64], offset: float) -> npt.NDArray[np.datetime64]:
    """Return the days `offset` later, half a day rounded up."""
    later: npt.NDArray[np.datetime64] = days + np.timedelta64(int(np.floor(offset + 0.5)), "D")
    return later


def _plus_months(days: npt.NDArray[np.datetime64], months: int) -> npt.NDArray[np.datetime64]:
    """Return the same day of the month `months` later, or that month's last day."""
    month = days.astype("datetime64[M]")
    day = days - month.astype("datetime64[D]")
    wanted = month + np.timedelta64(months, "M")
    last = (wanted + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    same_day: npt.NDArray[np.datetime64] = np.minimum(wanted.astype("datetime64[D]") + day, last)
    return same_day
