"""The exact signed-rank test of paired differences."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

# Up to here every assignment of signs is counted; above it the normal approximation is as good.
EXACT_UP_TO = 200
# Differences that agree to this many decimals are ties: slopes come out of sums that round.
DECIMALS = 10


def signed_rank_p(differences: npt.NDArray[np.float64]) -> float | None:
    """Return the two-sided p value of Wilcoxon's signed-rank test; None without differences.

    differences: (n,). Zeros are left out (Wilcoxon 1945); tied absolute differences share the mean of their
    ranks, and the distribution is that of these mean ranks over all 2^n signs, so that p stays exact
    (Hollander & Wolfe, Nonparametric Statistical Methods, section 3.1). Only zeros: p = 1. More than 200
    differences: normal approximation with a continuity correction. The smallest p of n differences is 2^(1 -
    n): 0.03125 for n = 6.

    >>> signed_rank_p(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    0.03125
    """
    if not len(differences):
        return None
    rounded = np.round(differences, DECIMALS)
    rounded = rounded[rounded != 0]
    n = len(rounded)
    if n == 0:
        return 1.0
    # Mean ranks are halves, so doubled they are whole.
    doubled = np.round(2 * pd.Series(np.abs(rounded)).rank().to_numpy()).astype(np.int64)
    positive, whole = int(doubled[rounded > 0].sum()), int(doubled.sum())
    smaller = min(positive, whole - positive)
    if n > EXACT_UP_TO:
        deviation = np.sqrt((doubled.astype(np.float64) ** 2).sum()) / 2
        # One step of the statistic is 2 in doubled ranks: the correction is half of it.
        return min(1.0, 2 * float(special.ndtr((smaller + 1 - whole / 2) / deviation)))
    chances = np.zeros(whole + 1)
    chances[0] = 1.0
    for rank in doubled:
        chances[rank:] = (chances[rank:] + chances[: whole + 1 - rank]) / 2
        chances[:rank] /= 2
    return min(1.0, 2 * float(chances[: smaller + 1].sum()))
