"""ALSFRS-R totals from their items."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.assessments import BothCutting, gather_assessments

TOTAL = "alsfrs_r_total"

BOTH_CUTTING = "both_cutting_items"
MISSING = "items_missing"
CONFLICTING = "items_conflicting"


def totals_from_items(items: pd.DataFrame, *, both_cutting: BothCutting) -> pd.DataFrame:
    """Add up the items of each assessment: one row per assessment, also when it has no total.

    items: columns as for `gather_assessments`, which says what items belong together.

    The total is the sum of 12 items and needs all of them (Cedarbaum et al. 1999, doi
    10.1016/s0022-510x(99)00210-5). Column `value` holds it, NaN where there is none; `reason` then says why:
    an item is missing, an item was answered twice with different values, or both forms of item 5 were
    answered. `row_id` is that of the first item.

    >>> from fhiradapter.analysis.assessments import ITEMS
    >>> day = pd.Timestamp("2024-01-01")
    >>> rows = [{"subject_id": "s1", "row_id": item, "concept": item, "value": 3.0, "at": day, "on": day,
    ...          "performer": None, "parent_id": "panel", "provisional": False} for item in ITEMS[1:]]
    >>> totals_from_items(pd.DataFrame(rows), both_cutting="max")[["value", "reason"]].values.tolist()
    [[36.0, '']]
    >>> totals_from_items(pd.DataFrame(rows[1:]), both_cutting="max")[["value", "reason"]].values.tolist()
    [[nan, 'items_missing']]
    """
    assessments = gather_assessments(items)
    both = assessments.both_cutting
    points = np.column_stack([assessments.lowest[:, 2:], assessments.cutting(both_cutting=both_cutting)])
    conflicting = assessments.conflicting.any(axis=1)
    missing = np.isnan(points).any(axis=1)
    refused = both & (both_cutting == "flag_and_exclude_total")
    reason = np.select([conflicting, refused, missing], [CONFLICTING, BOTH_CUTTING, MISSING], default="")
    total = np.where(reason == "", points.sum(axis=1), np.nan)
    return assessments.heads.assign(value=total, reason=reason, both_cutting=both)
