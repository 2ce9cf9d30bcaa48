"""ALSFRS-R totals from their items."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

TOTAL = "alsfrs_r_total"
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

BOTH_CUTTING = "both_cutting_items"
MISSING = "items_missing"
CONFLICTING = "items_conflicting"

BothCutting = Literal["flag_and_exclude_total", "prefer_5a", "max"]


def totals_from_items(items: pd.DataFrame, *, both_cutting: BothCutting) -> pd.DataFrame:
    """Add up the items of each assessment: one row per assessment, also when it has no total.

    items: columns `subject_id`, `row_id`, `concept` (one of ITEMS), `value` (0-4), `at`, `on`, `performer`,
    `parent_id`, `provisional`. Items belong together when they have one parent; without a parent, when one
    rater took them on one local day, or at one instant where that day has an item twice.

    The total is the sum of 12 items and needs all of them (Cedarbaum et al. 1999, doi
    10.1016/s0022-510x(99)00210-5). Column `value` holds it, NaN where there is none; `reason` then says why:
    an item is missing, an item was answered twice with different values, or both forms of item 5 were
    answered. `row_id` is that of the first item.

    >>> day = pd.Timestamp("2024-01-01")
    >>> rows = [{"subject_id": "s1", "row_id": item, "concept": item, "value": 3.0, "at": day, "on": day,
    ...          "performer": None, "parent_id": "panel", "provisional": False} for item in ITEMS[1:]]
    >>> totals_from_items(pd.DataFrame(rows), both_cutting="max")[["value", "reason"]].values.tolist()
    [[36.0, '']]
    >>> totals_from_items(pd.DataFrame(rows[1:]), both_cutting="max")[["value", "reason"]].values.tolist()
    [[nan, 'items_missing']]
    """
    items = items.sort_values(["subject_id", "at", "row_id"], kind="stable").reset_index(drop=True)
    column = pd.Index(ITEMS).get_indexer(pd.Index(items["concept"]))
    assessment, heads = pd.factorize(_assessments(items, column))
    firsts = np.unique(assessment, return_index=True)[1]
    lowest = np.full((len(heads), len(ITEMS)), np.inf)
    highest = np.full((len(heads), len(ITEMS)), -np.inf)
    value = items["value"].to_numpy(dtype=np.float64)
    np.minimum.at(lowest, (assessment, column), value)
    np.maximum.at(highest, (assessment, column), value)
    answered = np.isfinite(lowest)
    both = answered[:, :2].all(axis=1)
    cutting = np.where(answered[:, 0], lowest[:, 0], lowest[:, 1])
    if both_cutting == "max":
        cutting = np.where(both, lowest[:, :2].max(axis=1), cutting)
    conflicting = (answered & (lowest != highest)).any(axis=1)
    missing = ~(answered[:, 2:].all(axis=1) & answered[:, :2].any(axis=1))
    refused = both & (both_cutting == "flag_and_exclude_total")
    reason = np.select([conflicting, refused, missing], [CONFLICTING, BOTH_CUTTING, MISSING], default="")
    total = np.where(reason == "", lowest[:, 2:].sum(axis=1) + cutting, np.nan)
    kept = ["subject_id", "row_id", "at", "on", "performer", "parent_id"]
    result = items.loc[firsts, kept].reset_index(drop=True)
    provisional = np.bincount(assessment, weights=items["provisional"], minlength=len(heads)) > 0
    return result.assign(value=total, reason=reason, both_cutting=both, provisional=provisional)


def _assessments(items: pd.DataFrame, column: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Return a number for each item that is equal for the items of one assessment."""
    rater = items["performer"].fillna("")
    kind = pd.Series(column, index=items.index)
    day = items.groupby(["subject_id", "on", rater], sort=False).ngroup()
    instant = items.groupby(["subject_id", "at", rater], sort=False).ngroup()
    parent = pd.Series(pd.factorize(items["parent_id"])[0], index=items.index)
    loose = parent.lt(0)
    again = pd.DataFrame({"day": day, "kind": kind})[loose].duplicated()
    twice = day.isin(day[loose][again])
    number = parent.mul(3).where(~loose, day.mul(3).add(1).where(~twice, instant.mul(3).add(2)))
    return number.to_numpy(dtype=np.int64)
