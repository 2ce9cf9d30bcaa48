"""Ranks of function and survival together."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BLOCK = 256  # subjects whose pairs are compared at once: memory is this times all subjects
DECIMALS = 9  # changes that agree to this many decimals are ties: means of scores round


@dataclass(frozen=True, kw_only=True, eq=False)
class Cafs:
    """For each of n subjects, pairs won minus pairs lost, and the rank of that sum; higher is better."""

    sums: IntArray
    ranks: FloatArray


def cafs(
    death_time: npt.ArrayLike,
    subject: npt.ArrayLike,
    time: npt.ArrayLike,
    change: npt.ArrayLike,
    *,
    common_time: Literal["carry_last", "interpolate"] = "carry_last",
    followed_until: npt.ArrayLike | None = None,
) -> Cafs:
    """Compare each of n subjects with each other one, first by death and then by function.

    death_time: (n,), NaN for who did not die. The m changes from baseline, in any order: subject (m,), 0 to n
    - 1; time (m,), counted like the deaths; change (m,), higher is better. Baseline itself is a change of 0.
    Who did not die needs one change at least; of who died none is looked at.

    Of two subjects the winner gets 1 and the loser -1. Both dead: the later death wins. One dead: the
    survivor wins. None dead: the better change wins, at the last time that both have: the earlier one of
    their last times. There the one that was followed longer counts with its last change until then
    (`carry_last`) or with the straight line between its neighbours (`interpolate`); without a change until
    then the two tie. Equals get 0. Sums are ranked upwards, ties sharing the mean rank.

    followed_until: (n,), when given, how long each survivor is known to have lived: one that was last seen
    before the other's death ties with it.

    The endpoint was described by Berry JD et al., Amyotroph Lateral Scler Frontotemporal Degener
    2013;14:162-168, DOI 10.3109/21678421.2012.762930; how it deals with visits at irregular times is of this
    module. Work grows with n^2, in blocks of 256 subjects.

    Raises ValueError for arrays that do not fit together, numbers that are missing or infinite, and a
    survivor without a change.

    >>> nan = float("nan")  # A and B died in months 6 and 9; C to F lost 10, 4, 4 and 1 points
    >>> found = cafs([6, 9, nan, nan, nan, nan], [2, 3, 4, 5], [12] * 4, [-10, -4, -4, -1])
    >>> found.sums.tolist(), found.ranks.tolist()
    ([-5, -3, -1, 2, 2, 5], [1.0, 2.0, 3.0, 4.5, 4.5, 6.0])
    """
    death = np.asarray(death_time, dtype=np.float64)
    owner, when, value = _checked_changes(death, subject, time, change)
    alive = np.isnan(death)
    followed = np.full(len(death), np.inf) if followed_until is None else np.asarray(followed_until, float)
    if followed.shape != death.shape or np.isnan(followed[alive]).any():
        raise ValueError("every survivor needs a time until which it was followed")
    sums = np.zeros(len(death), dtype=np.int64)
    deaths, lived = np.sort(death[~alive]), np.sort(followed[alive])
    # Each died later than some and earlier than others; survivors won where they were still seen.
    sums[~alive] = np.searchsorted(deaths, death[~alive]) - (
        len(deaths) - np.searchsorted(deaths, death[~alive], side="right")
    )
    sums[~alive] -= len(lived) - np.searchsorted(lived, death[~alive])
    sums[alive] = np.searchsorted(deaths, followed[alive], side="right")
    sums[alive] += _by_function(owner, when, value, interpolate=common_time == "interpolate")
    ranks: FloatArray = np.asarray(pd.Series(sums).rank(), dtype=np.float64)
    return Cafs(sums=sums, ranks=ranks)


def _checked_changes(
    death: FloatArray, subject: npt.ArrayLike, time: npt.ArrayLike, change: npt.ArrayLike
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the survivors' changes by subject and time; subjects are counted among the survivors."""
    owner = np.asarray(subject, dtype=np.int64)
    when, value = np.asarray(time, dtype=np.float64), np.asarray(change, dtype=np.float64)
    if death.ndim != 1 or owner.ndim != 1 or not owner.shape == when.shape == value.shape:
        raise ValueError("subject, time and change are three rows of one length")
    if np.isinf(death).any() or not (np.isfinite(when) & np.isfinite(value)).all():
        raise ValueError("a time or a change is missing or infinite")
    if len(owner) and not 0 <= owner.min() <= owner.max() < len(death):
        raise ValueError("a change belongs to no subject")
    alive = np.isnan(death)
    if np.bincount(owner, minlength=len(death))[alive].min(initial=1) == 0:
        raise ValueError("a survivor has no change: leave it out")
    kept = alive[owner]
    owner = (np.cumsum(alive) - 1)[owner[kept]]
    order = np.lexsort((when[kept], owner))
    return owner[order], when[kept][order], value[kept][order]


def _by_function(owner: IntArray, when: FloatArray, value: FloatArray, *, interpolate: bool) -> IntArray:
    """Return pairs won minus pairs lost by each survivor, of all pairs of survivors."""
    last = np.flatnonzero(np.diff(owner, append=-1))  # each subject's last change
    order = np.argsort(when[last], kind="stable")  # from who was followed shortest
    sums = np.zeros(len(last), dtype=np.int64)
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        at = when[last[block]]
        before = _last_until(owner, when, at, n=len(last))
        # Columns are the block, rows who was followed at least as long: each pair is met once.
        rows = order[start:]
        before = before[rows]
        known = before >= 0
        theirs = value[before]
        if interpolate:
            after = np.minimum(before + 1, last[rows][:, None])
            gap = when[after] - when[before]
            part = np.divide(at - when[before], gap, out=np.zeros_like(theirs), where=gap > 0)
            theirs = theirs + part * (value[after] - theirs)
        won = np.sign(np.round(value[last[block]], DECIMALS) - np.round(theirs, DECIMALS)).astype(np.int64)
        places = np.arange(len(rows))[:, None]
        won[~known | (places <= np.arange(len(block)))] = 0
        sums[block] += won.sum(axis=0)
        sums[rows] -= won.sum(axis=1)
    return sums


def _last_until(owner: IntArray, when: FloatArray, at: FloatArray, *, n: int) -> IntArray:
    """Return the place of each subject's last change until each time, (n, times); -1 where there is none.

    The changes are in order of subject and time, the times ascending.
    """
    column = np.searchsorted(at, when)  # the first of the times at which a change is known
    found = np.full((n, len(at) + 1), -1, dtype=np.int64)
    # Within a subject places grow with time: the later change of one cell is written last.
    np.maximum.at(found, (owner, column), np.arange(len(owner)))
    return np.maximum.accumulate(found[:, :-1], axis=1)
