"""Each subject's baseline value, with the value that is set against it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.periods import washout_end
from fhiradapter.analysis.population import of_subject
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
    """The values chosen from a series of n rows.

    `baseline` and `compared` are rows of the series by subject id; `is_baseline` (n,) marks the former, and
    `until_baseline` (n,) them with all values before them.
    """

    baseline: pd.DataFrame
    compared: pd.DataFrame
    is_baseline: BoolArray
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

    values: `subject_id`, `on`, `at` and `precision`, in order of time within a subject. Baseline is the last
    value at or before the first dose; in a study without treatment the first value. It is compared with the
    subject's last value after it (`last`), or the last one until the end of treatment (`last_on_treatment`).
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
    return BaselineValues(
        baseline=first.set_index("subject_id"),
        compared=later.drop_duplicates("subject_id", keep="last").set_index("subject_id"),
        is_baseline=np.asarray(values.index.isin(first.index), dtype=bool),
        until_baseline=until,
    )


def explain_exclusions(
    chosen: BaselineValues,
    timeline: pd.DataFrame,
    study: Study,
    *,
    compare: Compare,
    valued: pd.Series,
    left_out: pd.DataFrame,
) -> tuple[Exclusion, ...]:
    """Return why some subjects have no change from baseline, with what was left out of their values.

    valued: the subjects that have any value; left_out: `subject_id` and `reason`.
    """
    ids = timeline.index.difference(chosen.compared.index)
    reason = pd.Series(NO_LATER, index=ids, dtype=object)
    if study.treatment is None:
        reason[:] = NO_FIRST
    else:
        if compare == "last_on_treatment":
            reason[:] = NO_LATER_ON_TREATMENT
        reason[~ids.isin(chosen.baseline.index)] = NO_BASELINE
        reason[timeline.loc[ids, "first_dose_on"].isna().to_numpy()] = NO_DOSE
    reason[ids.difference(pd.Index(valued.unique()))] = NO_VALUE
    told = dict(zip(ids.tolist(), reason.tolist(), strict=True))
    counts = left_out.groupby(["subject_id", "reason"]).size().reset_index(name="count")
    for subject, cause, count in counts.itertuples(index=False):
        if subject in told:
            told[subject] += f"; {count} left out: {cause}"
    return tuple(Exclusion(subject_id=subject, reason=text) for subject, text in told.items())
