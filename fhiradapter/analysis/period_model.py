"""The mixed model whose coefficients are the slopes of the periods."""

import numpy as np
import pandas as pd

from fhiradapter.analysis import mixed_model
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.model_result import model_result
from fhiradapter.analysis.periods import AFTER, BEFORE, DURING, months_since, period_names, washout_end
from fhiradapter.analysis.population import of_subject
from fhiradapter.results import Contrast, MixedModel
from fhiradapter.settings import DAYS_PER_MONTH, Study

FEWEST_SUBJECTS = 3
FEW = "subjects with scores: {}, too few for a mixed model, which needs {}"
CONTRASTS = {
    "during_minus_before": (DURING, BEFORE),
    "after_minus_before": (AFTER, BEFORE),
}


def fit_period_model(
    scores: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> tuple[MixedModel | None, str | None]:
    """Fit the model by REML, with a random intercept and a random slope in time; or say why there is none.

    scores: `subject_id`, `at`, `on`, `months` from the time origin, `value`, `from_origin` (False where the
    origin had no date), and a boolean column for each period. With treatment, the fixed effects are the three
    slopes of `mixed_model.three_period_design`; a period that holds no score beyond the day of the first dose
    has no slope and is left out of the design. Without treatment: intercept and time. Only measured scores
    enter, each once: the score that `before_start = onset` assumes at onset does not. Where the fixed effects
    explain every score, as when all are equal, the model is singular, its variances are 0 and its criterion,
    minus infinity, is None.
    """
    names = list(period_names(study))
    rows = scores.loc[scores[names].any(axis=1) & scores["from_origin"]]
    subjects = rows["subject_id"].nunique()
    if subjects < FEWEST_SUBJECTS:
        return None, FEW.format(subjects, FEWEST_SUBJECTS)
    design = _design(rows, timeline, study)
    columns = design.to_numpy(dtype=np.float64)
    time = rows["months"].to_numpy(dtype=np.float64)
    try:
        model = mixed_model.fit_with_fallback(
            rows["value"].to_numpy(dtype=np.float64),
            columns,
            np.column_stack([np.ones(len(rows)), time]),
            rows["subject_id"].to_numpy(dtype=object),
            method="REML",
            names=list(design.columns),
        )
    except ValueError as error:
        return None, f"the mixed model cannot be fitted: {error}"
    return _result(model, confidence=study.statistics.confidence), None


def _design(rows: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    time = rows["months"].to_numpy(dtype=np.float64)
    if study.treatment is None:
        return pd.DataFrame({"intercept": np.ones(len(rows)), "time": time})
    first = time - months_since(rows, timeline, study, event="first_dose")
    treated = days_between(washout_end(timeline, study), timeline["first_dose_on"]) / DAYS_PER_MONTH
    length = of_subject(pd.Series(treated, index=timeline.index), rows["subject_id"]).to_numpy()
    columns = mixed_model.three_period_design(time, first, first + length)
    design = pd.DataFrame(columns, columns=["intercept", BEFORE, DURING, AFTER])
    day = of_subject(timeline["first_dose_on"], rows["subject_id"])
    # On the day of the first dose itself, the two lines that meet there say nothing about their slopes.
    # What was lost during treatment shows in the scores after it, so these tell that slope too.
    during = (rows[DURING] & rows["on"].gt(day)) | rows[AFTER]
    told = {BEFORE: rows["on"].lt(day), DURING: during, AFTER: rows[AFTER]}
    return design.drop(columns=[name for name, holds in told.items() if not holds.any()])


def _result(model: mixed_model.MixedModel, *, confidence: float) -> MixedModel:
    contrasts = {}
    for name, (later, earlier) in CONTRASTS.items():
        if later in model.names and earlier in model.names:
            weights = [float(column == later) - float(column == earlier) for column in model.names]
            found = mixed_model.contrast(model, weights, confidence=confidence)
            contrasts[name] = Contrast(
                n=model.n_groups, estimate=found.estimate, se=found.se, ci95=found.ci, wilcoxon_p=None
            )
    return model_result(model, contrasts)
