"""Incidence of events in subjects and in person-time, with exact intervals."""

import numpy as np
import numpy.typing as npt
from scipy import special

from fhiradapter.results import Incidence

FloatArray = npt.NDArray[np.float64]
Estimate = tuple[FloatArray, FloatArray, FloatArray]


def clopper_pearson(count: npt.ArrayLike, n: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return proportion, lower and upper limit of the exact binomial interval, as fractions.

    `count` and `n` broadcast together. Lower = Beta(a/2; x, n-x+1), upper = Beta(1-a/2; x+1, n-x) quantiles
    with a = 1 - confidence; 0 and 1 at the ends; NaN where n is 0. Raises ValueError unless 0 <= count <= n.

    Clopper CJ, Pearson ES. Biometrika 1934;26:404-413, DOI 10.1093/biomet/26.4.404.

    >>> [round(float(number), 6) for number in clopper_pearson(1, 6)]
    [0.166667, 0.004211, 0.641235]
    """
    x, size = _counts(count, n)
    half = (1 - confidence) / 2
    # betaincinv wants parameters above 0; the ends are set after it.
    low = np.where(x > 0, special.betaincinv(np.maximum(x, 1), size - x + 1, half), 0.0)
    high = np.where(x < size, special.betaincinv(x + 1, np.maximum(size - x, 1), 1 - half), 1.0)
    proportion = np.divide(x, size, out=np.full(x.shape, np.nan), where=size > 0)
    return proportion, np.where(size > 0, low, np.nan), np.where(size > 0, high, np.nan)


def wilson(count: npt.ArrayLike, n: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return proportion, lower and upper limit of the Wilson score interval, as fractions.

    (x + z^2/2 +- z sqrt(x(n-x)/n + z^2/4)) / (n + z^2) with z the normal quantile, no continuity correction;
    NaN where n is 0. Shapes and errors as for `clopper_pearson`.

    Wilson EB. J Am Stat Assoc 1927;22:209-212, DOI 10.1080/01621459.1927.10502953.

    >>> [round(float(number), 6) for number in wilson(1, 6)]
    [0.166667, 0.030053, 0.563503]
    """
    x, size = _counts(count, n)
    z = float(special.ndtri(1 - (1 - confidence) / 2))
    safe = np.where(size > 0, size, np.nan)
    middle = (x + z**2 / 2) / (safe + z**2)
    half = z * np.sqrt(x * (safe - x) / safe + z**2 / 4) / (safe + z**2)
    # At x = 0 and x = n the limits are 0 and 1; rounding would leave them at 1e-17.
    low = np.where(x == 0, np.where(size > 0, 0.0, np.nan), middle - half)
    high = np.where(x == size, np.where(size > 0, 1.0, np.nan), middle + half)
    return x / safe, low, high


def poisson_rate(events: npt.ArrayLike, person_time: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return events per unit of person-time, with the exact Poisson interval.

    Lower = Gamma(a/2; d) / T and upper = Gamma(1-a/2; d+1) / T quantiles, which are the chi-square ones
    divided by two; lower is 0 for no event; NaN where the person-time is 0. `events` (counts) and
    `person_time` (any unit, >= 0) broadcast together. Raises ValueError for a negative one.

    Garwood F. Biometrika 1936;28:437-442, DOI 10.1093/biomet/28.3-4.437.

    >>> [round(float(number), 6) for number in poisson_rate(5, 20)]
    [0.25, 0.081174, 0.583417]
    """
    d, time = np.broadcast_arrays(np.asarray(events, dtype=float), np.asarray(person_time, dtype=float))
    if (d < 0).any() or (time < 0).any():
        raise ValueError("events and person-time cannot be negative")
    half = (1 - confidence) / 2
    safe = np.where(time > 0, time, np.nan)
    low = np.where(d > 0, special.gammaincinv(np.maximum(d, 1), half), 0.0)
    return d / safe, low / safe, special.gammaincinv(d + 1, 1 - half) / safe


def incidence(
    count: int,
    n: int,
    *,
    events: int,
    confidence: float = 0.95,
    person_years: float | None = None,
) -> Incidence:
    """Return the subjects with an event among n, in percent with both intervals; no percent when n is 0.

    With `person_years` (time at risk of all n) also events per 100 person-years with the exact Poisson
    interval.

    >>> none = incidence(0, 6, events=0)
    >>> round(none.clopper_pearson[1], 1), round(none.wilson[1], 1)
    (45.9, 39.0)
    """
    if n == 0:
        return Incidence(count=count, n=n, events=events, percent=None, clopper_pearson=None, wilson=None)
    rate: tuple[float, ...] | None = None
    if person_years:
        estimate = poisson_rate(events, person_years, confidence=confidence)
        rate = tuple(float(part) * 100 for part in estimate)
    share, low, high = (float(part) * 100 for part in clopper_pearson(count, n, confidence=confidence))
    _, score_low, score_high = (float(part) * 100 for part in wilson(count, n, confidence=confidence))
    return Incidence(
        count=count,
        n=n,
        events=events,
        percent=share,
        clopper_pearson=(low, high),
        wilson=(score_low, score_high),
        person_years=person_years or None,
        rate_per_100_person_years=rate[0] if rate else None,
        rate_interval=(rate[1], rate[2]) if rate else None,
    )


def _counts(count: npt.ArrayLike, n: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both as float arrays of one shape."""
    x, size = np.broadcast_arrays(np.asarray(count, dtype=float), np.asarray(n, dtype=float))
    if not ((x >= 0) & (x <= size)).all():
        raise ValueError("a count of subjects lies between 0 and n")
    return x, size
