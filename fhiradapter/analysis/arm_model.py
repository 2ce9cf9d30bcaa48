"""The mixed model of the score whose slope differs between arms."""

import numpy as np
import pandas as pd

from fhiradapter.analysis import mixed_model
from fhiradapter.analysis.fitted_model import MixedModel as Fitted
from fhiradapter.analysis.model_result import model_result
from fhiradapter.results import Contrast, MixedModel

FEWEST_SUBJECTS = 3
TIME, INTERCEPT = "time", "intercept"
FEW = "{} has fewer than {} subjects with two scores in the period: no mixed model of the arms"


def fit_arm_model(
    scores: pd.DataFrame, *, reference: str, arms: tuple[str, ...], confidence: float
) -> tuple[MixedModel | None, str | None]:
    """Fit the model by REML, with a random intercept and a random slope; or say why there is none.

    scores: n rows with `subject_id`, `arm`, `months` (from the start of the period) and `value`. With A the
    arm, 0 for the reference and 1 for the other one,
    `score = b0 + b_arm A + b_time t + b_arm_time A t + u0 + u1 t + e`, and so on for further arms. The
    coefficient `<arm> x time` is the difference of the arm's slope from the reference's in points per month;
    it is also in `contrasts`, by arm, with the interval of `mixed_model.contrast`. `time` is the reference's
    slope. Each arm needs three subjects with scores at two times.

    >>> rows = pd.DataFrame({"subject_id": list("aabbccddeeff"), "arm": ["x"] * 6 + ["y"] * 6,
    ...                      "months": [0.0, 10.0] * 6,
    ...                      "value": [40, 30, 41, 30, 39, 29, 40, 34, 38, 33, 41, 36.0]})
    >>> model, _ = fit_arm_model(rows, reference="x", arms=("x", "y"), confidence=0.95)
    >>> round(model.coefficients["time"], 4), round(model.contrasts["y"].estimate, 4)  # -31/30, +15/30
    (-1.0333, 0.5)
    """
    times = scores.groupby(["arm", "subject_id"])["months"].nunique()
    told = times[times.ge(2)].groupby(level="arm").size().reindex(list(arms), fill_value=0)
    if few := [arm for arm in arms if told[arm] < FEWEST_SUBJECTS]:
        return None, FEW.format(few[0], FEWEST_SUBJECTS)
    others = [arm for arm in arms if arm != reference]
    time = scores["months"].to_numpy(dtype=np.float64)
    ones = np.ones(len(scores))
    inside = {arm: scores["arm"].eq(arm).to_numpy(dtype=np.float64) for arm in others}
    design = {INTERCEPT: ones, TIME: time}
    design |= dict(inside) | {f"{arm} x {TIME}": inside[arm] * time for arm in others}
    try:
        model = mixed_model.fit_with_fallback(
            scores["value"].to_numpy(dtype=np.float64),
            np.column_stack(list(design.values())),
            np.column_stack([ones, time]),
            scores["subject_id"].to_numpy(dtype=object),
            method="REML",
            names=list(design),
        )
    except ValueError as error:
        return None, f"the mixed model of the arms cannot be fitted: {error}"
    contrasts = {arm: _slope_difference(model, f"{arm} x {TIME}", confidence=confidence) for arm in others}
    return model_result(model, contrasts), None


def _slope_difference(model: Fitted, name: str, *, confidence: float) -> Contrast:
    weights = [float(column == name) for column in model.names]
    found = mixed_model.contrast(model, weights, confidence=confidence)
    return Contrast(n=model.n_groups, estimate=found.estimate, se=found.se, ci95=found.ci, wilcoxon_p=None)
