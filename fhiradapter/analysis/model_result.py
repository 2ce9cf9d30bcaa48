"""A fitted model of scores over time as a result."""

import numpy as np

from fhiradapter.analysis.fitted_model import MixedModel as Fitted
from fhiradapter.results import Contrast, MixedModel

RANDOM_EFFECTS = ("intercept", "time")


def model_result(model: Fitted, contrasts: dict[str, Contrast]) -> MixedModel:
    """Return the result of a model with a random intercept and, unless it fell back, a random slope in time.

    Estimates are in points, and points per month; what is not finite is null.
    """
    effects = RANDOM_EFFECTS[: len(model.random_sd)]
    correlation = float(np.asarray(model.random_correlation).reshape(-1)[0])
    return MixedModel(
        method=model.method,
        coefficients=dict(zip(model.names, map(float, model.coefficients), strict=True)),
        se=dict(zip(model.names, map(float, model.standard_errors), strict=True)),
        contrasts=contrasts,
        random_sd=dict(zip(effects, map(float, model.random_sd), strict=True)),
        random_correlation=correlation if np.isfinite(correlation) else None,
        residual_sd=float(model.residual_sd),
        criterion=float(model.criterion) if np.isfinite(model.criterion) else None,
        observations=model.n_observations,
        subjects=model.n_groups,
        converged=model.converged,
        singular=model.singular,
        fallback=model.fallback,
    )
