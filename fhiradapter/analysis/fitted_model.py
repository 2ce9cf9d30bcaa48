"""What a fitted mixed model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from fhiradapter.analysis.sufficient_statistics import FloatArray

Method: TypeAlias = Literal["REML", "ML"]


@dataclass(frozen=True, eq=False)
class MixedModel:
    """Estimates of ``y = X b + Z u + e``, with u and e normal and u of its own for each subject.

    coefficients: b, (p,), in units of y per unit of the column; ``names`` in the same order.
    standard_errors, covariance: of b, (p,) and (p, p).
    random_sd: standard deviations of u, (q,). random_covariance: (q, q).
    random_correlation: of the two effects when q = 2, NaN when one of them has no variance; NaN when q = 1;
        the matrix (q, q) when q > 2.
    residual_sd: of e, in units of y.
    criterion: the REML criterion, or for ML -2 log likelihood, on lme4's scale; -inf when nothing is left to
        explain.
    random_effects: predicted u (BLUP), one row per subject in order of first appearance, one column per
        column of Z.
    converged: True when a further step would lower the criterion by less than 1e-8.
    singular: True when some combination of the random effects has no variance.
    message: what stood in the way, when something did.
    fallback: None, or why a random intercept was used instead.
    method: "REML" or "ML". n_observations, n_groups: visits and subjects.
    iterations: steps of the search.
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    standard_errors: FloatArray
    covariance: FloatArray
    random_sd: FloatArray
    random_correlation: float | FloatArray
    random_covariance: FloatArray
    residual_sd: float
    criterion: float
    random_effects: pd.DataFrame
    converged: bool
    singular: bool
    message: str | None
    fallback: str | None
    method: Method
    n_observations: int
    n_groups: int
    iterations: int


@dataclass(frozen=True)
class Contrast:
    """A linear combination of coefficients, with its standard error and t interval."""

    estimate: float
    se: float
    ci: tuple[float, float]
    degrees_of_freedom: int
    confidence: float


def contrast(model: MixedModel, weights: npt.ArrayLike, *, confidence: float = 0.95) -> Contrast:
    """Estimate ``w b`` for weights w (p,), for instance the difference of two slopes.

    The interval is ``w b -+ t se`` with ``se = sqrt(w C w')``, C the covariance of b, and t of (subjects - 1)
    degrees of freedom. That is exact for a slope in balanced data with random slopes (it is the t test of the
    subjects' own slopes), and cautious where a coefficient does not differ between subjects; it is not
    Satterthwaite's number.

    Raises ValueError for weights that are not p finite numbers, and a confidence outside 0 to 1.

    >>> from fhiradapter.analysis import mixed_model
    >>> score = np.array([3.0, 5.0, 4.0, 6.0, 6.0, 9.0])
    >>> model = mixed_model.fit(score, np.ones((6, 1)), np.ones((6, 1)), list("aabbcc"))
    >>> difference = contrast(model, [1.0])
    >>> round(difference.estimate, 6), round(difference.se, 6), difference.degrees_of_freedom
    (5.5, 1.040833, 2)
    """
    weight = np.asarray(weights, dtype=np.float64)
    if weight.shape != model.coefficients.shape or not np.isfinite(weight).all():
        raise ValueError(
            f"weights: expected {len(model.coefficients)} finite numbers, got shape {weight.shape}"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence}")
    estimate = float(weight @ model.coefficients)
    error = float(np.sqrt(max(float(weight @ model.covariance @ weight), 0.0)))
    degrees = model.n_groups - 1
    margin = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    return Contrast(estimate, error, (estimate - margin, estimate + margin), degrees, confidence)


def correlation(covariance: FloatArray) -> float | FloatArray:
    """Give the correlation in a covariance (q, q): one number for q = 2, NaN for q = 1, else the matrix."""
    deviations = np.sqrt(np.diag(covariance))
    scale = np.outer(deviations, deviations)
    matrix = np.divide(covariance, scale, out=np.full_like(covariance, np.nan), where=scale > 0)
    if len(covariance) == 1:
        return float("nan")
    return float(matrix[1, 0]) if len(covariance) == 2 else matrix
