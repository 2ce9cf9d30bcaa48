"""The design of a line that changes its slope when treatment starts and when it has worn off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fhiradapter.analysis.sufficient_statistics import FloatArray


def three_period_design(
    time: npt.ArrayLike, first_dose: npt.ArrayLike, washout_end: npt.ArrayLike
) -> FloatArray:
    """Columns (1, p, d, q) for a line with one slope before, one during and one after treatment: (n, 4).

    With t the time of a score, T0 the first dose and T1 the end of the washout after the last dose, in one
    unit and from one origin per subject: p = min(t, T0), d = clip(t - T0, 0, T1 - T0), q = max(t - T1, 0).
    Their coefficients are the slopes in the three periods, per unit of time; the line is unbroken at T0 and
    T1. T0 and T1 are scalars or one value per row; infinity means never reached, so a subject without
    treatment has T0 = T1 = inf.

    Raises ValueError for NaN, shapes that do not fit, and a washout that ends before the first dose.

    >>> three_period_design([-3.0, 0.0, 4.0, 15.0], 0.0, 12.0).tolist()
    [[1.0, -3.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 4.0, 0.0], [1.0, 0.0, 12.0, 3.0]]
    """
    instants = np.asarray(time, dtype=np.float64)
    if instants.ndim != 1 or not np.isfinite(instants).all():
        raise ValueError("time: expected one finite number per row")
    knots = []
    for name, given in (("first_dose", first_dose), ("washout_end", washout_end)):
        knot = np.asarray(given, dtype=np.float64)
        if knot.shape not in {(), instants.shape}:
            raise ValueError(f"{name}: expected one value or {len(instants)}, got shape {knot.shape}")
        if np.isnan(knot).any():
            raise ValueError(
                f"{name}: is NaN in {int(np.isnan(knot).sum())} row(s); infinity means never reached"
            )
        knots.append(np.broadcast_to(knot, instants.shape))
    first, end = knots
    if early := int((end < first).sum()):
        raise ValueError(f"washout_end: lies before first_dose in {early} row(s)")
    before = np.minimum(instants, first)
    during = np.maximum(np.minimum(instants, end) - first, 0.0)
    after = np.maximum(instants - end, 0.0)
    return np.column_stack([np.ones_like(instants), before, during, after])
