"""The local day that a date of any precision stands for."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.cohort.model import Precision

# Local midnight lies between UTC-12 and UTC+14, so this much later the UTC month is the local one.
EASTERNMOST_OFFSET = np.timedelta64(14, "h")
DAY: Final = "datetime64[s]"
INSTANT: Final = "datetime64[us, UTC]"


def is_partial(precision: pd.Series) -> "pd.Series[bool]":
    """Return True where only the year, or the year and month, was given."""
    return precision.isin([Precision.YEAR.value, Precision.MONTH.value])


def earliest_day(at: pd.Series, on: pd.Series, precision: pd.Series) -> pd.Series:
    """Return the earliest local day that fits each date, as datetime64.

    at: the earliest instant that fits (UTC); on: the local day where one was given; precision: how much was
    given. A year means its 1 January, a month its first day. Without a local day, the day of the instant in
    UTC is taken.

    >>> at = pd.Series(pd.to_datetime(["2019-12-31T23:00Z", "2020-05-06T07:00Z"]))
    >>> on = pd.Series(pd.to_datetime([None, "2020-05-06"]))
    >>> earliest_day(at, on, pd.Series(["year", "second"])).dt.strftime("%Y-%m-%d").tolist()
    ['2020-01-01', '2020-05-06']
    """
    first, _ = _bounds(at, on, precision)
    return pd.Series(first, index=at.index).astype(DAY)


def latest_day(at: pd.Series, on: pd.Series, precision: pd.Series) -> pd.Series:
    """Return the latest local day that fits each date: 31 December for a year.

    >>> at, on = pd.Series(pd.to_datetime(["2020-02-01T00:00Z"])), pd.Series(pd.to_datetime([None]))
    >>> latest_day(at, on, pd.Series(["month"])).dt.strftime("%Y-%m-%d").tolist()
    ['2020-02-29']
    """
    _, last = _bounds(at, on, precision)
    return pd.Series(last, index=at.index).astype(DAY)


def earliest_instant(at: pd.Series, on: pd.Series) -> pd.Series:
    """Return the instants (UTC); a local day without one begins at midnight UTC.

    >>> at, on = pd.to_datetime(pd.Series([None]), utc=True), pd.to_datetime(pd.Series(["2020-05-06"]))
    >>> earliest_instant(at, on).astype("str").tolist()
    ['2020-05-06 00:00:00+00:00']
    """
    instants = at.astype(INSTANT)
    if not instants.isna().any():
        return instants
    return instants.fillna(on.dt.tz_localize("UTC").astype(INSTANT))


def days_between(later: pd.Series, earlier: pd.Series) -> npt.NDArray[np.float64]:
    """Return later - earlier in days; NaN where one is missing.

    Two local days give whole days, two instants give days of 86,400 seconds.
    """
    difference = (later - earlier).to_numpy(dtype="timedelta64[us]")
    days: npt.NDArray[np.float64] = difference / np.timedelta64(1, "D")
    return days


def as_dates(on: pd.Series) -> list[object]:
    """Return the days as `datetime.date`, None where missing."""
    days = on.to_numpy(dtype="datetime64[D]")
    places, different = pd.factorize(days)
    # One object for each different day: a million rows have some thousand.
    dates = np.array([*np.asarray(different, dtype="datetime64[D]").tolist(), None], dtype=object)
    listed: list[object] = dates[places].tolist()
    return listed


def _bounds(
    at: pd.Series, on: pd.Series, precision: pd.Series
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64]]:
    instants = at.to_numpy(dtype="datetime64[us]")
    first = on.to_numpy(dtype="datetime64[D]").copy()
    unknown = np.isnat(first)
    first[unknown] = instants[unknown].astype("datetime64[D]")
    last = first.copy()
    for unit, name in (("Y", Precision.YEAR), ("M", Precision.MONTH)):
        chosen = (precision.eq(name.value) & at.notna()).to_numpy(dtype=bool)
        starts = (instants[chosen] + EASTERNMOST_OFFSET).astype(f"datetime64[{unit}]")
        first[chosen] = starts.astype("datetime64[D]")
        last[chosen] = (starts + 1).astype("datetime64[D]") - 1
    return first, last
