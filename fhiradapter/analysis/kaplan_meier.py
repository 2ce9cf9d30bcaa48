"""The Kaplan-Meier curve of one group."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Survival of 1/2 comes out of products that round; R's survfit allows as much.
TOLERANCE = math.sqrt(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class KaplanMeier:
    """A survival curve at its m distinct times, of events and of censorings; before the first one it is 1.

    All arrays have the shape (m,). `standard_error` is that of `survival`; it and the limits are NaN where
    nobody survives. A median, or a limit of it, that the curve does not reach is None.
    """

    time: FloatArray
    at_risk: IntArray
    events: IntArray
    censored: IntArray
    survival: FloatArray
    standard_error: FloatArray
    lower: FloatArray
    upper: FloatArray
    median: float | None
    median_lower: float | None
    median_upper: float | None

    def numbers_at_risk(self, times: npt.ArrayLike) -> IntArray:
        """Return how many subjects are still followed just before each of the times, in any shape.

        >>> kaplan_meier([2, 3, 3], [True, True, False]).numbers_at_risk([0, 2, 2.5, 3, 4]).tolist()
        [3, 3, 2, 2, 0]
        """
        return np.append(self.at_risk, 0)[np.searchsorted(self.time, np.asarray(times, dtype=np.float64))]

    def survival_at(self, times: npt.ArrayLike) -> FloatArray:
        """Return the estimate at each of the times, in any shape; NaN after the last time unless it is 0.

        >>> kaplan_meier([2, 3, 3], [True, True, False]).survival_at([1, 2, 3, 4]).round(4).tolist()
        [1.0, 0.6667, 0.3333, nan]
        """
        wanted = np.asarray(times, dtype=np.float64)
        steps = np.concatenate([[1.0], self.survival])
        estimate: FloatArray = steps[np.searchsorted(self.time, wanted, side="right")]
        last = self.time[-1] if len(self.time) else -np.inf
        # Nobody survives for ever: from the last death on the curve stays at 0.
        return np.where((wanted > last) & (steps[-1] > 0), np.nan, estimate)


def kaplan_meier(time: npt.ArrayLike, event: npt.ArrayLike, *, confidence: float = 0.95) -> KaplanMeier:
    """Estimate survival from n right-censored times.

    time: (n,), in any unit, >= 0. event: (n,), True where the time ends in an event, False where it is
    censored; a subject that is censored at the time of an event is at risk of it. n = 0 gives empty arrays.

    S(t) = prod over event times u <= t of (1 - d_u / n_u). Standard error by Greenwood: S sqrt(sum of
    d / (n (n - d))). The limits are S exp(-+ z se / S), cut at 1: an interval on the logarithm, which is the
    default of R's survfit. The median is the first time at which S <= 1/2; where S is 1/2 it is the middle of
    that stretch. The limits of the median are read off the limits of the curve in the same way (Brookmeyer
    and Crowley 1982), as R does.

    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481, DOI 10.1080/01621459.1958.10501452. Brookmeyer R,
    Crowley J. Biometrics 1982;38:29-41, DOI 10.2307/2530286. R: survival::survfit(conf.type = "log").

    Raises ValueError for arrays of different lengths, a time that is missing, infinite or negative, an event
    that is neither true nor false, and a confidence outside 0 to 1.

    >>> curve = kaplan_meier([1, 2, 2, 4], [True, True, False, False])
    >>> curve.survival.tolist(), curve.at_risk.tolist(), curve.median
    ([0.75, 0.5, 0.5], [4, 3, 1], 2.0)
    """
    if not 0 < confidence < 1:
        raise ValueError("confidence lies between 0 and 1")
    times, happened = checked_times(time, event)
    distinct, place = np.unique(times, return_inverse=True)
    events = np.bincount(place[happened], minlength=len(distinct))
    leaving = np.bincount(place, minlength=len(distinct))
    at_risk = leaving[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / at_risk)
    survivors = at_risk - events
    # Where all die the variance has no value: R says NaN as well.
    terms = np.divide(events, at_risk * survivors, out=np.full(len(distinct), np.nan), where=survivors > 0)
    relative = np.sqrt(np.cumsum(terms))
    factor = np.exp(float(special.ndtri((1 + confidence) / 2)) * relative)
    lower, upper = survival / factor, np.minimum(1.0, survival * factor)
    return KaplanMeier(
        time=distinct,
        at_risk=at_risk,
        events=events,
        censored=leaving - events,
        survival=survival,
        standard_error=survival * relative,
        lower=lower,
        upper=upper,
        median=first_half(distinct, survival),
        median_lower=first_half(distinct, lower),
        median_upper=first_half(distinct, upper),
    )


def checked_times(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return times and events as arrays of one length; raises what `kaplan_meier` raises.

    >>> checked_times([1, float("nan")], [True, True])
    Traceback (most recent call last):
    ValueError: every time is a number that is not negative; 1 of 2 is not
    """
    times, marks = np.asarray(time, dtype=np.float64), np.asarray(event)
    if times.ndim != 1 or marks.shape != times.shape:
        raise ValueError("time and event are two rows of one length")
    unusable = int(np.count_nonzero(~(np.isfinite(times) & (times >= 0))))
    if unusable:
        raise ValueError(f"every time is a number that is not negative; {unusable} of {len(times)} is not")
    if marks.dtype != np.bool_ and not np.isin(marks, (0, 1)).all():
        raise ValueError("every event is true or false")
    return times, marks.astype(np.bool_)


def first_half(time: FloatArray, curve: FloatArray) -> float | None:
    """Return when a falling curve reaches one half; the middle of the stretch where it is one half.

    >>> steps = np.array([0.75, 0.5, 0.25])
    >>> first_half(np.array([1.0, 2.0, 4.0]), steps), first_half(np.array([1.0]), steps[:1])
    (3.0, None)
    """
    reached = curve < 0.5 + TOLERANCE  # False for NaN
    if not reached.any():
        return None
    times, levels = time[reached], curve[reached]
    if abs(levels[0] - 0.5) < TOLERANCE and (below := levels < levels[0]).any():
        return float(times[0] + times[below.argmax()]) / 2
    return float(times[0])
