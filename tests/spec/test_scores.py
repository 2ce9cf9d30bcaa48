"""One score per subject and time, from totals, from items, or from both."""

import pytest
from small_cohorts import cohort_of, study_of, table

from fhiradapter.analysis.assessments import CUTTING, ITEMS, OTHER_ITEMS
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.cohort.cohort import Cohort

STUDY = study_of(treated=False)
TWELVE = (CUTTING[0], *OTHER_ITEMS)


def items(concepts=TWELVE, *, value=3.0, parent="panel", measured="2024-01-10", **more):
    """One row per item, all with the same answer."""
    [moment] = table(f"measured\n{measured}")
    row = {**moment, "subject_id": "s1", "status": "final", "value": value, "parent_id": parent, **more}
    return [{**row, "row_id": f"{parent}-{concept}", "concept": concept} for concept in concepts]


def total(value, *, row_id="total", measured="2024-01-10", **more):
    [moment] = table(f"measured\n{measured}")
    return {**moment, "subject_id": "s1", "status": "final", "concept": "alsfrs_r_total", "value": value} | {
        "row_id": row_id,
        **more,
    }


def scores(rows, study=STUDY):
    return derive_scores(Cohort.from_rows({"measurements": rows}), study)


def values(found):
    return found.table["value"].tolist()


def test_twelve_items_of_three_make_thirty_six():
    """12 x 3 = 36, named after its first item; nothing is left out."""
    found = scores(items())
    assert values(found) == [36.0]
    assert found.table["row_id"].tolist() == [f"panel-{min(TWELVE)}"]
    assert found.notes == {}


def test_gastrostomy_form_of_item_five_completes_the_twelve():
    """5b instead of 5a: 11 x 3 + 3."""
    assert values(scores(items((CUTTING[1], *OTHER_ITEMS)))) == [36.0]


@pytest.mark.parametrize("missing", [*OTHER_ITEMS, CUTTING[0]])
def test_a_missing_item_leaves_no_total(missing):
    """Eleven items are never scaled up to twelve."""
    found = scores(items([name for name in TWELVE if name != missing]))
    assert values(found) == []
    assert found.notes == {"items_missing": 1}


def test_items_without_a_value_are_missing_items():
    """An absent answer is not a zero."""
    rows = items()
    rows[4]["value"] = None
    found = scores(rows)
    assert values(found) == []
    assert found.notes == {"items_missing": 1, "no_value": 1}


def test_items_win_over_a_total_that_differs_and_both_are_kept():
    """Items add up to 36; 38 was reported."""
    found = scores([*items(), total(38.0, parent_id="panel")])
    assert values(found) == [36.0]
    assert found.table["flags"].tolist() == [("total_differs",)]
    assert found.table["reported_value"].tolist() == [38.0]
    assert found.notes == {"total_differs": 1}


@pytest.mark.parametrize(
    "link", [{"parent_id": "panel"}, {"row_id": "panel"}, {}, {"measured": "2024-01-10T15:30:00"}]
)
def test_a_total_that_agrees_is_the_same_score(link):
    """A member of the panel, the panel itself, the same day: one score of 36, not two."""
    found = scores([*items(), total(36.0, **link)])
    assert values(found) == [36.0]
    assert found.table["row_id"].tolist() == [link.get("row_id", "total")]
    assert found.notes == {}


def test_another_raters_total_is_another_score():
    """Two raters on a day: the mean of 36 and 40, flagged."""
    found = scores([*items(performer="rater-1"), total(40.0, performer="rater-2")])
    assert values(found) == [38.0]
    assert found.table["flags"].tolist() == [("same_day", "several_raters")]


def test_a_reported_total_stands_where_items_are_missing():
    """The total of an incomplete panel is used, flagged."""
    found = scores([*items(TWELVE[:5]), total(36.0, parent_id="panel")])
    assert values(found) == [36.0]
    assert found.notes == {"items_incomplete": 1, "items_missing": 1}


@pytest.mark.parametrize(("policy", "points"), [("prefer_5a", 34.0), ("max", 36.0)])
def test_both_forms_of_item_five_follow_the_policy(policy, points):
    """5a = 1 and 5b = 3 beside 11 x 3: 33 + 1 or 33 + 3."""
    rows = items(OTHER_ITEMS) + items(CUTTING[:1], value=1.0) + items(CUTTING[1:])
    found = scores(rows, study_of(treated=False, progression={"both_cutting_items": policy}))
    assert values(found) == [points]
    assert found.notes == {"both_cutting_items": 1}


def test_both_forms_of_item_five_exclude_the_total_by_default():
    """Nor is the reported total used: nobody knows what was added up."""
    found = scores([*items(ITEMS), total(36.0, parent_id="panel")])
    assert values(found) == []
    assert found.notes == {"both_cutting_items": 1, "total_of_both_cutting_items": 1}


def test_items_without_panel_belong_together_by_day():
    """Each item has a minute of its own."""
    rows = []
    for minute, name in enumerate(TWELVE):
        rows += items([name], parent=None, measured=f"2024-01-10T09:{minute:02d}:00")
    assert values(scores(rows)) == [36.0]


def test_two_assessments_without_panel_on_one_day_are_told_apart_by_time():
    """Morning 36 and evening 24 are two scores; their mean is 30."""
    rows = items(parent=None, measured="2024-01-10T09:00:00")
    rows += items(parent=None, measured="2024-01-10T18:00:00", value=2.0)
    assert values(scores(rows)) == [30.0]
    assert values(scores(rows, study_of(treated=False, progression={"same_day": "all"}))) == [36.0, 24.0]


