"""The likelihood of a linear mixed model as a function of the relative covariance factor alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from fhiradapter.analysis.sufficient_statistics import FloatArray, SufficientStatistics

# A random effect spread 10,000 times wider than the residual: the criterion has no minimum in sight.
UNBOUNDED = 1e4
# A factor entry this small changes the criterion by less than rounding does.
NEGLIGIBLE = 1e-6
# Expected fall of the criterion in one more Newton step; lme4 accepts more than this.
CONVERGED = 1e-8
RESTARTS = 3
NEWTON_STEPS = 12


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The criterion at one relative covariance factor, with what the closed forms give there."""

    criterion: float
    gradient: FloatArray  # of the criterion by theta
    slope: FloatArray  # (q, q), of the criterion by the relative covariance
    coefficients: FloatArray  # (p,)
    precision: FloatArray  # (p, p), X'V^-1 X
    residual_variance: float
    scores: FloatArray  # (q, m), Z'V^-1 (y - Xb) of each subject


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the search ended, and what it saw there."""

    factor: FloatArray  # (q, q), lower triangular, diagonal not negative
    evaluation: Evaluation
    converged: bool
    reason: str | None
    iterations: int


@dataclass(frozen=True, eq=False)
class ProfiledLikelihood:
    """Twice the negative (restricted) log likelihood, with coefficients and residual variance profiled out.

    The model is ``y = Xb + Zu + e`` with ``u ~ N(0, s^2 L L')`` for each subject and ``e ~ N(0, s^2)``. For a
    lower triangular L, with ``V = I + Z L L' Z'``, ``r^2 = min_b (y - Xb)' V^-1 (y - Xb)`` and k = n - p, the
    REML criterion is ``log|V| + log|X'V^-1 X| + k (1 + log(2 pi r^2 / k))``; for maximum likelihood the
    second term goes and k = n.

    Source: Bates, Maechler, Bolker, Walker (2015), Fitting linear mixed-effects models using lme4, J Stat
    Softw 67(1), doi 10.18637/jss.v067.i01, section 3. V is never formed: with ``D = L L'``,
    ``Z'V^-1 W = (I + Z'Z D)^-1 Z'W`` needs the subject's cross products only, so one evaluation costs the
    same for 3 visits and for 3,000.

    Columns are made orthonormal over all rows first. That changes neither the model nor the criterion, and
    lets one starting point and one tolerance serve months and days, wherever time zero lies.
    """

    # Z'[Z | X | y], (q, q + p + 1, m): subjects last, so that the arithmetic runs along memory.
    cross: FloatArray
    totals: FloatArray  # (p + 1, p + 1): [X | y]'[X | y]
    rows: int
    restricted: bool
    random_basis: FloatArray  # (q, q): Z times this is orthonormal
    fixed_basis: FloatArray  # (p, p)

    @classmethod
    def of(cls, statistics: SufficientStatistics, *, restricted: bool) -> ProfiledLikelihood:
        """Prepare statistics whose X and Z have full column rank."""
        q, rows = statistics.random_columns, statistics.rows
        total = statistics.products.sum(axis=0)
        random_basis = _inverse_root(total[:q, :q] / rows)
        fixed_basis = _inverse_root(total[q:-1, q:-1])
        basis = np.zeros_like(total)
        basis[:q, :q], basis[q:-1, q:-1], basis[-1, -1] = random_basis, fixed_basis, 1.0
        cross = random_basis.T @ statistics.products[:, :q] @ basis
        return cls(
            cross=np.ascontiguousarray(cross.transpose(1, 2, 0)),
            totals=basis[q:, q:].T @ total[q:, q:] @ basis[q:, q:],
            rows=rows,
            restricted=restricted,
            random_basis=random_basis,
            fixed_basis=fixed_basis,
        )

    @property
    def size(self) -> int:
        """q, the number of random effects of a subject."""
        return len(self.cross)

    @property
    def degrees(self) -> int:
        """What the residual sum of squares is divided by."""
        return self.rows - (len(self.totals) - 1) * self.restricted

    def at(self, theta: FloatArray) -> Evaluation:
        """Evaluate at theta, the lower triangle of L row by row."""
        q, lower = self.size, np.tril_indices(self.size)
        factor = np.zeros((q, q))
        factor[lower] = theta
        relative = factor @ factor.T
        capacity = np.einsum("acm,cb->abm", self.cross[:, :q], relative)
        capacity[np.arange(q), np.arange(q)] += 1.0
        inverse, determinant = _inverse(capacity)
        weighted = np.zeros_like(self.cross)
        for column in range(q):
            weighted += inverse[:, column, None] * self.cross[column]
        shrunk = np.tensordot(relative, weighted[:, q:], axes=1)
        left = self.totals - sum(self.cross[row, q:] @ shrunk[row].T for row in range(q))

        precision = left[:-1, :-1]
        coefficients = np.linalg.solve(precision, left[:-1, -1])
        # Scores on perfect lines leave rounding noise, or less than nothing, to divide by.
        least = max(float(self.totals[-1, -1]) * np.finfo(float).eps ** 2, np.finfo(float).tiny)
        squares = max(float(left[-1, -1] - left[:-1, -1] @ coefficients), least)
        variance = squares / self.degrees
        scores = weighted[:, -1] - np.einsum("p,apm->am", coefficients, weighted[:, q:-1])
        slope = weighted[:, :q].sum(axis=2) - scores @ scores.T / variance
        criterion = float(np.log(determinant).sum()) + self.degrees * (1 + np.log(2 * np.pi * variance))
        if self.restricted:
            criterion += np.linalg.slogdet(precision)[1] - 2 * np.linalg.slogdet(self.fixed_basis)[1]
            covariance = np.linalg.inv(precision)
            for row, column in np.ndindex(q, q):
                overlap = weighted[row, q:-1] @ weighted[column, q:-1].T
                slope[row, column] -= np.sum(covariance * overlap)
        return Evaluation(
            criterion=float(criterion),
            gradient=2 * (slope @ factor)[lower],
            slope=(slope + slope.T) / 2,
            coefficients=coefficients,
            precision=precision,
            residual_variance=variance,
            scores=scores,
        )

    def minimise(self) -> Optimum:
        """Find the factor with the smallest criterion.

        L-BFGS-B from the best of six sizes of the identity, then Newton steps. A factor on the boundary (a
        random effect of no variance) can be a saddle, because the gradient by L vanishes there: the slope by
        the covariance tells, and the search starts again from a point moved along the descending direction.
        """
        lower = np.tril_indices(self.size)
        starts = [scale * np.eye(self.size)[lower] for scale in (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)]
        theta = min(starts, key=lambda start: self.at(start).criterion)
        iterations = 0
        for _ in range(1 + RESTARTS):
            theta, steps, flat, fall = self._descend(theta)
            iterations += steps
            factor = np.zeros((self.size, self.size))
            factor[lower] = np.where(np.abs(theta) < NEGLIGIBLE, 0.0, theta)
            # L and L with a column's sign changed are one model: lme4 keeps the diagonal at or above zero.
            factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
            found = self.at(factor[lower])
            values, directions = np.linalg.eigh(found.slope)
            stationary = bool(values[0] >= -1e-6 * self.rows)
            if stationary:
                break
            nudged = factor @ factor.T + 0.01 * np.outer(directions[:, 0], directions[:, 0])
            nudged[np.diag_indices(self.size)] += 1e-10
            theta = np.asarray(np.linalg.cholesky(nudged)[lower], dtype=np.float64)
        reason = None
        if np.abs(factor).max() >= 0.99 * UNBOUNDED:
            reason = "the residual variance is too close to zero beside the differences between subjects"
        elif flat and not is_singular(factor):
            reason = "the data cannot tell the variances apart (too few visits per subject)"
        elif not stationary or fall > CONVERGED:
            reason = f"the search stopped before the minimum (the next step promised {fall:.1e})"
        return Optimum(factor, found, reason is None, reason, iterations)

    def _descend(self, start: FloatArray) -> tuple[FloatArray, int, bool, float]:
        """Theta, iterations, whether a direction is flat, and the fall that one more step would bring."""

        def value(theta: FloatArray) -> tuple[float, FloatArray]:
            evaluation = self.at(theta)
            return evaluation.criterion, evaluation.gradient

        from scipy.optimize import minimize  # noqa: PLC0415 - slow to load, and who derives parts never asks

        search = minimize(
            value, start, jac=True, method="L-BFGS-B", bounds=[(-UNBOUNDED, UNBOUNDED)] * len(start)
        )
        theta, flat, fall, steps = np.asarray(search.x, dtype=np.float64), False, np.inf, int(search.nit)
        for _ in range(NEWTON_STEPS):
            here = self.at(theta)
            curvature, directions = np.linalg.eigh(self._hessian(theta))
            usable = np.abs(curvature) > 1e-7 * max(np.abs(curvature).max(), 1.0)
            flat = not usable.all()
            along = directions.T @ here.gradient
            move = -directions[:, usable] @ (along[usable] / np.abs(curvature[usable]))
            fall = float(-here.gradient @ move) / 2
            if fall <= 1e-4 * CONVERGED or np.abs(theta + move).max() > UNBOUNDED:
                break
            # Below 1e-6 the criterion is rounding noise and the gradient knows better.
            while (
                fall > 1e-6
                and self.at(theta + move).criterion > here.criterion
                and np.abs(move).max() > 1e-12
            ):
                move = move / 4
            theta = theta + move
            steps += 1
        return theta, steps, flat, fall

    def _hessian(self, theta: FloatArray) -> FloatArray:
        rows = []
        for index, size in enumerate(1e-4 * np.maximum(np.abs(theta), 0.1)):
            shift = np.zeros_like(theta)
            shift[index] = size
            rows.append((self.at(theta + shift).gradient - self.at(theta - shift).gradient) / (2 * size))
        hessian = np.array(rows)
        return np.asarray((hessian + hessian.T) / 2)


def is_singular(factor: npt.NDArray[np.float64]) -> bool:
    """Whether some combination of the random effects has no variance: its relative spread is below 1e-4.

    The factor is of orthonormal columns, so the answer does not depend on units or on where time zero lies.
    For two effects it is true when a standard deviation is (near) zero or the correlation (near) one.
    """
    return bool(np.linalg.svd(factor, compute_uv=False)[-1] < 1e-4)


def _inverse_root(gram: FloatArray) -> FloatArray:
    """Upper triangular B with ``B' gram B = I``."""
    scale = np.sqrt(np.diag(gram))
    upper = np.linalg.cholesky(gram / np.outer(scale, scale)).T
    root = solve_triangular(upper, np.eye(len(gram)), lower=False)
    return np.asarray(root / scale[:, None], dtype=np.float64)


def _inverse(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses (q, q, m) and determinants (m,) of (q, q, m), in closed form for one and two effects."""
    if len(matrices) == 1:
        return 1.0 / matrices, matrices[0, 0]
    if len(matrices) == 2:
        (a, b), (c, d) = matrices
        determinant = a * d - b * c
        return np.array([[d, -b], [-c, a]]) / determinant, determinant
    last = matrices.transpose(2, 0, 1)
    inverse = np.asarray(np.linalg.inv(last).transpose(1, 2, 0), dtype=np.float64)
    return inverse, np.asarray(np.linalg.det(last), dtype=np.float64)
