"""What begins after a study's data cut."""

from datetime import date

import pandas as pd

from fhiradapter.analysis.days import earliest_day

AFTER_CUT = "after the data cut"


def after_cut(rows: pd.DataFrame, data_cut: date | None, *, prefix: str = "started") -> "pd.Series[bool]":
    """Return True for rows whose earliest possible day lies after the data cut; never without a cut or a day.

    rows: n rows with the columns `<prefix>_at` (UTC), `<prefix>_on` (local day) and `<prefix>_precision`.

    >>> rows = pd.DataFrame({"started_at": pd.to_datetime(["2024-03-08T00:00Z", "2024-03-09T00:00Z", None])})
    >>> rows = rows.assign(started_on=rows["started_at"].dt.tz_localize(None), started_precision="day")
    >>> after_cut(rows, date(2024, 3, 8)).tolist()
    [False, True, False]
    """
    if data_cut is None:
        return pd.Series(False, index=rows.index)
    first = earliest_day(rows[f"{prefix}_at"], rows[f"{prefix}_on"], rows[f"{prefix}_precision"])
    return first.gt(pd.Timestamp(data_cut))
