"""How fast the mixed model fits, beside statsmodels in the same run, and what a large cohort costs.

All data are synthetic, from a fixed seed.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
import warnings

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM  # type: ignore[import-untyped]

from fhiradapter.analysis import mixed_model

SEED = 20251123
BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def synthetic_cohort(subjects: int, visits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, design [1, months] and subject of each row; visits monthly with a jitter of a few days."""
    random = np.random.default_rng(SEED)
    subject = np.repeat(np.arange(subjects), visits)
    months = np.tile(np.arange(visits, dtype=float), subjects) + random.normal(0, 0.1, subjects * visits)
    start, slope = random.normal([40.0, -0.9], [5.0, 0.5], (subjects, 2)).T
    score = start[subject] + slope[subject] * months + random.normal(0, 2.5, len(months))
    return score, np.column_stack([np.ones_like(months), months]), subject


def fit_large(subjects: int, visits: int) -> dict[str, float]:
    """Seconds and peak memory of one fit, data included, in the process that calls it."""
    score, design, subject = synthetic_cohort(subjects, visits)
    started = time.perf_counter()
    model = mixed_model.fit(score, design, design, subject)
    seconds = time.perf_counter() - started
    assert model.converged
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_RSS_UNIT
    return {"seconds": seconds, "peak_gigabytes": peak / 1e9, "slope": float(model.coefficients[1])}


def beside_statsmodels(subjects: int, visits: int, *, repeats: int = 5) -> dict[str, float]:
    """Seconds of both on one cohort (ours the median of several fits), and how far apart they end."""
    score, design, subject = synthetic_cohort(subjects, visits)
    timings = []
    for _ in range(repeats):
        started = time.perf_counter()
        model = mixed_model.fit(score, design, design, subject)
        timings.append(time.perf_counter() - started)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = MixedLM(score, design, groups=subject, exog_re=design).fit(reml=True)
    reference = time.perf_counter() - started
    ours = float(np.median(timings))
    apart = np.max(np.abs(other.fe_params / model.coefficients - 1))
    return {
        "seconds": ours,
        "statsmodels_seconds": reference,
        "times_faster": reference / ours,
        "largest_relative_difference": float(apart),
    }


def large_in_a_process(subjects: int, visits: int) -> dict[str, float]:
    """Fit in a process of its own: peak memory is a property of a process, and not that of statsmodels."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(fit_large, (subjects, visits))
