"""Infusion time in minutes, and when it is not known."""

import pytest

from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.results import Exposure
from tests.spec.safety_tables import cohort, rows, study, timeline

DATES = timeline("s1 2024-03-01 2024-03-29 2024-12-31")
HEADER = "subject_id concept status start end dose_cells\n"


def exposure(text: str) -> Exposure:
    found = derive_exposure(cohort(exposures=rows(HEADER + text)), study(), DATES)
    assert found is not None
    return found


def test_minutes_from_start_to_end_with_median_and_range():
    """45, 60 and 20 minutes (stopped): median 45, range 20 to 60."""
    found = exposure("""
    s1 cells completed 2024-03-01T09:00 2024-03-01T09:45 1e8
    s1 cells completed 2024-03-08T23:30 2024-03-09T00:30 1e8
    s1 cells stopped   2024-03-15T09:00 2024-03-15T09:20 5e7
    """)
    assert [infusion.minutes for infusion in found.timeline] == [45, 60, 20]
    assert (found.duration.median, found.duration.min, found.duration.max) == (45, 20, 60)
    assert (found.duration.known, found.duration.unknown) == (3, {})


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("2024-03-01", "2024-03-01T10:00", "start or end without a time of day"),
        ("2024-03-01T09:00", "2024-03-01", "start or end without a time of day"),
        ("2024-03-01T09:00", "-", "start or end without a time of day"),
        ("-", "2024-03-01T10:00", "start or end without a time of day"),
        ("2024-03-01T09:00", "2024-03-01T09:00", "the end is not after the start"),
        ("2024-03-01T09:00", "2024-03-01T08:59", "the end is not after the start"),
    ],
)
def test_what_is_not_known_is_counted_with_the_reason(start, end, reason):
    """No number is made of a day, of a missing end, or of an end that does not come later."""
    found = exposure(f"s1 cells completed {start} {end} 1e8")
    assert found.timeline[0].minutes is None
    assert found.duration.unknown == {reason: 1}
    assert (found.duration.known, found.duration.median) == (0, None)


def test_what_was_not_given_has_no_minutes_and_is_not_counted():
    found = exposure("s1 cells not-done 2024-03-01T09:00 2024-03-01T10:00 -")
    assert found.timeline[0].minutes is None
    assert (found.duration.known, found.duration.unknown) == (0, {})
