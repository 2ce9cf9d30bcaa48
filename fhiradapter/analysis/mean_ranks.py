"""Ranks of numbers, where equal ones share the mean of theirs."""

import numpy as np
import numpy.typing as npt


def mean_ranks(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Return the ranks from 1 for the smallest to n; values: (n,), without NaN.

    >>> mean_ranks(np.array([7.0, 3.0, 7.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: npt.NDArray[np.float64] = ((2 * last - count + 1) / 2)[place]
    return ranks
