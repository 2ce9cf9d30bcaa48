"""ALSFRS-R domains and the items that they need."""

import numpy as np
import pytest
from small_cohorts import study_of
from staged_cohorts import item_rows, items_of, staged, staging_or_note

from fhiradapter.analysis.assessments import CUTTING, OTHER_ITEMS
from fhiradapter.analysis.domains import DOMAINS, domain_scores


def scores(line):
    [row] = domain_scores(items_of(line)).to_numpy().tolist()
    return [None if np.isnan(points) else points for points in row]


def test_each_domain_is_the_sum_of_its_three_items():
    """4 + 3 + 2, 1 + 0 + 4, 3 + 2 + 1, 0 + 4 + 3."""
    assert list(DOMAINS) == ["bulbar", "fine_motor", "gross_motor", "respiratory"]
    assert scores("432 104 321 043") == [9, 5, 6, 7]
    assert scores("444 444 444 444") == [12, 12, 12, 12]
    assert scores("000 000 000 000") == [0, 0, 0, 0]


@pytest.mark.parametrize("place", range(12))
def test_a_missing_item_takes_its_domain_and_no_other(place):
    """Items 1-3, 4-6, 7-9 and 10-12."""
    line = "".join("." if at == place else "3" for at in range(12))
    expected = [9.0, 9.0, 9.0, 9.0]
    expected[place // 3] = None
    assert scores(line) == expected


@pytest.mark.parametrize("form", ["5a", "5b"])
def test_either_form_of_item_five_completes_fine_motor(form):
    """2 + 1 + 3."""
    text = f"subject_id | measured | items | form\ns1 | 2024-01-10 | 444 213 444 444 | {form}"
    [one] = staged(text).assessments
    assert (one.fine_motor, one.cutting_form) == (6.0, form)


@pytest.mark.parametrize(
    ("policy", "points"), [("flag_and_exclude_total", None), ("prefer_5a", 6.0), ("max", 8.0)]
)
def test_both_forms_of_item_five_follow_the_policy(policy, points):
    """5a = 1 and 5b = 3 beside handwriting 2 and dressing 3: 2 + 1 + 3, or 2 + 3 + 3."""
    text = "subject_id | measured | items | form\ns1 | 2024-01-10 | 444 213 444 444 | both"
    rows = item_rows(text)
    for row in rows:
        if row["concept"] == CUTTING[1]:
            row["value"] = 3.0
    study = study_of(treated=False, progression={"both_cutting_items": policy})
    [one] = staged_rows(rows, study).assessments
    assert (one.fine_motor, one.cutting_form, one.flags) == (points, "both", ("both_cutting_items",))
    assert (one.bulbar, one.gross_motor, one.respiratory) == (12.0, 12.0, 12.0)


def staged_rows(rows, study):
    found, _ = staging_or_note(rows, study=study)
    return found


def test_an_item_with_two_answers_is_not_known():
    """Speech 4 and speech 2 in one panel: no bulbar score."""
    rows = item_rows("subject_id | measured | items\ns1 | 2024-01-10 | 444 444 444 444")
    rows.append(
        {**next(row for row in rows if row["concept"] == OTHER_ITEMS[0]), "value": 2.0, "row_id": "x"}
    )
    [one] = staged_rows(rows, study_of(treated=False)).assessments
    assert (one.bulbar, one.fine_motor, one.flags) == (None, 12.0, ("items_conflicting",))


@pytest.mark.parametrize("value", [5.0, -1.0, 2.5])
def test_an_answer_that_is_no_whole_number_to_four_is_not_known(value):
    rows = item_rows("subject_id | measured | items\ns1 | 2024-01-10 | 444 444 444 444")
    next(row for row in rows if row["concept"] == OTHER_ITEMS[0])["value"] = value
    [one] = staged_rows(rows, study_of(treated=False)).assessments
    assert (one.bulbar, one.fine_motor, one.flags) == (None, 12.0, ("items_out_of_range",))


def test_baseline_is_the_last_until_the_first_dose_and_last_is_the_last():
    """s1: 9 on the dose's day, then 3; s2 without a dose: 12 at first, then 6. Medians 10.5 and 4.5."""
    staging = staged(
        """
subject_id | measured   | items
s1         | 2024-01-01 | 444 444 444 444
s1         | 2024-02-01 | 333 444 444 444
s1         | 2024-03-01 | 111 444 444 444
s2         | 2024-01-01 | 444 444 444 444
s2         | 2024-03-01 | 222 444 444 444
""",
        study=study_of(),
        doses="s1 2024-02-01",
    )
    bulbar = staging.domains["bulbar"]
    assert (bulbar.baseline.n, bulbar.baseline.median, bulbar.baseline.min) == (2, 10.5, 9.0)
    assert (bulbar.last.n, bulbar.last.median, bulbar.last.min, bulbar.last.max) == (2, 4.5, 3.0, 6.0)
