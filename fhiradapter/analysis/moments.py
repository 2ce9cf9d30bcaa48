"""The first and the last moment that a time as given can mean."""

import pandas as pd

from fhiradapter.analysis.days import EASTERNMOST_OFFSET
from fhiradapter.cohort.model import Precision


def possible_moments(at: pd.Series, precision: pd.Series) -> pd.DataFrame:
    """Return the columns `earliest` and `latest` (UTC) of each time: a day may be any moment of its 24 hours.

    `at` (n,) is the earliest moment that fits and `precision` (n,) year, month, day or second; a missing
    precision reads as a day.

    >>> at = pd.to_datetime(pd.Series(["2024-01-31T09:00Z", "2024-01-31T00:00Z"]))
    >>> possible_moments(at, pd.Series(["second", "day"]))["latest"].dt.hour.tolist()
    [9, 23]
    """
    local = at + pd.Timedelta(EASTERNMOST_OFFSET)
    days = pd.Series(1.0, index=at.index)
    days = days.mask(precision.eq(Precision.MONTH.value), local.dt.days_in_month.astype("float64"))
    days = days.mask(precision.eq(Precision.YEAR.value), 365.0 + local.dt.is_leap_year)
    last = at + pd.to_timedelta(days, unit="D") - pd.Timedelta(microseconds=1)
    return pd.DataFrame({"earliest": at, "latest": last.mask(precision.eq(Precision.SECOND.value), at)})
