"""The log-rank test between groups."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fhiradapter.analysis.kaplan_meier import FloatArray, IntArray, checked_times

# Below this share of the largest one, a direction of the covariance is rounding.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRank:
    """A chi-square test that k groups have one hazard, with what was seen in each; all arrays are (k,).

    `chi_square` and `p` are None where nothing can be tested: fewer than two groups, or no event while two
    groups were at risk.
    """

    groups: tuple[Hashable, ...]
    n: IntArray
    observed: IntArray
    expected: FloatArray
    chi_square: float | None
    df: int
    p: float | None


def log_rank(time: npt.ArrayLike, event: npt.ArrayLike, group: Sequence[Hashable]) -> LogRank:
    """Test whether the groups of n right-censored times differ.

    time: (n,), >= 0, in any unit. event: (n,), True where the time ends in an event. group: (n,), anything
    that can be sorted; `groups` of the result are its distinct values in order.

    At each event time u, group i expects d n_i / N of the d events, with covariance
    d (N - d) / (N - 1) (n_i / N) (1[i = j] - n_j / N). With observed minus expected summed over all u as z
    and the covariances as V, chi-square = z' V^- z, df = rank of V: that is k - 1, less where a group was
    never at risk of an event. R's survdiff(rho = 0) does the same.

    Mantel N. Cancer Chemother Rep 1966;50:163-170. Peto R, Peto J. J R Stat Soc A 1972;135:185-207, DOI
    10.2307/2344317.

    Raises ValueError for what `kaplan_meier` refuses, and for groups that are not n.

    >>> test = log_rank([1, 2, 3, 4], [True, True, True, True], ["a", "a", "b", "b"])
    >>> test.observed.tolist(), test.expected.round(4).tolist(), round(test.chi_square, 4), test.df
    ([2, 2], [0.8333, 3.1667], 2.8824, 1)
    """
    times, happened = checked_times(time, event)
    if len(group) != len(times):
        raise ValueError("every time has one group")
    names = tuple(sorted(set(group), key=lambda name: (str(type(name)), name)))
    place = {name: index for index, name in enumerate(names)}
    member = np.fromiter((place[name] for name in group), dtype=np.int64, count=len(times))
    moments, when = np.unique(times[happened], return_inverse=True)
    # Rows are event times, columns groups: events at, and subjects followed up to, each time.
    events = np.zeros((len(moments), len(names)), dtype=np.int64)
    np.add.at(events, (when, member[happened]), 1)
    at_risk = np.empty_like(events)
    for index in range(len(names)):
        own = np.sort(times[member == index])
        at_risk[:, index] = len(own) - np.searchsorted(own, moments)
    all_events, all_at_risk = events.sum(axis=1), at_risk.sum(axis=1)
    share = at_risk / all_at_risk[:, None]
    expected = (share * all_events[:, None]).sum(axis=0)
    observed = events.sum(axis=0)
    # One subject alone at risk is certain to be the one: no variance.
    weight = all_events * (all_at_risk - all_events) / np.maximum(all_at_risk - 1, 1)
    covariance = np.diag((share * weight[:, None]).sum(axis=0)) - (share * weight[:, None]).T @ share
    chi_square, df = _quadratic_form(observed - expected, covariance)
    return LogRank(
        groups=names,
        n=np.bincount(member, minlength=len(names)),
        observed=observed,
        expected=expected,
        chi_square=chi_square,
        df=df,
        p=None if chi_square is None else float(special.chdtrc(df, chi_square)),
    )


def _quadratic_form(difference: FloatArray, covariance: FloatArray) -> tuple[float | None, int]:
    """Return z' V^- z and the rank of V; None where V is zero. V is symmetric and never of full rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > RANK_TOLERANCE * max(1.0, float(values.max(initial=0.0)))
    if not kept.any():
        return None, 0
    projected = vectors[:, kept].T @ difference
    return float((projected**2 / values[kept]).sum()), int(kept.sum())
