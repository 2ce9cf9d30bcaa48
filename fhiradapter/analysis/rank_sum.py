"""The rank-sum test of two groups."""

import numpy as np
import numpy.typing as npt
from scipy import special

# Up to here the distribution of the rank sum is counted out; above it the normal one is as good.
EXACT_UP_TO = 100


def rank_sum_p(ranks: npt.NDArray[np.float64], first: npt.NDArray[np.bool_]) -> tuple[float, float, bool]:
    """Return Mann and Whitney's U of the first group, its two-sided p, and whether p is exact.

    ranks: (n,), 1 to n, tied ones the mean of theirs. first: (n,), True for the first group. U = W - n1 (n1 +
    1) / 2 with W the sum of the first group's ranks: the pairs that the first group wins, ties half.
    Up to 100 ranks p is the share of all choices of n1 of the n ranks, ties and all, whose W lies as far from
    its mean n1 (n + 1) / 2. Above: the normal approximation with the variance n1 n2 / (n (n - 1)) sum of
    (rank - mean)^2 and a continuity correction.

    Wilcoxon F. Biometrics Bull 1945;1:80-83, DOI 10.2307/3001968. Mann HB, Whitney DR. Ann Math Stat
    1947;18:50-60, DOI 10.1214/aoms/1177730491. Raises ValueError when a group is empty.

    >>> u, p, exact = rank_sum_p(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    >>> u, round(p, 4), exact  # 2 of 6 choices lie as far out
    (4.0, 0.3333, True)
    """
    n, size = len(ranks), int(first.sum())
    if not 0 < size < n:
        raise ValueError("both groups need a member")
    # Mean ranks are halves, so doubled they are whole.
    doubled = np.round(2 * ranks).astype(np.int64)
    total, middle = int(doubled[first].sum()), size * doubled.sum() / n
    statistic = total / 2 - size * (size + 1) / 2
    distance = abs(total - middle)
    if n <= EXACT_UP_TO:
        return statistic, _exact_p(doubled, size, middle, distance), True
    spread = ((doubled - doubled.mean()) ** 2).sum() * size * (n - size) / (n * (n - 1))
    if spread == 0:
        return statistic, 1.0, False
    # One step of U is 2 in doubled ranks: the correction is half of it.
    return statistic, min(1.0, 2 * float(special.ndtr(-max(distance - 1, 0) / np.sqrt(spread)))), False


def _exact_p(doubled: npt.NDArray[np.int64], size: int, middle: float, distance: float) -> float:
    """Return the share of the choices of `size` ranks whose sum is at least `distance` from the middle."""
    # chances[k, s]: probability that, of the ranks so far, k are in the group and sum to s.
    chances = np.zeros((size + 1, int(np.sort(doubled)[-size:].sum()) + 1))
    chances[0, 0] = 1.0
    n, width = len(doubled), chances.shape[1]
    for seen, rank in enumerate(np.sort(doubled).tolist()):
        # The next rank joins a group of k with probability (size - k) / (n - seen).
        joins = ((size - np.arange(size + 1)) / (n - seen)).clip(0, 1)[:, None]
        moved = chances[:-1, : width - rank] * joins[:-1]
        chances *= 1 - joins
        chances[1:, rank:] += moved
    # Half a step of slack: the middle is a fraction.
    far = np.abs(np.arange(width) - middle) >= distance - 1e-6
    return min(1.0, float(chances[size, far].sum()))
