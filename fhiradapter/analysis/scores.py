"""One score per subject and time."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fhiradapter.analysis.assessments import HIGHEST_ANSWER, ITEM_COLUMNS, ITEMS
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.marks import count_marks, marks
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.population import study_population
from fhiradapter.analysis.reported_totals import reconcile
from fhiradapter.analysis.score_items import TOTAL, totals_from_items
from fhiradapter.analysis.usable_measurements import (
    COMPARATOR,
    LEFT_OUT,
    count_reasons,
    split_off,
    usable_measurements,
)
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import DAYS_PER_MONTH, Study

OUT_OF_RANGE = "out_of_range"
SAME_DAY_LATER = "same_day_later"
SAME_DAY = "same_day"
SEVERAL_RATERS = "several_raters"
RISE, LARGE_CHANGE, FAST_CHANGE = "rise", "large_change", "fast_change"
# ALSFRS-R scores do rise (68 of 538 steps in the data of Witzel et al. 2021): flags, and never filters.
LARGE_POINTS = 10
FAST_POINTS_PER_MONTH = 6

FLAGS = (
    "provisional",
    "both_cutting_items",
    "items_incomplete",
    "total_differs",
    SAME_DAY,
    SEVERAL_RATERS,
    RISE,
    LARGE_CHANGE,
    FAST_CHANGE,
)
COLUMNS = ("subject_id", "row_id", "at", "on", "value", "flags", "performer", "reported_value")


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a study, and what was left out on the way.

    table: one row per score, by subject and time: `subject_id`, `row_id`, `at` (UTC), `on` (local day),
        `value` (points), `flags` (tuple), `performer`, and `reported_value`, the total as sent where the
        items give another.
    left_out: one row per measurement or assessment that gave no score: `subject_id`, `row_id`, `reason`.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame

    def reduced(self) -> "Scores":
        """Return what summaries of all subjects look at: no names of rows, no raters."""
        return replace(self, table=self.table[["subject_id", "at", "on", "value", "flags"]])

    @property
    def notes(self) -> dict[str, int]:
        """How many scores carry each flag, and how many measurements were left out for each reason."""
        return count_reasons(self.left_out) | count_marks(self.table["flags"])


def derive_scores(cohort: Cohort, study: Study) -> Scores:
    """Derive the scores of `study.progression.concept`.

    For the ALSFRS-R total, totals as reported and totals added up from the 12 items come together; where both
    are there and differ, the items win and the score is flagged `total_differs`. Any other concept has its
    reported values only. Several scores of a subject on one local day follow the policy
    `progression.same_day`: their mean, the first, or all. Values with a comparator, without a day, with
    another status than a final one, dated after the data cut, or outside the scale (an ALSFRS-R item has 0-4
    points, the total 0-48) are left out and counted.

    >>> from datetime import date
    >>> rows = [{"subject_id": "s1", "row_id": str(points), "concept": "alsfrs_r_total", "value": points,
    ...          "status": "final", "measured_on": date(2024, 1, 1)} for points in (40.0, 42.0)]
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> table = derive_scores(Cohort.from_rows({"measurements": rows}), study).table
    >>> table[["value", "flags"]].values.tolist()
    [[41.0, ('same_day',)]]
    """
    return over_parts(score_rows, cohort, study)


def score_rows(cohort: Cohort, study: Study) -> Scores:
    """Derive the scores of some whole subjects."""
    concept = study.progression.concept
    concepts = [concept, *ITEMS] if concept == TOTAL else [concept]
    rows, left_out = usable_measurements(
        cohort, study, concepts, study_population(cohort, study), columns=ITEM_COLUMNS
    )
    rows, left_out = split_off(rows, left_out, rows["comparator"].notna(), COMPARATOR)
    if concept == TOTAL:
        highest = np.where(rows["concept"].eq(TOTAL), study.progression.maximum, HIGHEST_ANSWER)
        outside = ~rows["value"].between(0, pd.Series(highest, index=rows.index))
        rows, left_out = split_off(rows, left_out, outside, OUT_OF_RANGE)
    wanted = ["subject_id", "row_id", "at", "on", "value", "performer", "parent_id", "provisional"]
    is_reported = rows["concept"].eq(concept)
    reported = rows.loc[is_reported, wanted]
    is_item = ~is_reported if concept == TOTAL else rows["concept"].isin(ITEMS)
    items = rows.loc[is_item, [*wanted, "concept"]]
    del rows, is_reported, is_item  # the greatest of all frames: totals need its memory
    totals = totals_from_items(items, both_cutting=study.progression.both_cutting_items)
    scores, more = reconcile(reported, totals)
    scores = in_order(scores)
    scores, later = _one_a_day(scores, study.progression.same_day)
    if concept == TOTAL:
        scores = _flag_changes(scores, by_day=study.progression.time_scale == "local_day")
    empty = pd.Series(False, index=scores.index)
    flags = marks({flag: scores.get(flag, empty) for flag in FLAGS}, scores.index)
    parts = [left_out, more, later]
    return Scores(
        table=scores.assign(flags=flags)[list(COLUMNS)],
        left_out=pd.concat([part[list(LEFT_OUT)] for part in parts], ignore_index=True),
    )


def _one_a_day(scores: pd.DataFrame, policy: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Apply the policy to the scores of one subject on one local day; the frame is in order of time."""
    day = ["subject_id", "on"]
    several = scores.duplicated(day, keep=False)
    raters = scores.loc[several].groupby(day, sort=False)["performer"].transform("nunique")
    different = raters.gt(1).reindex(scores.index, fill_value=False)
    scores = scores.assign(**{SAME_DAY: several, SEVERAL_RATERS: different})
    none = scores.iloc[:0].assign(reason="")
    if policy == "all" or not several.any():
        return scores, none
    first = ~scores.duplicated(day)
    later = scores.loc[~first].assign(reason=SAME_DAY_LATER)
    if policy == "first":
        return scores.loc[first].reset_index(drop=True), later
    shared = scores.loc[several]
    means = shared.groupby(day, sort=False).agg(
        value=("value", "mean"),
        **{flag: (flag, "max") for flag in FLAGS if flag in scores},
    )
    merged = scores.loc[first].set_index(day)
    merged.loc[means.index, means.columns] = means
    return merged.reset_index(), none


def _flag_changes(scores: pd.DataFrame, *, by_day: bool) -> pd.DataFrame:
    """Flag a score that lies above the one before it, or far from it; the frame is in order of time."""
    same = scores["subject_id"].eq(scores["subject_id"].shift())
    change = scores["value"].diff().where(same, 0.0)
    time = scores["on"] if by_day else scores["at"]
    months = pd.Series(days_between(time, time.shift()), index=scores.index) / DAYS_PER_MONTH
    # Two raters at one time differ, but nothing fell or rose in between.
    rate = change.abs() / months.where(same & months.gt(0), np.inf)
    return scores.assign(
        **{
            RISE: change.gt(0) & months.gt(0),
            LARGE_CHANGE: change.abs().ge(LARGE_POINTS),
            FAST_CHANGE: rate.gt(FAST_POINTS_PER_MONTH),
        }
    )
