"""The side of the first dose that something lies on."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.population import of_subject
from fhiradapter.cohort.model import Precision


def side_of_first_dose(
    subject_id: pd.Series, *, on: pd.Series, at: pd.Series, precision: pd.Series, timeline: pd.DataFrame
) -> pd.Series:
    """Return -1 before the first dose, 1 after it, 0 where neither is told, NaN without a day or a dose.

    subject_id, on (local days), at (UTC instants) and precision are columns of n rows that share one index.
    `timeline` is indexed by subject_id with `first_dose_on`, `first_dose_at` and `first_dose_precision`.
    The days decide; on the day of the first dose itself the clock does, where both have a time of day. The
    same instant is neither before nor after.

    >>> at = pd.Series(pd.to_datetime(["2024-03-10T08:00Z", "2024-03-10T11:00Z", "2024-03-10T00:00Z"]))
    >>> on = at.dt.tz_localize(None).dt.normalize()
    >>> timeline = pd.DataFrame({"first_dose_on": on[:1], "first_dose_at": at[:1] + pd.Timedelta(hours=1),
    ...                          "first_dose_precision": "second"}).set_axis(["s1"])
    >>> side_of_first_dose(pd.Series(["s1"] * 3), on=on, at=at, timeline=timeline,
    ...                    precision=pd.Series(["second", "second", "day"])).tolist()
    [-1.0, 1.0, 0.0]
    """
    dose_on = of_subject(timeline["first_dose_on"], subject_id)
    dose_at = of_subject(timeline["first_dose_at"], subject_id)
    clock = of_subject(timeline["first_dose_precision"], subject_id).eq(Precision.SECOND.value)
    clock &= precision.eq(Precision.SECOND.value) & on.eq(dose_on)
    side = np.select(
        [on.lt(dose_on) | (clock & at.lt(dose_at)), on.gt(dose_on) | (clock & at.gt(dose_at))],
        [-1.0, 1.0],
        0.0,
    )
    return pd.Series(side, index=subject_id.index).mask(on.isna() | dose_on.isna())
