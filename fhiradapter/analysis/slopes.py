"""Least-squares lines of many subjects at once."""

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]


def slopes_by_group(
    group: npt.NDArray[np.integer], time: FloatArray, value: FloatArray, *, groups: int
) -> pd.DataFrame:
    """Fit value = a + b time by ordinary least squares within each group.

    group: (n,) numbers from 0 to groups - 1; time: (n,) months; value: (n,) points. The result has one row
    per group, empty groups as well: `points`, `span` (last time - first time, months), `slope` b (points per
    month), `se` of the slope, `intercept` a (points, at time 0).

    With means t, y of the group: b = sum (t_i - t)(y_i - y) / sum (t_i - t)^2, a = y - b t, and from 3 points
    on se = sqrt(sum (y_i - a - b t_i)^2 / (n - 2) / sum (t_i - t)^2) (Draper & Smith, Applied Regression
    Analysis, section 1.4). Fewer than two distinct times have no slope: NaN.

    >>> time, value = np.array([0.0, 1.0, 2.0, 5.0]), np.array([40.0, 38.0, 38.0, 31.0])
    >>> slopes_by_group(np.array([0, 0, 0, 1]), time, value, groups=2).round(6).values.tolist()
    [[3.0, 2.0, -1.0, 0.57735, 39.666667], [1.0, 0.0, nan, nan, nan]]
    """

    def total(summand: FloatArray | None = None) -> FloatArray:
        return np.bincount(group, weights=summand, minlength=groups).astype(np.float64)

    points = total()
    some = np.maximum(points, 1)
    mean_time, mean_value = total(time) / some, total(value) / some
    first, last = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(first, group, time)
    np.maximum.at(last, group, time)
    filled = points > 0
    span = np.subtract(last, first, out=np.zeros(groups), where=filled)
    along, across = time - mean_time[group], value - mean_value[group]
    squares = total(along**2)
    slope = _ratio(total(along * across), np.where(span > 0, squares, 0))
    residual = across - np.nan_to_num(slope)[group] * along
    variance = _ratio(total(residual**2), np.maximum(points - 2, 0))
    return pd.DataFrame(
        {
            "points": points.astype(np.int64),
            "span": span,
            "slope": slope,
            "se": np.sqrt(_ratio(variance, np.where(span > 0, squares, 0))),
            "intercept": mean_value - slope * mean_time,
        }
    )


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, NaN where the denominator is not above zero."""
    ratio: FloatArray = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=ratio, where=denominator > 0)
