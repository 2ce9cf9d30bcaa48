"""Laboratory grades before and after the first dose."""

import pytest

from fhiradapter.analysis.laboratory import derive_lab_shifts, grade_laboratory, graded_tests
from fhiradapter.definitions.grading import grading_versions, read_grading
from fhiradapter.results import LabShift
from tests.spec.safety_tables import cohort, rows, study, timeline

DATES = timeline("""
s1 2024-03-10 2024-04-10 2024-12-31
s2 2024-03-10 2024-04-10 2024-12-31
s3 -          -          2024-12-31
""")
HEADER = "subject_id concept measured value unit range_low range_high comparator status\n"


def shifts(text: str, *, version: str = "4.03", **sections) -> dict[tuple[str, str], LabShift]:
    made = cohort(measurements=rows(HEADER + text, kind="lab"))
    chosen = study(safety={"ctcae_version": version}, **sections)
    found = derive_lab_shifts(grade_laboratory(made, chosen, DATES))
    return {(shift.test, shift.direction): shift for shift in found}


# CTCAE 4.03, ALT: >ULN - 3 x ULN is grade 1, >3 - 5 grade 2, >5 - 20 grade 3, >20 grade 4. ULN is 40 here.
ALT = """
s1 alt 2024-02-01       300 U/L 0 40 - final
s1 alt 2024-03-10T08:00 30  U/L 0 40 - final
s1 alt 2024-03-10T12:00 90  U/L 0 40 - final
s1 alt 2024-03-20       180 U/L 0 40 - final
s1 alt 2024-04-20       50  U/L 0 40 - final
s2 alt 2024-03-10       50  U/L 0 40 - final
s2 alt 2024-03-20       40  U/L 0 40 - final
s3 alt 2024-03-20       900 U/L 0 40 - final
"""


def test_baseline_is_the_last_value_before_the_first_dose():
    """s1: 30 an hour before (grade 0) to 180 (4.5 x ULN, grade 2); s2: 50 on the day (1) to 40 (0)."""
    alt = shifts(ALT)["alt", "high"]
    assert alt.grade_shift == {"0": {"2": 1}, "1": {"0": 1}}
    assert (alt.treatment_emergent, alt.not_gradable) == (1, 0)
    assert alt.term == "Alanine aminotransferase increased"


def test_a_subject_without_a_first_dose_has_no_shift():
    """s3 was never treated: 900 U/L is in no table."""
    assert sum(sum(row.values()) for row in shifts(ALT)["alt", "high"].grade_shift.values()) == 2


def test_without_a_limit_of_normal_the_grade_is_unknown_and_not_zero():
    """No ULN: not gradable, also as a baseline."""
    text = "s1 alt 2024-02-01 30 U/L - - - final\ns1 alt 2024-03-20 300 U/L - - - final"
    alt = shifts(text)["alt", "high"]
    assert alt.grade_shift == {"not gradable": {"not gradable": 1}}
    assert (alt.not_gradable, alt.treatment_emergent) == (1, 0)


def test_a_subject_without_a_baseline_is_shown_as_such():
    """The worst grade is known, but nothing can be called treatment-emergent."""
    alt = shifts("s1 alt 2024-03-20 300 U/L 0 40 - final")["alt", "high"]
    assert alt.grade_shift == {"no baseline": {"3": 1}}
    assert alt.treatment_emergent == 0


def test_both_directions_of_a_test_are_graded():
    """Potassium 2.8 is grade 3 low (<3.0 - 2.5) and grade 0 high."""
    text = (
        "s1 potassium 2024-02-01 4 mmol/L 3.5 5.1 - final\ns1 potassium 2024-03-20 2.8 mmol/L 3.5 5.1 - final"
    )
    found = shifts(text)
    assert found["potassium", "low"].grade_shift == {"0": {"3": 1}}
    assert found["potassium", "high"].grade_shift == {"0": {"0": 1}}


def test_version_5_sets_an_abnormal_baseline_against_itself():
    """ALT from 80 (ULN 40) to 160: in 5.0 twice the baseline, grade 1; in 4.03 four times ULN, grade 2."""
    text = "s1 alt 2024-02-01 80 U/L 0 40 - final\ns1 alt 2024-03-20 160 U/L 0 40 - final"
    assert shifts(text, version="5.0")["alt", "high"].grade_shift == {"1": {"1": 1}}
    assert shifts(text, version="4.03")["alt", "high"].grade_shift == {"1": {"2": 1}}


def test_a_test_without_numbers_in_a_version_is_not_gradable():
    """5.0 has no numbers for hyperglycaemia; 4.03 has (fasting 12 mmol/L is grade 2)."""
    text = "s1 glucose_fasting 2024-03-20 12 mmol/L 3.9 5.6 - final"
    assert shifts(text, version="5.0")["glucose_fasting", "high"].not_gradable == 1
    assert shifts(text, version="4.03")["glucose_fasting", "high"].grade_shift == {"no baseline": {"2": 1}}


@pytest.mark.parametrize(
    ("value", "comparator", "grade"),
    [
        ("30", "<", "0"),  # below a normal value: normal
        ("180", "<", "not gradable"),  # 0, 1 or 2
        ("900", ">", "4"),  # above 20 x ULN: grade 4
        ("180", ">", "not gradable"),  # 2, 3 or 4
    ],
)
def test_a_bound_is_graded_when_it_decides(value: str, comparator: str, grade: str):
    """A value with a comparator has a grade when all the values that it allows have one."""
    text = f"s1 alt 2024-03-20 {value} U/L 0 40 {comparator} final"
    assert shifts(text)["alt", "high"].grade_shift == {"no baseline": {grade: 1}}


def test_results_that_are_not_final_are_left_out():
    """Cancelled and preliminary values are no laboratory result."""
    text = "s1 alt 2024-03-20 900 U/L 0 40 - cancelled\ns1 alt 2024-03-21 900 U/L 0 40 - preliminary"
    assert shifts(text) == {}


def test_no_treatment_or_no_value_gives_no_shifts():
    """Nothing before and after to compare."""
    assert shifts(ALT, treatment=None) == {}
    assert shifts("") == {}


@pytest.mark.parametrize("version", grading_versions())
def test_no_direction_of_a_test_is_graded_twice(version: str):
    """Platelets are one term per version: Thrombocytopenia from 6.0 on."""
    tests = graded_tests(read_grading(version)).set_index(["concept", "direction"])["term"]
    assert tests.index.is_unique
    expected = "Thrombocytopenia" if version == "6.0" else "Platelet count decreased"
    assert tests["platelets", "low"] == expected
