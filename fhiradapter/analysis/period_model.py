"""The mixed model whose coefficients are the slopes of the periods."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis import mixed_model
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.model_result import model_result
from fhiradapter.analysis.periods import AFTER, BEFORE, DURING, months_since, period_names, washout_end
from fhiradapter.analysis.population import of_subject
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.analysis.sufficient_statistics import FloatArray, SufficientStatistics
from fhiradapter.results import Contrast, MixedModel
from fhiradapter.settings import DAYS_PER_MONTH, Study

FEWEST_SUBJECTS = 3
FEW = "subjects with scores: {}, too few for a mixed model, which needs {}"
CONTRASTS = {
    "during_minus_before": (DURING, BEFORE),
    "after_minus_before": (AFTER, BEFORE),
}


@dataclass(frozen=True)
class ModelRows:
    """What the model needs to know of some subjects' scores.

    statistics: those of all columns of the design, None where there is no score. told: the scores that tell
    each slope. errors: why scores cannot enter a model.
    """

    statistics: SufficientStatistics | None
    told: Counter[str]
    errors: tuple[str, ...] = ()


def model_rows(scores: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> ModelRows:
    """Return what the model needs to know of the scores of some whole subjects.

    scores: `subject_id`, `at`, `on`, `months` from the time origin, `value`, `from_origin` (False where the
    origin had no date), and a boolean column for each period. Only measured scores enter, each once: the
    score that `before_start = onset` assumes at onset does not.
    """
    names = list(period_names(study))
    rows = scores.loc[scores[names].any(axis=1) & scores["from_origin"]]
    if rows.empty:
        return ModelRows(None, Counter())
    design, told = _design(rows, timeline, study)
    time = rows["months"].to_numpy(dtype=np.float64)
    try:
        statistics = SufficientStatistics.from_rows(
            rows["value"].to_numpy(dtype=np.float64),
            design.to_numpy(dtype=np.float64),
            np.column_stack([np.ones(len(rows)), time]),
            rows["subject_id"].to_numpy(dtype=object),
            names=list(design.columns),
            offset=_offset(list(design.columns), study),
        )
    except ValueError as error:
        return ModelRows(None, Counter(), (str(error),))
    return ModelRows(statistics, told)


def fit_period_model(rows: ModelRows, study: Study) -> tuple[MixedModel | None, str | None]:
    """Fit the model by REML, with a random intercept and a random slope in time; or say why there is none.

    With treatment, the fixed effects are the three slopes of `mixed_model.three_period_design`; a period that
    holds no score beyond the day of the first dose has no slope and is left out of the design. Without
    treatment: intercept and time. Where the fixed effects explain every score, as when all are equal, the
    model is singular, its variances are 0 and its criterion, minus infinity, is None.
    """
    if rows.errors:
        return None, f"the mixed model cannot be fitted: {rows.errors[0]}"
    subjects = 0 if rows.statistics is None else len(rows.statistics.groups)
    if rows.statistics is None or subjects < FEWEST_SUBJECTS:
        return None, FEW.format(subjects, FEWEST_SUBJECTS)
    names = [name for name in rows.statistics.names if name not in rows.told or rows.told[name]]
    try:
        model = mixed_model.fit_statistics(
            rows.statistics.with_fixed(names), method="REML", fallback=True, offset=_offset(names, study)
        )
    except ValueError as error:
        return None, f"the mixed model cannot be fitted: {error}"
    return _result(model, confidence=study.statistics.confidence), None


def _offset(names: Sequence[str], study: Study) -> FloatArray:
    """Return coefficients that lie near those of every study, so that sums of squares keep their digits."""
    offset = np.zeros(len(names))
    if study.progression.concept == TOTAL:
        offset[0] = study.progression.maximum
    return offset


def _design(rows: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the columns of the design, and how many scores tell each slope."""
    time = rows["months"].to_numpy(dtype=np.float64)
    if study.treatment is None:
        return pd.DataFrame({"intercept": np.ones(len(rows)), "time": time}), Counter()
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
    return design, Counter({name: int(holds.sum()) for name, holds in told.items()})


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
