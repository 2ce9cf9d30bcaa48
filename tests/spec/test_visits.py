"""The planned visit that a value stands for."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from small_cohorts import study_of

from fhiradapter.analysis.visits import assign_visits, count_unplaced, plan_visits, visit_labels
from fhiradapter.settings import PlannedVisit

MONTH_3 = PlannedVisit(label="Month 3", day=91, early_days=14, late_days=7)
MONTH_6 = PlannedVisit(label="Month 6", day=183, early_days=14, late_days=14)
WEEKS_AND_MONTHS = [{"count": 3, "every": "week"}, {"count": 2, "every": "month"}]


def timeline_of(**first_days):
    days = pd.to_datetime(pd.Series(first_days, dtype="object"))
    return pd.DataFrame({"index_on": days}).rename_axis("subject_id")


def place(days, *visits, until_baseline=(), timeline=None, subject="a", study=None):
    """Labels of the visits that values on some days from 2024-01-01 stand for, and what stands for none."""
    timeline = timeline_of(a="2024-01-01") if timeline is None else timeline
    plan = plan_visits(study or study_of(), timeline, configured=list(visits))
    on = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(sorted(days), "D"))
    until = np.isin(sorted(days), until_baseline)
    places = assign_visits(pd.Series([subject] * len(on)), on, plan, timeline, until_baseline=until)
    counts = count_unplaced(places, plan, is_baseline=until)
    return visit_labels(places, plan), {reason: count for reason, count in counts.items() if count}


@pytest.mark.parametrize(("day", "there"), [(76, False), (77, True), (91, True), (98, True), (99, False)])
def test_both_edges_of_a_window_belong_to_it(day, there):
    """91 - 14 = 77 and 91 + 7 = 98 are inside, 76 and 99 outside and counted."""
    expected = (["Month 3"], {}) if there else ([None], {"unscheduled": 1})
    assert place([day], MONTH_3) == expected


def test_nearest_value_stands_for_the_visit():
    """Days 80, 90 and 97 are 11, 1 and 6 off plan."""
    assert place([80, 90, 97], MONTH_3) == ([None, "Month 3", None], {"not_nearest_to_visit": 2})


def test_of_values_equally_near_the_earlier_stands_for_the_visit():
    """Days 88 and 94 are 3 off plan each."""
    assert place([88, 94], MONTH_3) == (["Month 3", None], {"not_nearest_to_visit": 1})


def test_value_in_two_windows_belongs_to_the_nearer_visit_and_half_way_to_the_earlier():
    """Windows 0-20 and 10-30 around days 10 and 20: 14 and 15 are the first's, 16 the second's."""
    wide = [PlannedVisit(label=str(day), day=day, early_days=10, late_days=10) for day in (20, 10)]
    assert [place([day], *wide)[0] for day in (14, 15, 16)] == [["10"], ["10"], ["20"]]


def test_baseline_cannot_stand_for_a_later_visit():
    """Day 0 lies in the window of week 1, but is baseline; of a visit on day 0 it is the value."""
    week = PlannedVisit(label="Week 1", day=7, early_days=7, late_days=7)
    today = PlannedVisit(label="Day 0", day=0)
    assert place([-3, 0, 9], week, until_baseline=[-3, 0]) == ([None, None, "Week 1"], {})
    assert place([0], today, week, until_baseline=[0]) == (["Day 0"], {})


def test_without_index_date_there_is_no_visit():
    """A subject without dose and score has nothing to count days from."""
    timeline = timeline_of(a=None)
    assert place([91], MONTH_3, timeline=timeline) == ([None], {"no_index_date": 1})


def test_planned_infusions_are_the_visits_where_none_are_configured():
    """Days 7, 14, 42, 70 after the first; half-way 10.5 and 28 and 56; after the last as before it."""
    study = study_of()
    study = study.model_validate(
        {**study.model_dump(), "treatment": {"concept": "treg_cells", "schedule": WEEKS_AND_MONTHS}}
    )
    plan = plan_visits(study, timeline_of(a="2024-01-01"), configured=[])
    assert plan.typical() == [
        ("Infusion 2", 7, 3, 3),
        ("Infusion 3", 14, 3, 14),
        ("Infusion 4", 42, 13, 14),
        ("Infusion 5", 70, 13, 14),
    ]
    found = [place([day], study=study)[0][0] for day in (3, 4, 10, 11, 28, 29, 84, 85)]
    two, three, four, five = (f"Infusion {number}" for number in range(2, 6))
    assert found == [None, two, two, three, three, four, five, None]


def test_calendar_months_are_counted_for_each_subject():
    """One month after 31 January 2023 is 28 days later, after 1 March 31 days."""
    schedule = {"concept": "treg_cells", "month": "calendar", "schedule": [{"count": 2, "every": "month"}]}
    study = study_of(treated=False, treatment=schedule)
    plan = plan_visits(study, timeline_of(a="2023-01-31", b="2023-03-01"), configured=[])
    assert plan.days.tolist() == [[28], [31]]


def test_without_treatment_and_setting_no_visit_is_planned():
    assert place([91], study=study_of(treated=False)) == ([None], {})


def test_two_visits_with_one_label_are_refused():
    visits = [{"label": "Month 3", "day": 91}, {"label": "Month 3", "day": 183}]
    with pytest.raises(ValidationError, match="two visits have the same label"):
        study_of(biomarkers={"visits": visits})


def test_subjects_are_placed_apart():
    """Both have a value on the same calendar day: day 91 of the one, day 183 of the other."""
    timeline = timeline_of(a="2024-01-01", b="2023-10-01")
    plan = plan_visits(study_of(), timeline, configured=[MONTH_6, MONTH_3])
    on = pd.Series(pd.to_datetime(["2024-04-01", "2024-04-01"]))
    places = assign_visits(pd.Series(["b", "a"]), on, plan, timeline, until_baseline=np.zeros(2, dtype=bool))
    assert visit_labels(places, plan) == ["Month 6", "Month 3"]
