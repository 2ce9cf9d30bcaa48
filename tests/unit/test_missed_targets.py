"""The page of benchmarks says which targets were missed."""

import pytest

from tests.benchmarks.__main__ import TARGETS
from tests.benchmarks.missed import is_met, misses


@pytest.mark.parametrize("target", sorted(set(TARGETS.values())))
def test_every_target_can_be_judged(target: str) -> None:
    """Nothing is as large as no limit allows and as small as none forbids."""
    assert is_met(float("inf"), target) != is_met(float("-inf"), target) or target == "0"


@pytest.mark.parametrize(
    ("measured", "target", "met"),
    [
        (250_000, "at least 250,000", True),
        (249_999, "at least 250,000", False),
        (1.15, "at most 1.15", True),
        (1.16, "at most 1.15", False),
        (800, "under 800", False),
        (799.9, "under 800", True),
        (0, "0", True),
        (1, "0", False),
    ],
)
def test_a_figure_meets_its_target_or_misses_it(measured: float, target: str, met: bool) -> None:
    """A limit itself is met by 'at least' and 'at most', and missed by 'under'."""
    assert is_met(measured, target) is met
    assert bool(misses({"x": measured}, {"x": target, "not measured": "0"})) is not met


def test_words_that_are_no_target_are_told() -> None:
    """A target in other words would never be missed."""
    with pytest.raises(ValueError, match="about ten"):
        is_met(10, "about ten")
