"""The mean of some subjects' values, with its uncertainty."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fhiradapter.results import Interval

FloatArray = npt.NDArray[np.float64]
# Resampled means are computed in pieces of this many values, 0.5 MB: what fits near the processor.
PIECE = 65_536

ONE_SUBJECT = "only one subject, so no interval"


@dataclass(frozen=True)
class Mean:
    """Mean of n values, their standard deviation, the mean's standard error and interval; or None."""

    n: int
    mean: float | None
    sd: float | None
    se: float | None
    interval: Interval | None


def estimate_mean(values: FloatArray, *, confidence: float) -> Mean:
    """Estimate the mean with Student's t interval, mean -+ t(n - 1) sd / sqrt(n); from two values on.

    values: (n,), without NaN.

    >>> estimate = estimate_mean(np.array([1.0, 2.0, 3.0]), confidence=0.95)
    >>> [round(bound, 4) for bound in estimate.interval]  # 2 -+ 4.3027 / sqrt(3)
    [-0.4841, 4.4841]
    """
    n = len(values)
    if n < 2:
        return Mean(n, float(values[0]) if n else None, None, None, None)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    se = sd / float(np.sqrt(n))
    margin = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * se
    return Mean(n, mean, sd, se, (mean - margin, mean + margin))


def why_no_interval(n: int, *, nobody: str) -> str | None:
    """Return why a mean over n subjects has no interval, or is not there; None when it has one.

    >>> why_no_interval(0, nobody="no subject with a baseline"), why_no_interval(2, nobody="")
    ('no subject with a baseline', None)
    """
    return nobody if n == 0 else ONE_SUBJECT if n == 1 else None


def bootstrap_mean(
    values: FloatArray, *, samples: int, confidence: float, generator: np.random.Generator
) -> Interval | None:
    """Return the percentile interval of the mean when subjects' values are drawn with replacement.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. None for fewer than two values
    or no samples. Of few values it is too narrow: n = 6 has 462 distinct samples only.

    >>> generator = np.random.default_rng(1)
    >>> bootstrap_mean(np.array([2.0, 2.0]), samples=10, confidence=0.95, generator=generator)
    (2.0, 2.0)
    """
    n = len(values)
    if n < 2 or samples == 0:
        return None
    means = np.empty(samples)
    step = min(max(1, PIECE // n), samples)
    drawn = np.empty((step, n))  # used again and again: new memory costs more than the draws
    for start in range(0, samples, step):
        stop = min(start + step, samples)
        places = generator.integers(n, size=(stop - start, n))
        # Places are drawn below n, so none is clipped; to have them checked costs another copy.
        found = np.take(values, places, out=drawn[: stop - start], mode="clip")
        found.mean(axis=1, out=means[start:stop])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
