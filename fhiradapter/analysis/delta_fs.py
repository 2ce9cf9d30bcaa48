"""Delta-FS: how fast the score fell from onset until it was measured."""

import numpy as np
import numpy.typing as npt

SHORT_MONTHS = 2.0  # below this, a point more or less moves delta-FS by half a point per month


def delta_fs(
    score: npt.ArrayLike, months_since_onset: npt.ArrayLike, *, maximum: float = 48
) -> npt.NDArray[np.float64]:
    """Return (maximum - score) / months since symptom onset, in points per month.

    score and months_since_onset: arrays of one shape, in points and months. NaN where one is NaN, where the
    onset is not before the score, and where the score lies above the maximum. Kimura et al. 2006, doi
    10.1212/01.wnl.0000194316.91908.8a.

    >>> delta_fs([38.0, 40.0, 40.0], [10.0, 0.0, np.nan]).tolist()
    [1.0, nan, nan]
    """
    points = np.asarray(score, dtype=np.float64)
    months = np.asarray(months_since_onset, dtype=np.float64)
    defined = (months > 0) & (points <= maximum)
    found: npt.NDArray[np.float64] = np.full(points.shape, np.nan)
    return np.divide(maximum - points, months, out=found, where=defined)
