"""The twelve items of each ALSFRS-R assessment, side by side."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.order import order_of

CUTTING = (
    "alsfrs_r_05a_cutting",
    "alsfrs_r_05b_cutting",
)  # one of them counts: 5b is asked after gastrostomy
OTHER_ITEMS = (
    "alsfrs_r_01_speech",
    "alsfrs_r_02_salivation",
    "alsfrs_r_03_swallowing",
    "alsfrs_r_04_handwriting",
    "alsfrs_r_06_dressing",
    "alsfrs_r_07_turning",
    "alsfrs_r_08_walking",
    "alsfrs_r_09_stairs",
    "alsfrs_r_10_dyspnea",
    "alsfrs_r_11_orthopnea",
    "alsfrs_r_12_respiratory",
)
ITEMS = (*CUTTING, *OTHER_ITEMS)
ITEM_COLUMNS = ("comparator", "performer", "parent_id")  # what is asked of a measurement beside what all are
HIGHEST_ANSWER = 4  # Cedarbaum et al. 1999: 0 to 4 for each item

# Items 1 to 12 in the order of the form, as columns of `twelve_items`.
NAMES = (
    "speech",
    "salivation",
    "swallowing",
    "handwriting",
    "cutting",
    "dressing",
    "turning",
    "walking",
    "stairs",
    "dyspnea",
    "orthopnea",
    "respiratory",
)

BothCutting = Literal["flag_and_exclude_total", "prefer_5a", "max"]


@dataclass(frozen=True, eq=False)
class Assessments:
    """Items that belong together, one row per assessment.

    heads: `subject_id`, `row_id` (of the first item), `at` (UTC), `on` (local day), `performer`, `parent_id`,
        `provisional`; by subject and time.
    lowest, highest: (n, 13), columns as in ITEMS: the least and the greatest answer to each item, equal
        unless it was answered twice with different values, NaN where it was not answered.
    """

    heads: pd.DataFrame
    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]

    @property
    def both_cutting(self) -> npt.NDArray[np.bool_]:
        """True where both forms of item 5 were answered, (n,)."""
        answered = ~np.isnan(self.lowest[:, :2])
        return answered[:, 0] & answered[:, 1]

    @property
    def conflicting(self) -> npt.NDArray[np.bool_]:
        """True for an item with two different answers, (n, 13)."""
        return self.lowest < self.highest

    def cutting(self, *, both_cutting: BothCutting) -> npt.NDArray[np.float64]:
        """Return the points of item 5, (n,): of the form answered; of both, form 5a or the larger one."""
        first, second = self.lowest[:, 0], self.lowest[:, 1]
        either = np.where(np.isnan(first), second, first)
        return np.fmax(first, second) if both_cutting == "max" else either


def gather_assessments(items: pd.DataFrame) -> Assessments:
    """Put the items that belong together into one row.

    items: columns `subject_id`, `row_id`, `concept` (one of ITEMS), `value` (0-4), `at`, `on`, `performer`,
    `parent_id`, `provisional`. Items of one subject belong together when they have one parent; without a
    parent, when one rater took them on one local day, or at one instant where that day has an item twice.

    >>> day = pd.Timestamp("2024-01-01")
    >>> rows = [{"subject_id": "s1", "row_id": item, "concept": item, "value": 3.0, "at": day, "on": day,
    ...          "performer": None, "parent_id": None, "provisional": False} for item in OTHER_ITEMS]
    >>> gather_assessments(pd.DataFrame(rows)).lowest[:, :4].tolist()
    [[nan, nan, 3.0, 3.0]]
    """
    order = order_of(items)
    column = pd.Index(ITEMS).get_indexer(pd.Index(items["concept"]))
    # Of the items in order only numbers are made: to move all their words would cost the most.
    assessment, heads = pd.factorize(_together(items, column)[order])
    firsts = order[np.unique(assessment, return_index=True)[1]]
    column = column[order]
    lowest = np.full((len(heads), len(ITEMS)), np.inf)
    highest = np.full((len(heads), len(ITEMS)), -np.inf)
    value = items["value"].to_numpy(dtype=np.float64)[order]
    np.minimum.at(lowest, (assessment, column), value)
    np.maximum.at(highest, (assessment, column), value)
    lowest[np.isinf(lowest)] = np.nan
    highest[np.isinf(highest)] = np.nan
    weights = items["provisional"].to_numpy(dtype=np.float64)[order]
    provisional = np.bincount(assessment, weights=weights, minlength=len(heads)) > 0
    kept = ["subject_id", "row_id", "at", "on", "performer", "parent_id"]
    rows = items[kept].iloc[firsts].reset_index(drop=True).assign(provisional=provisional)
    return Assessments(rows, lowest, highest)


def twelve_items(assessments: Assessments, *, both_cutting: BothCutting) -> pd.DataFrame:
    """Return the twelve items of each assessment, and whether the person has a gastrostomy.

    Columns NAMES hold the points (0-4), NaN where the item is not known: not answered, answered twice with
    different values, or no whole number from 0 to 4. `form` says which form of item 5 was answered: "5a",
    "5b", "both" or "". `gastrostomy` is False for 5a, True for 5b, and missing otherwise: the policy
    `both_cutting` says which of two answers counts as points, not whether there is a feeding tube. Under
    `flag_and_exclude_total` two answers leave item 5 unknown as well.

    >>> heads = pd.DataFrame({"row_id": ["a", "b"]})
    >>> answers = np.full((2, 13), 3.0)
    >>> answers[0, 0] = np.nan
    >>> found = twelve_items(Assessments(heads, answers, answers), both_cutting="max")
    >>> found[["speech", "cutting", "form", "gastrostomy"]].values.tolist()
    [[3.0, 3.0, '5b', True], [3.0, 3.0, 'both', <NA>]]
    """
    lowest = assessments.lowest
    unusable = assessments.conflicting | ~np.isin(lowest, np.arange(HIGHEST_ANSWER + 1.0))
    answered = ~np.isnan(lowest[:, :2])
    cutting = assessments.cutting(both_cutting=both_cutting)
    refused = assessments.both_cutting & (both_cutting == "flag_and_exclude_total")
    astray = (answered & unusable[:, :2]).any(axis=1)
    others = np.where(unusable[:, 2:], np.nan, lowest[:, 2:])
    columns = np.insert(others, NAMES.index("cutting"), np.where(astray | refused, np.nan, cutting), axis=1)
    form = np.select([answered.all(axis=1), answered[:, 0], answered[:, 1]], ["both", "5a", "5b"], default="")
    gastrostomy = pd.Series(pd.NA, index=assessments.heads.index, dtype="boolean")
    gastrostomy[form == "5a"] = False
    gastrostomy[form == "5b"] = True
    table = pd.DataFrame(columns, columns=list(NAMES), index=assessments.heads.index)
    return table.assign(form=form, gastrostomy=gastrostomy)


def _together(items: pd.DataFrame, column: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Return a number for each item that is equal for the items of one assessment."""
    parent = pd.Series(pd.factorize(items["parent_id"])[0], index=items.index)
    loose = parent.lt(0)
    # A parent that items of two people name is no assessment of both.
    number = parent + (parent.max() + 1) * pd.factorize(items["subject_id"])[0]
    if loose.any():
        rater = items["performer"].fillna("")
        kind = pd.Series(column, index=items.index)
        day = items.groupby(["subject_id", "on", rater], sort=False).ngroup()
        instant = items.groupby(["subject_id", "at", rater], sort=False).ngroup()
        again = pd.DataFrame({"day": day, "kind": kind})[loose].duplicated()
        twice = day.isin(day[loose][again])
        number = number.mul(3).where(~loose, day.mul(3).add(1).where(~twice, instant.mul(3).add(2)))
    numbers: npt.NDArray[np.int64] = number.to_numpy(dtype=np.int64)
    return numbers
