"""Courses of infusions: which gap splits them, and what interrupted them."""

import pytest

from fhiradapter.analysis.courses import allowed_gap
from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.results import Exposure
from fhiradapter.settings import Treatment
from tests.spec.safety_tables import cohort, day, rows, study, timeline

# 7 days + 3 days late: 10 days are one course, 11 are two.
WEEKLY = {"concept": "cells", "schedule": [{"count": 4, "every": "week", "late_days": 3}]}
DATES = timeline("""
s1 2024-03-01 2024-04-30 2024-12-31
s2 2024-03-01 2024-03-11 2024-12-31
s3 -          -          2024-12-31
""")
HEADER = "subject_id concept status start dose_cells\n"


def exposure(text: str, *, treatment: dict = WEEKLY, **sections) -> Exposure:
    made = cohort(exposures=rows(HEADER + text))
    found = derive_exposure(made, study(treatment=treatment, **sections), DATES)
    assert found is not None
    return found


def courses(found: Exposure) -> list[tuple]:
    return [
        (part.subject_id, part.number, part.infusions, part.days, part.gap_before_days)
        for part in found.courses
    ]


def test_a_gap_of_the_interval_and_its_late_window_is_still_one_course():
    """1 to 11 March are 10 days: one course of 11 days, first and last day counted."""
    found = exposure("s1 cells completed 2024-03-01 1e8\ns1 cells completed 2024-03-11 1e8")
    assert courses(found) == [("s1", 1, 2, 11, None)]
    assert (found.course_gap_days, found.interruptions) == (10, ())


def test_one_day_more_begins_a_new_course():
    """1 to 12 March are 11 days: two courses, and a gap told with the infusion before it."""
    found = exposure("s1 cells completed 2024-03-01 1e8\ns1 cells completed 2024-03-12 1e8")
    assert courses(found) == [("s1", 1, 1, 1, None), ("s1", 2, 1, 1, 11)]
    (gap,) = found.interruptions
    assert (gap.kind, gap.row_id, gap.on, gap.days, gap.until) == (
        "gap",
        "row-0",
        day("2024-03-01"),
        11,
        day("2024-03-12"),
    )


def test_courses_are_counted_subject_by_subject():
    """The step from the last infusion of s1 to the first of s2 is no gap; s3 was given nothing."""
    found = exposure("""
    s2 cells completed 2024-03-01 1e8
    s1 cells completed 2024-04-30 1e8
    s1 cells completed 2024-03-01 1e8
    s2 cells completed 2024-03-08 1e8
    """)
    assert courses(found) == [("s1", 1, 1, 1, None), ("s1", 2, 1, 1, 60), ("s2", 1, 2, 8, None)]
    assert {part.subject_id: part.courses for part in found.subjects} == {"s1": 2, "s2": 1, "s3": 0}


def test_the_cells_of_a_course_are_added_up_unless_one_dose_is_unknown():
    """1e8 + 5e7 in the first course; the second one has a dose without cells, so no sum."""
    found = exposure("""
    s1 cells completed 2024-03-01 1e8
    s1 cells completed 2024-03-08 5e7
    s1 cells completed 2024-04-20 1e8
    s1 cells completed 2024-04-27 -
    """)
    assert [part.cells for part in found.courses] == [1.5e8, None]


def test_the_study_file_may_say_how_long_a_gap_is():
    """With 5 days, weekly infusions are all courses of their own."""
    found = exposure(
        "s1 cells completed 2024-03-01 1e8\ns1 cells completed 2024-03-08 1e8",
        treatment=WEEKLY | {"course_gap_days": 5},
    )
    assert [part.gap_before_days for part in found.courses] == [None, 7]


def test_without_a_schedule_there_are_no_courses_but_stopped_infusions_are_told():
    """Nothing says how long a gap may be: the number of courses is unknown, not one."""
    found = exposure(
        "s1 cells completed 2024-03-01 1e8\ns1 cells stopped 2024-06-12 5e7", treatment={"concept": "cells"}
    )
    assert (found.course_gap_days, found.courses) == (None, ())
    assert {part.courses for part in found.subjects} == {None}
    assert [(part.kind, part.row_id, part.days) for part in found.interruptions] == [
        ("stopped", "row-1", None)
    ]


def test_an_infusion_without_a_day_is_in_no_course_and_counted():
    """A month could be anywhere: it neither closes nor opens a gap."""
    found = exposure("""
    s1 cells completed 2024-03-01 1e8
    s1 cells completed 2024-03    1e8
    s1 cells completed 2024-03-20 1e8
    """)
    assert [part.infusions for part in found.courses] == [1, 1]
    assert found.undated_infusions == 1


def test_what_was_not_given_or_lies_after_the_data_cut_is_in_no_course():
    """The not-done visit on 8 March leaves a gap of 14 days; the infusion after the cut is not seen."""
    found = exposure(
        """
        s1 cells completed 2024-03-01 1e8
        s1 cells not-done  2024-03-08 -
        s1 cells completed 2024-03-15 1e8
        s1 cells completed 2024-05-15 1e8
        """,
        follow_up={"data_cut": "2024-04-01"},
    )
    assert courses(found) == [("s1", 1, 1, 1, None), ("s1", 2, 1, 1, 14)]


def test_two_infusions_on_one_day_are_one_course():
    """The gap between them is 0 days."""
    found = exposure("s1 cells completed 2024-03-01T09:00 1e8\ns1 cells completed 2024-03-01T15:00 1e8")
    assert courses(found) == [("s1", 1, 2, 1, None)]


def test_nothing_given_has_no_course():
    found = exposure("s3 cells not-done 2024-03-01 -")
    assert (found.courses, found.interruptions) == ((), ())


@pytest.mark.parametrize(
    ("schedule", "month", "days"),
    [
        ([("week", 4, 1, 3), ("month", 6, 1, 7)], "28_days", 28 + 7),
        ([("month", 6, 1, 7)], "30.4375_days", 31 + 7),
        ([("month", 6, 2, 0)], "calendar", 62),
        ([("day", 3, 2, 1)], "28_days", 2 + 1),
        # Equal intervals: the wider window. A block of one visit at the start has no interval.
        ([("week", 2, 1, 1), ("week", 2, 1, 4)], "28_days", 7 + 4),
        ([("month", 1, 1, 9), ("week", 3, 1, 2)], "28_days", 7 + 2),
        ([("month", 1, 1, 9)], "28_days", None),
        ([], "28_days", None),
    ],
)
def test_the_longest_planned_interval_with_its_late_window(schedule, month, days):
    blocks = [
        {"every": every, "count": count, "interval": interval, "late_days": late}
        for every, count, interval, late in schedule
    ]
    treatment = Treatment.model_validate({"concept": "cells", "month": month, "schedule": blocks})
    assert allowed_gap(treatment) == days
