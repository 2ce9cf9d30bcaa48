"""The log-rank test: R's survdiff, hand calculations, and lifelines as oracle."""

import warnings

import numpy as np
import pytest

from fhiradapter.analysis.log_rank import log_rank

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifelines.datasets import load_lung
    from lifelines.statistics import multivariate_logrank_test

SEEDS = range(20)


def test_lung_data_by_sex():
    """R: survdiff(Surv(time, status) ~ sex, lung): 112 of 91.5817, 53 of 73.4183, 10.3267, 0.00131116."""
    lung = load_lung()
    test = log_rank(lung["time"].to_numpy(), lung["status"].eq(1).to_numpy(), lung["sex"].tolist())
    assert (test.groups, test.n.tolist(), test.observed.tolist(), test.df) == (
        (1, 2),
        [138, 90],
        [112, 53],
        1,
    )
    assert test.expected == pytest.approx([91.5817, 73.4183], abs=5e-5)
    assert test.chi_square == pytest.approx(10.3267, abs=5e-5)
    assert test.p == pytest.approx(0.00131116, abs=5e-9)


def test_by_hand():
    """Times a: 1, 3; b: 2, 4; all events.

    Expected of a: 2/4 + 1/3 + 1/2 + 0 = 4/3, of b: 8/3. Variance: 1/4 + 2/9 + 1/4 + 0 = 13/18, so
    chi-square = (2 - 4/3)^2 / (13/18) = 8/13.
    """
    test = log_rank([1, 3, 2, 4], [True] * 4, ["a", "a", "b", "b"])
    assert test.expected == pytest.approx([4 / 3, 8 / 3])
    assert test.chi_square == pytest.approx(8 / 13)


def test_tied_events_share_the_hypergeometric_variance():
    """Two of three die at once, group a holding one of the three.

    Expected of a: 2 x 1/3; variance 2 x (1/3)(2/3) x (3 - 2)/(3 - 1) = 2/9; a did not die:
    chi-square = (0 - 2/3)^2 / (2/9) = 2.
    """
    test = log_rank([5, 5, 5], [False, True, True], ["a", "b", "b"])
    assert test.chi_square == pytest.approx(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_lifelines(seed):
    """Two to four groups of random times with ties."""
    print("seed", seed)
    random = np.random.default_rng(seed)
    n, k = int(random.integers(20, 80)), 2 + seed % 3
    time, event = random.integers(1, 25, n).astype(float), random.random(n) < 0.7
    group = [f"g{number}" for number in np.arange(n) % k]
    test = log_rank(time, event, group)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = multivariate_logrank_test(time, group, event)
    assert test.df == k - 1
    assert test.chi_square == pytest.approx(oracle.test_statistic, rel=1e-9)
    assert test.p == pytest.approx(oracle.p_value, rel=1e-9)
    assert test.expected.sum() == pytest.approx(test.observed.sum())


def test_order_and_names_of_groups_do_not_matter():
    time, event = [1, 2, 3, 4, 5], [True, True, False, True, True]
    one = log_rank(time, event, ["x", "y", "x", "y", "x"])
    other = log_rank(time[::-1], event[::-1], ["m", "a", "m", "a", "m"])
    assert one.chi_square == pytest.approx(other.chi_square)


def test_group_that_was_never_at_risk_costs_a_degree_of_freedom():
    """Group c leaves before the first event: the test is that of a and b."""
    pair = log_rank([2, 3, 4, 5], [True] * 4, ["a", "b", "a", "b"])
    three = log_rank([2, 3, 4, 5, 1], [True] * 4 + [False], ["a", "b", "a", "b", "c"])
    assert (three.df, three.expected[2]) == (1, 0)
    assert three.chi_square == pytest.approx(pair.chi_square)


@pytest.mark.parametrize(
    ("time", "event", "group"),
    [
        ([], [], []),
        ([1, 2], [True, True], ["a", "a"]),
        ([1, 2], [False, False], ["a", "b"]),
        ([1], [True], ["a"]),
        ([1, 2], [False, True], ["a", "b"]),
    ],
)
def test_nothing_to_compare(time, event, group):
    """Nobody, one group, no event, or events while one group alone was at risk: no p value, no error."""
    test = log_rank(time, event, group)
    assert (test.chi_square, test.p, test.df) == (None, None, 0)


def test_everybody_dies_at_once():
    """All of both groups die on one day: observed equals expected and nothing can be said."""
    test = log_rank([3, 3, 3], [True] * 3, ["a", "a", "b"])
    assert test.expected == pytest.approx([2, 1])
    assert test.p is None


def test_unusable_times_are_refused():
    with pytest.raises(ValueError, match="1 of 2 is not"):
        log_rank([1, float("nan")], [True, True], ["a", "b"])
    with pytest.raises(ValueError, match="one group"):
        log_rank([1, 2], [True, True], ["a"])
