"""The Kaplan-Meier curve: values of R's survival package, hand calculations, and lifelines as oracle."""

import warnings
from math import exp, isnan, sqrt

import numpy as np
import pytest

from fhiradapter.analysis.kaplan_meier import kaplan_meier

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_lung

SEEDS = range(20)


@pytest.fixture(scope="module")
def lung():
    """R's survival::lung; 228 subjects, sex 1 male, 2 female, as lifelines ships it (status 1 = death)."""
    return load_lung()


@pytest.mark.parametrize(
    ("sex", "n", "deaths", "median", "low", "high"),
    [(None, 228, 165, 310, 285, 363), (1, 138, 112, 270, 212, 310), (2, 90, 53, 426, 348, 550)],
)
def test_medians_of_the_lung_data(lung, sex, n, deaths, median, low, high):
    """R: survfit(Surv(time, status) ~ 1, lung) and ~ sex print n, events, median and 0.95LCL, 0.95UCL."""
    rows = lung if sex is None else lung.loc[lung["sex"].eq(sex)]
    curve = kaplan_meier(rows["time"].to_numpy(), rows["status"].eq(1).to_numpy())
    assert (len(rows), curve.events.sum()) == (n, deaths)
    assert (curve.median, curve.median_lower, curve.median_upper) == (median, low, high)


def test_one_year_survival_of_the_lung_data(lung):
    """R: summary(fit, times = 365.25) gives 65 at risk, 0.409, standard error 0.0358, 0.345 to 0.486."""
    curve = kaplan_meier(lung["time"].to_numpy(), lung["status"].eq(1).to_numpy())
    place = np.searchsorted(curve.time, 365.25, side="right") - 1
    assert curve.numbers_at_risk(365.25) == 65
    found = [curve.survival[place], curve.standard_error[place], curve.lower[place], curve.upper[place]]
    assert [round(float(number), 4) for number in found] == pytest.approx(
        [0.409, 0.0358, 0.345, 0.486], abs=5e-4
    )


def test_small_table_of_an_r_tutorial():
    """R's summary(survfit(...)) prints, for the events at 2, 7, 9 and 10, all that stands here.

    At risk 9, 4, 3, 2; survival .889, .667, .444, .222; standard errors .105, .208, .228, .194; lower limits
    .7056, .3618, .1624, .0401; upper limits 1. Who is censored lies where the numbers at risk leave room.
    """
    curve = kaplan_meier([1, 2, 3, 4, 5, 6, 7, 9, 10, 11], [0, 1, 0, 0, 0, 0, 1, 1, 1, 0])
    events = curve.events > 0
    assert curve.time[events].tolist() == [2, 7, 9, 10]
    assert curve.at_risk[events].tolist() == [9, 4, 3, 2]
    assert curve.survival[events].round(3).tolist() == [0.889, 0.667, 0.444, 0.222]
    assert curve.standard_error[events].round(3).tolist() == [0.105, 0.208, 0.228, 0.194]
    assert curve.lower[events].round(4).tolist() == [0.7056, 0.3618, 0.1624, 0.0401]
    assert curve.upper[events].tolist() == [1, 1, 1, 1]


def test_curve_by_hand():
    """Five subjects: 3, 5+, 5, 8, 9+; a subject censored at 5 is at risk of the event at 5.

    S(3) = 4/5; S(5) = 4/5 x 3/4 = 3/5; S(8) = 3/5 x 1/2 = 3/10. Greenwood at 5: 1/(5 x 4) + 1/(4 x 3).
    """
    curve = kaplan_meier([3, 5, 5, 8, 9], [True, False, True, True, False])
    assert curve.survival == pytest.approx([0.8, 0.6, 0.3, 0.3])
    assert curve.at_risk.tolist() == [5, 4, 2, 1]
    assert curve.censored.tolist() == [0, 1, 0, 1]
    relative = sqrt(1 / 20 + 1 / 12)
    assert curve.standard_error[1] == pytest.approx(0.6 * relative)
    assert curve.lower[1] == pytest.approx(0.6 * exp(-1.959964 * relative), abs=1e-6)
    assert curve.median == 8
    assert curve.numbers_at_risk([0, 3, 4, 5, 5.5, 9, 10]).tolist() == [5, 5, 4, 4, 2, 1, 0]


def test_median_is_the_middle_of_the_stretch_at_one_half():
    """Four events: the curve is exactly 1/2 from 2 to 3, and R's survfit prints 2.5."""
    assert kaplan_meier([1, 2, 3, 4], [True] * 4).median == 2.5


