"""Intervals of incidences and rates; values of the clinical reference."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from fhiradapter.analysis.incidence import clopper_pearson, incidence, poisson_rate, wilson


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 0.459258), (1, 0.004211, 0.641235), (3, 0.118117, 0.881883)]
)
def test_clopper_pearson_of_six(count: int, low: float, high: float):
    """R: binom.test(x, 6); 0 of 6 has an upper limit of 45.9 %."""
    _, lower, upper = clopper_pearson(count, 6)
    assert float(lower) == pytest.approx(low, abs=1e-6)
    assert float(upper) == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 0.390), (1, 0.030053, 0.563503)])
def test_wilson_of_six(count: int, low: float, high: float):
    """R: prop.test(x, 6, correct = FALSE)."""
    _, lower, upper = wilson(count, 6)
    assert float(lower) == pytest.approx(low, abs=1e-6)
    assert float(upper) == pytest.approx(high, abs=4e-4)


@pytest.mark.parametrize(
    ("events", "time", "low", "high"), [(5, 20, 0.081174, 0.583417), (0, 9, 0.0, 0.4099)]
)
def test_exact_poisson(events: int, time: float, low: float, high: float):
    """R: poisson.test(5, 20); no event in 9 person-years still allows 0.41 a year."""
    _, lower, upper = poisson_rate(events, time)
    assert float(lower) == pytest.approx(low, abs=1e-6)
    assert float(upper) == pytest.approx(high, abs=5e-5)


def test_both_binomial_intervals_agree_with_statsmodels():
    """Arrays in, arrays out, at another confidence."""
    count, n = np.array([0, 1, 7, 20]), np.array([5, 9, 19, 20])
    for ours, method in ((clopper_pearson, "beta"), (wilson, "wilson")):
        _, low, high = ours(count, n, confidence=0.9)
        expected_low, expected_high = proportion_confint(count, n, alpha=0.1, method=method)
        np.testing.assert_allclose(low, np.nan_to_num(expected_low), atol=1e-12)
        np.testing.assert_allclose(high, expected_high, atol=1e-12)


def test_poisson_agrees_with_chi_square_quantiles():
    """Garwood's limits are chi-square quantiles with 2d and 2d + 2 degrees of freedom, halved."""
    _, low, high = poisson_rate([3, 12], [2.0, 7.0])
    np.testing.assert_allclose(low, stats.chi2.ppf(0.025, [6, 24]) / 2 / [2, 7], rtol=1e-12)
    np.testing.assert_allclose(high, stats.chi2.ppf(0.975, [8, 26]) / 2 / [2, 7], rtol=1e-12)


def test_nobody_at_risk_gives_no_percentage():
    """0 of 0 is unknown and neither 0 % nor an error."""
    assert all(math.isnan(float(part)) for part in clopper_pearson(0, 0))
    assert all(math.isnan(float(part)) for part in wilson(0, 0))
    nobody = incidence(0, 0, events=0)
    assert (nobody.percent, nobody.clopper_pearson, nobody.wilson) == (None, None, None)


def test_no_event_in_six_is_printed_with_its_upper_limit():
    """0 of 6: 0 %, at most 45.9 % (Clopper-Pearson), 39.0 % (Wilson)."""
    none = incidence(0, 6, events=0)
    assert none.percent == 0
    assert none.clopper_pearson is not None
    assert none.wilson is not None
    assert round(none.clopper_pearson[1], 1) == 45.9
    assert round(none.wilson[1], 1) == 39.0


def test_more_subjects_with_events_than_subjects_is_an_error():
    """A count above n is a mistake of the caller."""
    with pytest.raises(ValueError, match="between 0 and n"):
        clopper_pearson(7, 6)


def test_a_rate_is_per_100_person_years():
    """5 events in 20 years: 25 per 100, 8.1174 to 58.3417."""
    line = incidence(3, 6, events=5, person_years=20.0)
    assert line.rate_per_100_person_years == pytest.approx(25)
    assert line.rate_interval == pytest.approx((8.1174, 58.3417), abs=1e-4)
