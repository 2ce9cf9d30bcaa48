"""Each subject's worst laboratory values after the first dose."""

import pytest

from fhiradapter.analysis.lab_abnormalities import ANY, ANY_SEVERE, derive_lab_abnormalities
from fhiradapter.analysis.laboratory import grade_laboratory
from fhiradapter.results import LabAbnormalities
from tests.spec.safety_tables import cohort, rows, study, timeline

DATES = timeline("""
s1 2024-03-10 2024-04-10 2024-12-31
s2 2024-03-10 2024-04-10 2024-12-31
s3 -          -          2024-12-31
""")
HEADER = "subject_id concept measured value unit range_low range_high status\n"


def abnormalities(text: str) -> LabAbnormalities:
    made = cohort(measurements=rows(HEADER + text, kind="lab"))
    found = derive_lab_abnormalities(grade_laboratory(made, study(safety={"ctcae_version": "4.03"}), DATES))
    assert found is not None
    return found


# CTCAE 4.03, ALT with ULN 40: grade 1 above 40, 2 above 120, 3 above 200, 4 above 800.
ALT = """
s1 alt 2024-02-01 30  U/L 0 40 final
s1 alt 2024-03-20 150 U/L 0 40 final
s1 alt 2024-03-25 180 U/L 0 40 final
s1 alt 2024-04-20 50  U/L 0 40 final
s2 alt 2024-02-01 50  U/L 0 40 final
s2 alt 2024-03-20 60  U/L 0 40 final
s3 alt 2024-03-20 900 U/L 0 40 final
"""


def test_the_worst_value_is_the_highest_grade_and_then_the_most_extreme():
    """s1: 150 and 180 are both grade 2, so 180; baseline grade 0. s2: grade 1 before and after, not new."""
    found = abnormalities(ALT)
    assert [
        (row.subject_id, row.row_id, row.value, row.grade, row.baseline_grade, row.treatment_emergent)
        for row in found.rows
    ] == [("s1", "row-2", 180, 2, 0, True), ("s2", "row-5", 60, 1, 1, False)]


def test_subjects_with_an_emergent_abnormality_are_counted_once():
    """s1 of two subjects, with one test; none of grade 3. s3 has no first dose."""
    found = abnormalities(ALT)
    assert (found.emergent[ANY].count, found.emergent[ANY].n, found.emergent[ANY].events) == (1, 2, 1)
    assert (found.emergent[ANY_SEVERE].count, found.by_number) == (0, {"1": 1})


def test_several_tests_of_one_subject():
    """ALT 300 (grade 3) and AST 60 with ULN 40 (grade 1): one subject, two tests, one of them severe."""
    found = abnormalities("""
    s1 alt 2024-02-01 30  U/L 0 40 final
    s1 alt 2024-03-20 300 U/L 0 40 final
    s1 ast 2024-02-01 30  U/L 0 40 final
    s1 ast 2024-03-20 60  U/L 0 40 final
    """)
    assert (found.emergent[ANY].events, found.emergent[ANY_SEVERE].events, found.by_number) == (
        2,
        1,
        {"2": 1},
    )


def test_the_worst_of_a_low_direction_is_the_lowest_value():
    """Platelets 70 and 60 are both grade 2 (50 to 75): 60 is the worse one."""
    found = abnormalities("""
    s1 platelets 2024-03-20 70 10*9/L 150 400 final
    s1 platelets 2024-03-25 60 10*9/L 150 400 final
    """)
    assert [(row.row_id, row.grade, row.direction) for row in found.rows] == [("row-1", 2, "low")]


def test_of_equal_values_the_earliest_is_told():
    found = abnormalities("s1 alt 2024-04-20 150 U/L 0 40 final\ns1 alt 2024-03-20 150 U/L 0 40 final")
    assert [row.row_id for row in found.rows] == ["row-1"]


def test_without_a_baseline_nobody_knows_whether_it_is_new():
    """It is listed, and not among those who could have something new."""
    found = abnormalities("s1 alt 2024-03-20 150 U/L 0 40 final")
    assert [(row.baseline_grade, row.treatment_emergent) for row in found.rows] == [(None, None)]
    assert (found.emergent[ANY].n, found.emergent[ANY].percent) == (0, None)


@pytest.mark.parametrize(
    "text", ["s1 alt 2024-03-20 150 U/L - - final", "s1 alt 2024-03-20 30 U/L 0 40 final", ""]
)
def test_what_is_not_gradable_or_grade_0_is_no_abnormality(text):
    assert abnormalities(text).rows == ()


def test_a_study_without_treatment_has_none():
    assert derive_lab_abnormalities(grade_laboratory(cohort(), study(treatment=None), DATES)) is None