@pytest.mark.parametrize("n", [24, 34, 38])
def test_one_half_up_to_rounding_is_one_half(n):
    """The product of 24 factors rounds above 1/2, that of 34 below; the median lies in the middle."""
    curve = kaplan_meier(range(1, n + 1), [True] * n)
    assert curve.survival[n // 2 - 1] != 0.5
    assert curve.median == n / 2 + 0.5


def test_curve_that_stays_at_one_half_has_its_first_time_as_median():
    """Half died at 1, the others were seen until 5: R takes the start of the stretch."""
    assert kaplan_meier([1, 5], [True, False]).median == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_agree_with_lifelines(seed):
    """Survival, numbers at risk and medians of random times with ties, zeros and censoring."""
    print("seed", seed)
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 60))
    time = random.integers(0, 25, n) / (1 if seed % 2 else 4)
    event = random.random(n) < 0.6
    curve = kaplan_meier(time, event)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = KaplanMeierFitter().fit(time, event)
    expected = oracle.survival_function_at_times(curve.time).to_numpy()
    np.testing.assert_allclose(curve.survival, expected, atol=1e-12)
    table = oracle.event_table.loc[curve.time]
    assert curve.events.tolist() == table["observed"].tolist()
    assert curve.censored.tolist() == table["censored"].tolist()
    # lifelines counts who enters at 0 after who leaves at 0.
    later = curve.time > 0
    assert curve.at_risk[later].tolist() == table["at_risk"][later].tolist()
    if not np.isclose(expected, 0.5).any():  # there lifelines takes the first time and R the middle
        reached = np.isfinite(oracle.median_survival_time_)
        assert curve.median == (oracle.median_survival_time_ if reached else None)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_censoring_survival_is_a_share(seed):
    """The curve is the share that lived longer, and Greenwood's variance the binomial one."""
    print("seed", seed)
    random = np.random.default_rng(seed)
    time = random.integers(1, 12, 30).astype(float)
    curve = kaplan_meier(time, np.ones(30, dtype=bool))
    share = np.array([(time > moment).mean() for moment in curve.time])
    np.testing.assert_allclose(curve.survival, share, atol=1e-12)
    living = share > 0
    expected = np.sqrt(share * (1 - share) / 30)
    np.testing.assert_allclose(curve.standard_error[living], expected[living], atol=1e-12)


def test_nobody_left_has_no_interval():
    """Where all died, survival is 0 and its standard error and limits are unknown, as in R."""
    curve = kaplan_meier([1, 2], [True, True])
    assert curve.survival.tolist() == [0.5, 0.0]
    assert isnan(curve.standard_error[-1])
    assert isnan(curve.lower[-1])
    assert isnan(curve.upper[-1])
    assert curve.survival_at([0.5, 2, 99]).tolist() == [1, 0, 0]


def test_all_censored():
    """Nobody had the event: the curve stays at 1 and has no median."""
    curve = kaplan_meier([1, 2, 3], [False] * 3)
    assert curve.survival.tolist() == [1, 1, 1]
    assert (curve.median, curve.median_lower, curve.median_upper) == (None, None, None)
    assert isnan(curve.survival_at(4))


def test_one_subject():
    """One death is a curve that falls to 0, with that day as its median."""
    curve = kaplan_meier([7], [True])
    assert (curve.survival.tolist(), curve.median, curve.median_upper) == ([0.0], 7, None)


def test_event_at_time_zero_counts():
    """Who dies on the first day is at risk on it."""
    curve = kaplan_meier([0, 5], [True, False])
    assert (curve.time.tolist(), curve.survival.tolist()) == ([0, 5], [0.5, 0.5])


def test_nobody():
    """No subject gives an empty curve and not an error."""
    curve = kaplan_meier([], [])
    assert (len(curve.time), curve.median, curve.numbers_at_risk([0, 1]).tolist()) == (0, None, [0, 0])


@pytest.mark.parametrize(
    ("time", "event", "words"),
    [
        ([1, float("nan")], [True, True], "1 of 2 is not"),
        ([1, float("inf")], [True, True], "1 of 2 is not"),
        ([-1, 2], [True, True], "1 of 2 is not"),
        ([1, 2], [True], "one length"),
        ([1, 2], [0, 2], "true or false"),
        ([1.0, 2.0], [1.0, float("nan")], "true or false"),
    ],
)
def test_what_is_no_time_is_refused(time, event, words):
    with pytest.raises(ValueError, match=words):
        kaplan_meier(time, event)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        kaplan_meier([1], [True], confidence=confidence)
