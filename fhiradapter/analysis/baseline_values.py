"""Each subject's baseline value, with the value that is set against it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.periods import washout_end
from fhiradapter.analysis.population import of_subject, places
from fhiradapter.analysis.visits import BoolArray
from fhiradapter.results import Exclusion
from fhiradapter.settings import Study

Compare = Literal["last", "last_on_treatment"]

NO_VALUE = "no usable value"
NO_DOSE = "no dose of the study's product is dated"
NO_BASELINE = "no value at or before the first dose"
NO_FIRST = "only one time with a value"
NO_LATER = "no value after the first dose"
NO_LATER_ON_TREATMENT = "no value between the first dose and the end of treatment"


@dataclass(frozen=True)
class BaselineValues:
    """The values chosen from a series of n rows, at most one for each subject.

    `is_baseline` and `is_compared` (n,) mark them; `until_baseline` (n,) marks the former with all values
    before them.
    """

    is_baseline: BoolArray
    is_compared: BoolArray
    until_baseline: BoolArray


def side(values: pd.DataFrame, timeline: pd.DataFrame) -> pd.Series:
    """Return the side of the first dose that each value lies on, as `side_of_first_dose` tells it."""
    return side_of_first_dose(
        values["subject_id"],
        on=values["on"],
        at=values["at"],
        precision=values["precision"],
        timeline=timeline,
    )


def choose_values(
    values: pd.DataFrame, timeline: pd.DataFrame, study: Study, *, compare: Compare
) -> BaselineValues:
    """Choose the baseline, and the value set against it.

    values: `subject_id`, `on`, `at` and `precision`, in order of time within a subject, with the index 0 to
    n-1. Baseline is the last value at or before the first dose; in a study without treatment the first value.
    It is compared with the subject's last value after it (`last`), or the last one until the end of treatment
    (`last_on_treatment`).
    """
    if study.treatment is None:
        until = ~values.duplicated("subject_id").to_numpy()
        after = ~until
        first = values.loc[until]
    else:
        where = side(values, timeline).to_numpy()
        until, after = where <= 0, where > 0
        first = values.loc[until].drop_duplicates("subject_id", keep="last")
    later = values.loc[after]
    later = later.loc[later["subject_id"].isin(first["subject_id"])]
    if study.treatment is not None and compare == "last_on_treatment":
        later = later.loc[later["on"].le(of_subject(washout_end(timeline, study), later["subject_id"]))]
    last = later.drop_duplicates("subject_id", keep="last")
    is_baseline, is_compared = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    is_baseline[first.index], is_compared[last.index] = True, True
    return BaselineValues(is_baseline, is_compared, until)


def baseline_of_subject(values: pd.DataFrame, is_baseline: BoolArray) -> pd.Series:
    """Return the baseline `value` of each row's subject, NaN where it has none.

    >>> values = pd.DataFrame({"subject_id": ["a", "a", "b"], "value": [8.0, 6.0, 9.0]})
    >>> baseline_of_subject(values, np.array([True, False, False])).tolist()
    [8.0, 8.0, nan]
    """
    baseline = values.loc[is_baseline].set_index("subject_id")["value"]
    return of_subject(baseline, values["subject_id"])


def explain_exclusions(
    values: pd.DataFrame, timeline: pd.DataFrame, study: Study, *, compare: Compare, left_out: pd.DataFrame
) -> tuple[Exclusion, ...]:
    """Return why some subjects have no change from baseline, with what was left out of their values.

    values: `subject_id`, `is_baseline` and `is_compared`; left_out: `subject_id`, `reason` and `rows`, how
    many measurements.
    """
    place = places(values["subject_id"], timeline.index)

    def have(chosen: BoolArray | slice) -> BoolArray:
        found = np.zeros(len(timeline), dtype=bool)
        found[place[chosen]] = True
        return found

    without = ~have(values["is_compared"].to_numpy(dtype=bool))
    ids = timeline.index[without]
    reason = pd.Series(NO_LATER, index=ids, dtype=object)
    if study.treatment is None:
        reason[:] = NO_FIRST
    else:
        if compare == "last_on_treatment":
            reason[:] = NO_LATER_ON_TREATMENT
        reason[~have(values["is_baseline"].to_numpy(dtype=bool))[without]] = NO_BASELINE
        reason[timeline["first_dose_on"].isna().to_numpy()[without]] = NO_DOSE
    reason[~have(slice(None))[without]] = NO_VALUE
    told = dict(zip(ids.tolist(), reason.tolist(), strict=True))
    place = places(left_out["subject_id"], timeline.index)
    theirs = left_out.loc[np.append(without, False)[place]].astype({"subject_id": "str"})
    counts = theirs.groupby(["subject_id", "reason"])["rows"].sum().reset_index()
    for subject, cause, count in counts.itertuples(index=False):
        told[subject] += f"; {count} left out: {cause}"
    return tuple(Exclusion(subject_id=subject, reason=text) for subject, text in told.items())
