"""One-to-one matching of what was given to what was planned, in time order."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Larger than any sum of distances in days, so that the number of matches always decides first.
MATCH = np.int64(10**9)
NEVER = -(np.int64(10) ** 15)


def match(
    planned: FloatArray, given: FloatArray, *, reach_early: FloatArray, reach_late: FloatArray
) -> IntArray:
    """Return for each given day the planned visit (0-based) that it stands for, -1 for none.

    `planned` (S, V) and `given` (S, K) are days of S subjects in rising order, NaN where there is none (at
    the end for `given`). A given day can stand for a visit when it lies between `reach_early` days before and
    `reach_late` days after it, both (S, V), inclusive.

    Of all the matchings that use every visit and every given day once at most and never cross in time, the
    one with most matches is taken; of these the one with the smallest sum of distances in days; then the one
    whose matches lie earliest. It is the alignment recursion of Needleman SB, Wunsch CD. J Mol Biol
    1970;48:443-453, DOI 10.1016/0022-2836(70)90057-4: one pass over the visits, vectorised over subjects and
    given days.

    >>> planned, reach = np.array([[0.0, 7.0, 14.0]]), np.full((1, 3), 6.0)
    >>> match(planned, np.array([[0.0, 9.0, 12.0, 30.0]]), reach_early=reach, reach_late=reach).tolist()
    [[0, 1, 2, -1]]
    """
    subjects, visits = planned.shape
    count = given.shape[1]
    best = np.zeros((visits + 1, subjects, count + 1), dtype=np.int64)
    for visit in range(visits):
        away = given - planned[:, [visit]]
        # A comparison with NaN is False: what is not there cannot be matched.
        allowed = (away >= -reach_early[:, [visit]]) & (away <= reach_late[:, [visit]])
        distance = np.nan_to_num(np.abs(away)).astype(np.int64)
        gain = np.where(allowed, MATCH - distance, NEVER)
        here = best[visit].copy()
        here[:, 1:] = np.maximum(here[:, 1:], best[visit][:, :-1] + gain)
        best[visit + 1] = np.maximum.accumulate(here, axis=1)
    return _traced(best)


def _traced(best: IntArray) -> IntArray:
    """Walk back through the table of best sums (V+1, S, K+1) and return the visit of each given day."""
    visits, subjects, columns = best.shape
    matched = np.full((subjects, columns - 1), -1, dtype=np.int64)
    rows = np.arange(subjects)
    end = np.full(subjects, columns - 1)
    for visit in range(visits - 1, 0, -1):
        value = best[visit, rows, end]
        # Sums rise along the given days: the first that has the value is the earliest day that reaches it.
        end = (best[visit] == value[:, None]).argmax(axis=1)
        used = best[visit - 1, rows, end] < value
        matched[rows[used], end[used] - 1] = visit - 1
        end = end - used
    return matched
