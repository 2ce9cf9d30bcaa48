"""Totals as reported, set against the totals of their items."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.score_items import BOTH_CUTTING

TOTAL_OF_BOTH_CUTTING = "total_of_both_cutting_items"


def reconcile(reported: pd.DataFrame, totals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one row per score, and one per assessment or total that gave none, with its reason.

    reported: totals as sent, with `subject_id`, `row_id`, `at`, `on`, `value`, `performer`, `parent_id`,
    `provisional`. totals: the result of `totals_from_items`.

    A reported total belongs to the items that share its panel or are its members, else to those of the same
    rater (or of a rater not told) at the same time, else on the same day. It then gives way to the sum of the
    items: equal, it lends the score its name; different, the score is flagged and keeps it as
    `reported_value`. Where the items have no sum, the reported total stands (`items_incomplete`) - unless
    both forms of item 5 were answered, for then nobody knows what was added up.
    """
    reported = reported.reset_index(drop=True)
    owner = _assessment_of(reported, totals)
    matched = reported.loc[owner.ge(0)].assign(assessment=owner[owner.ge(0)])
    sums = totals["value"].reindex(matched["assessment"]).to_numpy()
    reasons = totals["reason"].reindex(matched["assessment"]).to_numpy()
    replaced = ~np.isnan(sums)
    refused = reasons == BOTH_CUTTING
    equal = matched.loc[replaced & (matched["value"].to_numpy() == sums)].drop_duplicates("assessment")
    other = matched.loc[replaced & (matched["value"].to_numpy() != sums)].drop_duplicates("assessment")

    added = totals.loc[totals["value"].notna()].copy()
    names = equal.set_index("assessment")["row_id"].reindex(added.index)
    as_sent = other.set_index("assessment")["value"].reindex(added.index)
    added = added.assign(
        row_id=names.fillna(added["row_id"]),
        reported_value=as_sent,
        total_differs=as_sent.notna(),
        items_incomplete=False,
        both_cutting_items=added["both_cutting"],
    )
    incomplete = pd.Series(False, index=reported.index)
    incomplete[matched.index[~replaced]] = True
    alone = reported.assign(
        reported_value=np.nan, total_differs=False, items_incomplete=incomplete, both_cutting_items=False
    ).drop(index=matched.index[replaced | refused])
    left_out = pd.concat(
        [
            totals.loc[totals["value"].isna(), ["subject_id", "row_id", "reason"]],
            matched.loc[refused].assign(reason=TOTAL_OF_BOTH_CUTTING)[["subject_id", "row_id", "reason"]],
        ]
    )
    return pd.concat([alone, added[list(alone.columns)]], ignore_index=True), left_out


def _assessment_of(reported: pd.DataFrame, totals: pd.DataFrame) -> pd.Series:
    """Return the label in `totals` that each reported total belongs to, -1 for none."""
    if totals.empty:
        return pd.Series(-1, index=reported.index)
    panels = totals.loc[totals["parent_id"].notna()].drop_duplicates("parent_id")
    by_panel = pd.Series(panels.index, index=pd.Index(panels["parent_id"], dtype=object), dtype=float)
    owner = reported["parent_id"].astype(object).map(by_panel)
    owner = owner.fillna(reported["row_id"].astype(object).map(by_panel)).fillna(-1).astype(np.int64)
    for keys in (["subject_id", "at", "rater"], ["subject_id", "on", "rater"], ["subject_id", "on"]):
        free = reported.assign(rater=reported["performer"].fillna(""))[owner.lt(0)]
        sums = totals.assign(rater=totals["performer"].fillna("")).drop(
            index=owner[owner.ge(0)].unique().tolist()
        )
        free = free[[*keys, "performer"]].drop_duplicates(keys, keep=False).reset_index(names="total")
        sums = sums[[*keys, "performer"]].drop_duplicates(keys, keep=False).reset_index(names="assessment")
        pairs = free.merge(sums, on=keys, suffixes=("", "_of_items"))
        told = pairs["performer"].notna() & pairs["performer_of_items"].notna()
        pairs = pairs.loc[~told | pairs["performer"].eq(pairs["performer_of_items"])]
        owner[pairs["total"].to_numpy()] = pairs["assessment"].to_numpy(dtype=np.int64)
    return owner
