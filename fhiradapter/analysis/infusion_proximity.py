"""The infusion that came last before something."""

from typing import Literal

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import INSTANT, as_dates, is_partial
from fhiradapter.analysis.moments import possible_moments
from fhiradapter.analysis.population import places
from fhiradapter.cohort.model import Precision


def infusion_starts(infusions: pd.DataFrame) -> pd.DataFrame:
    """Return the infusions dated at least to the day, in order of their start.

    `infusions` is as from `given_infusions`. Columns: `subject_id`, `infusion` (row_id), `earliest` and
    `latest` (UTC: the first and last moment that the start can mean), `infusion_on` (local day), `clock`
    (True where the start has a time of day).

    >>> at = pd.Series(pd.to_datetime(["2024-03-08T00:00Z", "2024-03-01T09:00Z"]))
    >>> rows = pd.DataFrame({"subject_id": "s1", "row_id": ["b", "a"], "started_at": at,
    ...                      "started_on": at.dt.tz_localize(None), "started_precision": ["day", "second"]})
    >>> infusion_starts(rows)["infusion"].tolist()
    ['a', 'b']
    """
    dated = infusions.loc[infusions["started_at"].notna() & ~is_partial(infusions["started_precision"])]
    moments = possible_moments(dated["started_at"].astype(INSTANT), dated["started_precision"])
    starts = pd.DataFrame(
        {
            "subject_id": dated["subject_id"],
            "infusion": dated["row_id"],
            "earliest": moments["earliest"].astype(INSTANT),
            "latest": moments["latest"].astype(INSTANT),
            "infusion_on": dated["started_on"],
            "clock": dated["started_precision"].eq(Precision.SECOND.value),
        }
    )
    return starts.sort_values("earliest", kind="stable").reset_index(drop=True)


def last_infusion(
    subject_id: pd.Series,
    moment: pd.Series,
    starts: pd.DataFrame,
    *,
    bound: Literal["earliest", "latest"],
    same_moment: bool,
) -> pd.DataFrame:
    """Return for each row (n,) the subject's last infusion whose `bound` lies before the moment (UTC).

    `starts` is as from `infusion_starts`: with `bound="latest"` the infusion certainly began before the
    moment, with "earliest" it may have. `same_moment` says whether a start at the very moment counts.
    Columns: those of `starts` but `subject_id`, missing where there is none; the index is that of
    `subject_id`.
    """
    people = pd.Index(subject_id.unique()).dropna()
    starts = starts.assign(person=places(starts["subject_id"], people))
    starts = starts.loc[starts["person"].ge(0)]
    events = pd.DataFrame(
        {
            "person": places(subject_id, people),
            "moment": moment.astype(INSTANT).to_numpy(dtype="datetime64[us]"),
            "place": np.arange(len(subject_id)),
        }
    )
    events = events.loc[(events["person"] >= 0) & events["moment"].notna()]
    right = starts.assign(
        moment=starts[bound].to_numpy(dtype="datetime64[us]"),
    ).drop(columns="subject_id")
    found = pd.merge_asof(
        events.sort_values("moment", kind="stable"),
        right.sort_values("moment", kind="stable"),
        on="moment",
        by="person",
        allow_exact_matches=same_moment,
    )
    columns = [name for name in starts.columns if name not in ("subject_id", "person")]
    placed = found.set_index("place")[columns].reindex(np.arange(len(subject_id)))
    return placed.set_axis(subject_id.index)


def hours_between(later: pd.Series, earlier: pd.Series) -> pd.Series:
    """Return later - earlier (UTC instants, n) in hours, NaN where one is missing.

    >>> at = pd.Series(pd.to_datetime(["2024-03-01T09:30Z"]))
    >>> hours_between(at, at - pd.Timedelta(minutes=90)).tolist()
    [1.5]
    """
    hours: pd.Series = (later.astype(INSTANT) - earlier.astype(INSTANT)).dt.total_seconds() / 3600
    return hours


def days_of(on: pd.Series) -> list[object]:
    """Return local days as dates, None where missing; a column without any value may have no type yet."""
    return as_dates(on.astype("datetime64[s]"))
