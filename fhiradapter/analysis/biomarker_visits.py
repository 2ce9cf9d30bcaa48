"""A log-normal biomarker at each planned visit."""

import math

import numpy as np
import pandas as pd

from fhiradapter.analysis.means import estimate_mean, why_no_interval
from fhiradapter.analysis.visits import VisitPlan
from fhiradapter.results import BiomarkerVisit

NOBODY = "no value at this visit"
NO_BASELINE = "no subject with a value at this visit has a baseline"


def ratios_by_visit(
    values: pd.DataFrame, visits: VisitPlan, *, confidence: float
) -> tuple[BiomarkerVisit, ...]:
    """Return one row per planned visit, also where nobody has a value.

    values: n rows with `value`, `ratio` (to the subject's baseline, NaN without one), `below`, and `visit`
    and `chosen` as from `assign_visits`. With r of the n subjects that have a value at the visit and a
    baseline, the geometric mean ratio is exp(mean ln r) and its interval exp(mean -+ t(n - 1) se).

    >>> values = pd.DataFrame({"value": [20.0, 45.0], "ratio": [0.5, 2.0], "below": [False, True]})
    >>> values = values.assign(visit=0, chosen=True)
    >>> visits = VisitPlan(("Month 3",), *[np.array([[number]]) for number in (91, 14, 14)])
    >>> [row] = ratios_by_visit(values, visits, confidence=0.95)
    >>> round(row.geometric_mean, 6), round(row.gmr, 6), row.below_limit  # sqrt(20 x 45), sqrt(0.5 x 2)
    (30.0, 1.0, 1)
    """
    chosen = values["chosen"].to_numpy(dtype=bool)
    at = values["visit"].to_numpy()[chosen]
    logs, ratios = np.log(values["value"].to_numpy()[chosen]), np.log(values["ratio"].to_numpy()[chosen])
    below = values["below"].to_numpy(dtype=bool)[chosen]
    rows = []
    for number, (label, day, early, late) in enumerate(visits.typical()):
        here = at == number
        paired = ratios[here]
        mean = estimate_mean(paired[~np.isnan(paired)], confidence=confidence)
        subjects = int(here.sum())
        gmr = None if mean.mean is None else math.exp(mean.mean)
        ends = mean.interval
        rows.append(
            BiomarkerVisit(
                label=label,
                day=day,
                early_days=early,
                late_days=late,
                subjects=subjects,
                below_limit=int(below[here].sum()),
                geometric_mean=float(np.exp(logs[here].mean())) if subjects else None,
                n=mean.n,
                gmr=gmr,
                ci95=None if ends is None else (math.exp(ends[0]), math.exp(ends[1])),
                percent_change=None if gmr is None else 100 * (gmr - 1),
                note=why_no_interval(mean.n, nobody=NO_BASELINE if subjects else NOBODY),
            )
        )
    return tuple(rows)
