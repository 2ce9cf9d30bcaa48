"""How long infusions took."""

import numpy as np
import pandas as pd

from fhiradapter.cohort.model import Precision
from fhiradapter.results import InfusionDuration

NO_CLOCK = "start or end without a time of day"
NOT_LATER = "the end is not after the start"


def infusion_minutes(given: pd.DataFrame) -> pd.Series:
    """Return the minutes from start to end of each infusion (n,), NaN where they are not known.

    Known only when start and end both have a time of day and the end is later. `given` (n rows) has
    `started_at`, `ended_at` (UTC), `started_precision` and `ended_precision`.

    >>> at = pd.to_datetime(pd.Series(["2024-03-01T09:00Z", "2024-03-01T09:00Z"]))
    >>> given = pd.DataFrame({"started_at": at, "ended_at": at + pd.Timedelta(minutes=45),
    ...                       "started_precision": "second", "ended_precision": ["second", "day"]})
    >>> infusion_minutes(given).tolist()
    [45.0, nan]
    """
    seconds = (given["ended_at"] - given["started_at"]).dt.total_seconds()
    minutes: pd.Series = (seconds / 60).where(with_clock(given) & seconds.gt(0))
    return minutes


def summarise_durations(clock: "pd.Series[bool]", minutes: pd.Series) -> InfusionDuration:
    """Return median and range of the minutes of `infusion_minutes`, and why the others are not known.

    clock: as from `with_clock`. Infusions that were stopped count with the minutes that they ran.
    """
    known = minutes.dropna()
    backwards = int((minutes.isna() & clock).sum())
    reasons = {NO_CLOCK: len(minutes) - len(known) - backwards, NOT_LATER: backwards}
    return InfusionDuration(
        known=len(known),
        unknown={reason: count for reason, count in reasons.items() if count},
        median=float(np.median(known)) if len(known) else None,
        min=float(known.min()) if len(known) else None,
        max=float(known.max()) if len(known) else None,
    )


def with_clock(given: pd.DataFrame) -> "pd.Series[bool]":
    """Return True for the infusions whose start and end have a time of day."""
    second = Precision.SECOND.value
    timed = given["started_precision"].eq(second) & given["ended_precision"].eq(second)
    return timed & given["started_at"].notna() & given["ended_at"].notna()
