"""Totals as reported, set against the totals of their items."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.analysis.population import places
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
    )
    stands = np.ones(len(reported), dtype=bool)
    stands[matched.index[replaced | refused]] = False
    alone = alone if stands.all() else alone.loc[stands]
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
    panels = totals.loc[totals["parent_id"].notna()].drop_duplicates(["subject_id", "parent_id"])
    by_parent = _panels_of(reported["parent_id"], reported["subject_id"], panels)
    by_name = _panels_of(reported["row_id"], reported["subject_id"], panels)
    place = np.where(by_parent >= 0, by_parent, by_name)
    owner = pd.Series(np.append(panels.index, -1)[place], index=reported.index, dtype=np.int64)
    one, other = _comparable(reported, totals)
    for keys in (["subject", "at", "rater"], ["subject", "on", "rater"], ["subject", "on"]):
        free = one[owner.to_numpy()[one.index] < 0]
        sums = other.drop(index=owner[owner.ge(0)].unique().tolist())
        free = free[list(dict.fromkeys([*keys, "rater"]))].drop_duplicates(keys, keep=False)
        sums = sums[list(dict.fromkeys([*keys, "rater"]))].drop_duplicates(keys, keep=False)
        free, sums = free.assign(total=free.index), sums.assign(assessment=sums.index)
        pairs = free.merge(sums, on=keys, suffixes=("", "_of_items"))
        if "rater" not in keys:
            told = pairs["rater"].gt(0) & pairs["rater_of_items"].gt(0)
            pairs = pairs.loc[~told | pairs["rater"].eq(pairs["rater_of_items"])]
        owner[pairs["total"].to_numpy()] = pairs["assessment"].to_numpy(dtype=np.int64)
    return owner


def _panels_of(names: pd.Series, subject_id: pd.Series, panels: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the place of the panel of each name and subject, -1 where it is not there or missing.

    A panel that two subjects name is one of each: nobody has the items of another.
    """
    subjects = pd.Index(panels["subject_id"].unique())
    words = pc.drop_null(pa.array(panels["parent_id"].astype("str"))).unique()
    keys = []
    for name, subject in ((panels["parent_id"], panels["subject_id"]), (names, subject_id)):
        found = pc.index_in(pa.array(name.astype("str")), value_set=words, skip_nulls=True)
        place, person = np.asarray(pc.fill_null(found, -1)).astype(np.int64), places(subject, subjects)
        keys.append(np.where((place >= 0) & (person >= 0), place * (len(subjects) + 1) + person, -1))
    found_at: npt.NDArray[np.int64] = pd.Index(keys[0]).get_indexer(pd.Index(keys[1])).astype(np.int64)
    return np.where(keys[1] >= 0, found_at, -1)


def _comparable(reported: pd.DataFrame, totals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return subject, time and rater (0: not told) of both as numbers, of the subjects that have items."""
    subjects = pd.Index(totals["subject_id"].unique())
    parts = []
    raters = pd.Index(totals["performer"].dropna().unique())
    raters = raters.append(pd.Index(reported["performer"].dropna().unique()).difference(raters, sort=False))
    for every in (reported, totals):
        place = places(every["subject_id"], subjects)
        rows = every.loc[place >= 0]
        rater = np.zeros(len(rows), dtype=np.int64)
        told = rows["performer"].fillna("").ne("").to_numpy(dtype=bool)
        rater[told] = raters.get_indexer(pd.Index(rows.loc[told, "performer"])) + 1
        parts.append(
            pd.DataFrame(
                {
                    "subject": place[place >= 0],
                    "at": rows["at"].to_numpy(dtype="datetime64[us]").astype(np.int64),
                    "on": rows["on"].to_numpy(dtype="datetime64[D]").astype(np.int64),
                    "rater": rater,
                },
                index=rows.index,
            )
        )
    return parts[0], parts[1]
