"""The difference of two groups' means, without assuming that they spread alike."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fhiradapter.results import Interval


@dataclass(frozen=True)
class Difference:
    """Mean of one group minus mean of the other; None where the groups do not tell it."""

    estimate: float | None
    se: float | None
    degrees_of_freedom: float | None
    interval: Interval | None
    p: float | None


UNKNOWN = Difference(None, None, None, None, None)


def welch(values: npt.ArrayLike, reference: npt.ArrayLike, *, confidence: float) -> Difference:
    """Estimate mean(values) - mean(reference) with its standard error, t interval and two-sided p.

    values: (n,), reference: (m,), without NaN, in one unit. se^2 = s1^2/n + s2^2/m; degrees of freedom by
    Welch-Satterthwaite, se^4 / (s1^4/(n^2 (n-1)) + s2^4/(m^2 (m-1))). An estimate needs one value in each
    group, the others two; without any spread in both groups there is no interval and no p.

    Welch BL. Biometrika 1947;34:28-35, DOI 10.1093/biomet/34.1-2.28.

    >>> found = welch([1.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0], confidence=0.95)
    >>> round(found.estimate, 4), round(found.se, 4), round(found.degrees_of_freedom, 4)
    (-3.0, 1.4142, 4.0755)
    """
    first, second = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if not len(first) or not len(second):
        return UNKNOWN
    estimate = float(first.mean() - second.mean())
    if len(first) < 2 or len(second) < 2:
        return Difference(estimate, None, None, None, None)
    parts = np.array([first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)])
    se = float(np.sqrt(parts.sum()))
    if se == 0:
        return Difference(estimate, se, None, None, None)
    degrees = float(parts.sum() ** 2 / (parts**2 / np.array([len(first) - 1, len(second) - 1])).sum())
    margin = float(special.stdtrit(degrees, (1 + confidence) / 2)) * se
    p = 2 * float(special.stdtr(degrees, -abs(estimate) / se))
    return Difference(estimate, se, degrees, (estimate - margin, estimate + margin), p)
