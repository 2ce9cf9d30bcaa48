"""The linear mixed model of repeated measurements: a common course, and how subjects differ from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.fitted_model import Contrast, Method, MixedModel, contrast, correlation
from fhiradapter.analysis.period_design import three_period_design
from fhiradapter.analysis.profiled_likelihood import ProfiledLikelihood, is_singular
from fhiradapter.analysis.sufficient_statistics import (
    FloatArray,
    SufficientStatistics,
    aliased_columns,
    finite_rows,
)

__all__ = [
    "Contrast",
    "MixedModel",
    "contrast",
    "fit",
    "fit_statistics",
    "fit_with_fallback",
    "three_period_design",
]

Groups: TypeAlias = Sequence[object] | npt.NDArray[np.generic] | pd.Series | pd.Index

# A spread around the fixed effects that is rounding and not data, in units of the response's root mean
# square: products of whole responses lose half of the digits, products of remainders do not.
NO_SPREAD_IN_ROWS = 1e-11
NO_SPREAD_IN_STATISTICS = 1e-7
# A coefficient whose share of the fitted values is this small is rounding, and would print as "-0.00".
ROUNDING = 1e-12


def fit(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    Z: npt.ArrayLike,
    groups: Groups,
    *,
    method: Method = "REML",
    names: Sequence[str] | None = None,
) -> MixedModel:
    """Fit the model by restricted (REML) or ordinary (ML) maximum likelihood.

    y is (n,), X (n, p) with its own column of ones, Z (n, q) with the columns whose effect differs between
    subjects, groups (n,) the subject of each row. The covariance of the random effects is unstructured. The
    criterion and its source are in :class:`~fhiradapter.analysis.profiled_likelihood.ProfiledLikelihood`.

    A singular or unfinished fit is returned as such, see ``singular``, ``converged`` and ``message``;
    :func:`fit_with_fallback` adds a policy for it. When X explains every value (all scores equal, say), the
    coefficients come back with standard errors and deviations of zero, ``singular``, and a message.

    Raises ValueError, naming the argument, for shapes that do not fit, NaN, one group only, aliased columns,
    and no more rows than coefficients.

    >>> time = np.tile([0.0, 1.0, 2.0, 3.0], 3)
    >>> score = np.array([40, 39, 37, 36, 44, 44, 42, 43, 38, 35, 34, 31.0])
    >>> design = np.column_stack([np.ones(12), time])
    >>> model = fit(score, design, design[:, :1], np.repeat(["a", "b", "c"], 4), names=["start", "slope"])
    >>> dict(zip(model.names, model.coefficients.round(6).tolist()))  # the mean of -1.4, -0.5 and -2.2
    {'start': 40.633333, 'slope': -1.366667}
    """
    response, fixed, random = finite_rows(y, X, Z)
    # Any coefficients do here, aliased columns or not: the model of the remainder is the same model.
    solution = np.linalg.lstsq(fixed.T @ fixed, fixed.T @ response, rcond=None)
    pooled = np.asarray(solution[0], dtype=np.float64)
    statistics = SufficientStatistics.from_rows(response, fixed, random, groups, names=names, offset=pooled)
    size = float(np.sqrt(np.mean(response**2)))
    return _estimate(statistics, method, offset=pooled, no_spread=NO_SPREAD_IN_ROWS * size)


def fit_statistics(
    statistics: SufficientStatistics,
    *,
    method: Method = "REML",
    fallback: bool = False,
    offset: FloatArray | None = None,
) -> MixedModel:
    """Fit the model to the combined statistics of partitions of subjects, as :func:`fit` does to rows.

    With ``fallback`` it follows :func:`fit_with_fallback`. Statistics of responses that lie far from zero
    beside their spread (a million times) lose digits; where ``SufficientStatistics.from_rows`` was given an
    ``offset`` (p,), it is given here too, and the coefficients are those of y itself.

    >>> rows = [5.0, 4.0, 6.5, 6.0], np.ones((4, 1)), np.ones((4, 1)), ["a", "a", "b", "b"]
    >>> fit_statistics(SufficientStatistics.from_rows(*rows)).coefficients.round(6).tolist()
    [5.375]
    """
    size = float(np.sqrt(statistics.products[:, -1, -1].sum() / max(statistics.rows, 1)))
    taken = np.zeros(len(statistics.names)) if offset is None else offset
    model = _estimate(statistics, method, offset=taken, no_spread=NO_SPREAD_IN_STATISTICS * size)
    if not fallback or (reason := _reason_to_simplify(model)) is None:
        return model
    intercept = _estimate(
        statistics.first_random(1), method, offset=taken, no_spread=NO_SPREAD_IN_STATISTICS * size
    )
    return replace(intercept, fallback=reason)


def fit_with_fallback(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    Z: npt.ArrayLike,
    groups: Groups,
    *,
    method: Method = "REML",
    names: Sequence[str] | None = None,
) -> MixedModel:
    """Fit the model, or only a random intercept (Z's first column) where it is singular or not converged.

    ``fallback`` says why the simpler model was used, and is None when it was not. The simpler model can be
    singular as well; it then says so. Arguments and errors are those of :func:`fit`.

    >>> flat = np.column_stack([np.ones(6), np.tile([0.0, 1.0, 2.0], 2)])
    >>> model = fit_with_fallback([30.0] * 6, flat, flat, list("aaabbb"))
    >>> model.coefficients.tolist(), model.fallback
    ([30.0, 0.0], 'random intercept only: the model with 2 random effects was singular')
    """
    model = fit(y, X, Z, groups, method=method, names=names)
    if (reason := _reason_to_simplify(model)) is None:
        return model
    first = np.asarray(Z, dtype=np.float64)[:, :1]
    return replace(fit(y, X, first, groups, method=method, names=names), fallback=reason)


def _reason_to_simplify(model: MixedModel) -> str | None:
    effects = len(model.random_sd)
    if effects < 2 or (model.converged and not model.singular):
        return None
    state = "was singular" if model.converged else f"did not converge: {model.message}"
    return f"random intercept only: the model with {effects} random effects {state}"


def _check(statistics: SufficientStatistics, method: str) -> None:
    q, names = statistics.random_columns, statistics.names
    if method not in {"REML", "ML"}:
        raise ValueError(f"method: expected REML or ML, got {method!r}")
    if len(statistics.groups) < 2:
        raise ValueError("groups: at least two are needed to tell subjects from visits")
    if statistics.rows <= len(names):
        raise ValueError(f"y: {statistics.rows} row(s) are too few for {len(names)} coefficients")
    total = statistics.products.sum(axis=0)
    if aliased := aliased_columns(total[q:-1, q:-1]):
        listed = ", ".join(names[column] for column in aliased)
        raise ValueError(f"X: determined by the columns before: {listed}")
    if aliased := aliased_columns(total[:q, :q]):
        listed = ", ".join(str(column) for column in aliased)
        raise ValueError(f"Z: determined by the columns before: number {listed}, counted from 0")


def _estimate(
    statistics: SufficientStatistics, method: Method, *, offset: FloatArray, no_spread: float
) -> MixedModel:
    _check(statistics, method)
    profile = ProfiledLikelihood.of(statistics, restricted=method == "REML")
    pooled = profile.at(np.zeros(profile.size * (profile.size + 1) // 2))
    if pooled.residual_variance <= no_spread**2:
        return _without_spread(statistics, method, profile.fixed_basis @ pooled.coefficients + offset)
    optimum = profile.minimise()
    found = optimum.evaluation
    factor = profile.random_basis @ optimum.factor
    relative = factor @ factor.T
    covariance = (
        profile.fixed_basis @ np.linalg.inv(found.precision) @ profile.fixed_basis.T * found.residual_variance
    )
    # u = s^2 L L' Z'V^-1 (y - Xb) / s^2, taken back from the orthonormal columns.
    effects = (profile.random_basis @ optimum.factor @ optimum.factor.T @ found.scores).T
    singular = is_singular(optimum.factor)
    boundary = "the random effects have a direction without variance" if singular else None
    random_covariance = relative * found.residual_variance
    return MixedModel(
        names=statistics.names,
        coefficients=_without_rounding(profile.fixed_basis @ found.coefficients + offset, statistics),
        standard_errors=np.sqrt(np.maximum(np.diag(covariance), 0.0)),  # no spread: rounding below 0
        covariance=covariance,
        random_sd=np.sqrt(np.diag(random_covariance)),
        random_correlation=correlation(random_covariance),
        random_covariance=random_covariance,
        residual_sd=float(np.sqrt(found.residual_variance)),
        criterion=found.criterion,
        random_effects=pd.DataFrame(effects, index=statistics.groups),
        converged=optimum.converged,
        singular=singular,
        message=optimum.reason or boundary,
        fallback=None,
        method=method,
        n_observations=statistics.rows,
        n_groups=len(statistics.groups),
        iterations=optimum.iterations,
    )


def _without_spread(statistics: SufficientStatistics, method: Method, coefficients: FloatArray) -> MixedModel:
    """Report fixed effects that explain every value and leave nothing for variances."""
    p, q = len(coefficients), statistics.random_columns
    return MixedModel(
        names=statistics.names,
        coefficients=_without_rounding(coefficients, statistics),
        standard_errors=np.zeros(p),
        covariance=np.zeros((p, p)),
        random_sd=np.zeros(q),
        random_correlation=correlation(np.zeros((q, q))),
        random_covariance=np.zeros((q, q)),
        residual_sd=0.0,
        criterion=-np.inf,
        random_effects=pd.DataFrame(np.zeros((len(statistics.groups), q)), index=statistics.groups),
        converged=True,
        singular=True,
        message="the fixed effects explain every value of y; no variance can be estimated",
        fallback=None,
        method=method,
        n_observations=statistics.rows,
        n_groups=len(statistics.groups),
        iterations=0,
    )


def _without_rounding(coefficients: FloatArray, statistics: SufficientStatistics) -> FloatArray:
    length = np.sqrt(np.diag(statistics.products.sum(axis=0)))
    share = np.abs(coefficients) * length[statistics.random_columns : -1]
    return np.where(share <= ROUNDING * share.max(), 0.0, coefficients)