def test_one_item_with_two_answers_leaves_no_total():
    """Speech 3 and speech 2 in one panel."""
    found = scores([*items(), *items(TWELVE[1:2], value=2.0)])
    assert values(found) == []
    assert found.notes == {"items_conflicting": 1}


SAME_DAY = """
subject_id | measured            | value | performer
s1         | 2024-01-10T09:00:00 | 40    | a
s1         | 2024-01-10T11:00:00 | 44    | b
s1         | 2024-02-10          | 39    | a
"""


@pytest.mark.parametrize(
    ("policy", "expected", "left_out", "flagged"),
    [
        ("mean", [42.0, 39.0], {}, 1),
        ("first", [40.0, 39.0], {"same_day_later": 1}, 1),
        ("all", [40.0, 44.0, 39.0], {}, 2),
    ],
)
def test_several_scores_of_a_day_follow_the_policy(policy, expected, left_out, flagged):
    """Raters a and b give 40 and 44 on one day."""
    found = derive_scores(
        cohort_of(measurements=SAME_DAY), study_of(treated=False, progression={"same_day": policy})
    )
    assert values(found) == expected
    assert found.left_out["reason"].value_counts().to_dict() == left_out
    assert found.notes["several_raters"] == flagged


def test_status_decides_what_is_used():
    """Corrected values count, provisional ones by policy, cancelled ones never; each is counted."""
    cohort = cohort_of(
        measurements="""
subject_id | measured   | value | status
s1         | 2024-01-10 | 40    | final
s1         | 2024-02-10 | 39    | amended
s1         | 2024-03-10 | 38    | corrected
s1         | 2024-04-10 | 37    | appended
s1         | 2024-05-10 | 36    | preliminary
s1         | 2024-06-10 | 35    | cancelled
s1         | 2024-07-10 | 34    | entered-in-error
"""
    )
    found = derive_scores(cohort, STUDY)
    assert values(found) == [40.0, 39.0, 38.0, 37.0]
    assert found.notes == {"provisional_left_out": 1, "status_not_used": 2}
    provisional = derive_scores(cohort, study_of(treated=False, progression={"provisional_status": True}))
    assert values(provisional) == [40.0, 39.0, 38.0, 37.0, 36.0]
    assert provisional.notes == {"provisional": 1, "status_not_used": 2}


def test_what_cannot_be_placed_or_is_a_bound_is_left_out_and_counted():
    cohort = cohort_of(
        measurements="""
subject_id | measured   | value | comparator | last_updated
s1         | 2024       | 40    |            |
s1         | 2024-02    | 39    |            |
s1         |            | 38    |            |
s1         | 2024-03-10 | 37    | <          |
s1         | 2024-04-10 |       |            |
s1         | 2025-01-01 | 36    |            |
s1         | 2024-05-10 | 35    |            | 2024-05-01
           | 2024-05-10 | 34    |            |
s1         | 2024-06-10 | 33    |            | 2024-06-10
"""
    )
    found = derive_scores(cohort, study_of(treated=False, follow_up={"data_cut": "2024-12-31"}))
    assert values(found) == [33.0]
    assert found.notes == {
        "after_data_cut": 1,
        "comparator": 1,
        "dated_after_recording": 1,
        "imprecise_date": 2,
        "no_date": 1,
        "no_subject": 1,
        "no_value": 1,
    }


def test_rises_and_large_changes_are_flagged_and_stay():
    """-10 points, then +1, then -4 in 10 days (12.2 points a month)."""
    cohort = cohort_of(
        measurements="""
subject_id | measured   | value
s1         | 2023-01-01 | 44
s1         | 2024-01-01 | 34
s1         | 2024-06-01 | 35
s1         | 2024-06-11 | 31
s2         | 2024-06-11 | 48
"""
    )
    found = derive_scores(cohort, STUDY)
    assert found.table["flags"].tolist() == [(), ("large_change",), ("rise",), ("fast_change",), ()]


def test_six_points_a_month_are_not_more_than_six():
    """6 points in 30.4375 days would be the limit; in 31 days it is below, in 30 above."""
    cohort = cohort_of(
        measurements="""
subject_id | measured   | value
s1         | 2024-01-01 | 44
s1         | 2024-02-01 | 38
s2         | 2024-01-01 | 44
s2         | 2024-01-31 | 38
"""
    )
    assert derive_scores(cohort, STUDY).table["flags"].tolist() == [(), (), (), ("fast_change",)]


def test_another_concept_works_with_its_reported_values():
    """Vital capacity has no items and no ALSFRS-R thresholds."""
    cohort = cohort_of(
        measurements="""
subject_id | measured   | value | concept
s1         | 2024-01-10 | 90    | svc_percent_predicted
s1         | 2024-02-10 | 70    | svc_percent_predicted
s1         | 2024-02-10 | 30    | alsfrs_r_total
"""
    )
    found = derive_scores(cohort, study_of(treated=False, progression={"concept": "svc_percent_predicted"}))
    assert found.table[["value", "flags"]].values.tolist() == [[90.0, ()], [70.0, ()]]


def test_no_measurement_gives_an_empty_table():
    assert values(derive_scores(Cohort.from_rows({}), STUDY)) == []
