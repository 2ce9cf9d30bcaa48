"""Hy's law: both limits, the fourteen days, and what cannot be assessed."""

import pytest

from fhiradapter.analysis.hys_law import derive_hys_law
from fhiradapter.results import HysLaw
from tests.spec.safety_tables import cohort, day, rows, study, timeline

DATES = timeline("""
s1 2024-03-01 2024-03-29 2024-12-31
s2 2024-03-01 2024-03-29 2024-12-31
s3 -          -          2024-12-31
""")
HEADER = "subject_id concept measured value range_high comparator status\n"
# ULN: ALT 40 (3 x = 120), AST 30 (3 x = 90), bilirubin 20 (2 x = 40), ALP 100 (2 x = 200).
NORMAL = "s2 alt 2024-03-20 30 40 - final\ns2 bilirubin_total 2024-03-20 10 20 - final\n"


def hys_law(text: str, **sections) -> HysLaw:
    made = cohort(measurements=rows(HEADER + text, kind="lab", unit="x"))
    found = derive_hys_law(made, study(**sections), DATES)
    assert found is not None
    return found


def test_both_limits_reached_on_one_day():
    """ALT 120 = 3 x 40 and bilirubin 40 = 2 x 20 on 20 March: the limits themselves count."""
    found = hys_law(NORMAL + "s1 alt 2024-03-20 120 40 - final\ns1 bilirubin_total 2024-03-20 40 20 - final")
    (case,) = found.cases
    assert (case.subject_id, case.aminotransferase) == ("s1", "alt")
    assert (case.aminotransferase_row_id, case.bilirubin_row_id) == ("row-2", "row-3")
    assert (case.aminotransferase_uln, case.bilirubin_uln, case.days_between) == (3.0, 2.0, 0)
    assert (case.aminotransferase_on, case.bilirubin_on) == (day("2024-03-20"), day("2024-03-20"))
    assert (found.subjects, found.assessable, found.not_assessable) == (2, 2, {})


@pytest.mark.parametrize(
    ("alt", "bilirubin", "later", "cases"),
    [
        (120, 40, "2024-04-03", 1),  # 14 days after 20 March
        (120, 40, "2024-04-04", 0),  # 15 days after
        (120, 40, "2024-03-19", 0),  # the day before
        (119.9, 40, "2024-03-20", 0),
        (120, 39.9, "2024-03-20", 0),
    ],
)
def test_both_sides_of_every_limit(alt, bilirubin, later, cases):
    """A normal bilirubin on the day of the ALT makes the subject one who can be judged."""
    found = hys_law(f"""
    s1 alt             2024-03-20 {alt} 40 - final
    s1 bilirubin_total 2024-03-20 10 20 - final
    s1 bilirubin_total {later} {bilirubin} 20 - final
    """)
    assert (len(found.cases), found.undecided) == (cases, ())


def test_ast_counts_like_alt_against_its_own_limit():
    """AST 90 = 3 x 30."""
    found = hys_law("s1 ast 2024-03-20 90 30 - final\ns1 bilirubin_total 2024-03-21 60 20 - final")
    assert [(case.aminotransferase, case.days_between) for case in found.cases] == [("ast", 1)]


def test_floating_point_decides_nothing():
    """3 x 0.1 is 0.30000000000000004 in a computer, and 0.3 is still 3 x ULN."""
    found = hys_law("s1 alt 2024-03-20 0.3 0.1 - final\ns1 bilirubin_total 2024-03-20 0.2 0.1 - final")
    assert len(found.cases) == 1


@pytest.mark.parametrize(("alp", "cholestatic"), [(200, True), (199, False)])
def test_alkaline_phosphatase_is_noted(alp, cholestatic):
    """2 x 100 speaks for cholestasis; one measured outside the two days does not count."""
    found = hys_law(f"""
    s1 alt             2024-03-20 200 40 - final
    s1 alp             2024-03-22 {alp} 100 - final
    s1 alp             2024-04-22 900 100 - final
    s1 bilirubin_total 2024-03-25 50 20 - final
    """)
    (case,) = found.cases
    assert (case.cholestatic, case.alkaline_phosphatase_row_id) == (cholestatic, "row-1")
    assert case.alkaline_phosphatase_uln == alp / 100


def test_without_alkaline_phosphatase_cholestasis_is_not_known():
    found = hys_law("s1 alt 2024-03-20 200 40 - final\ns1 bilirubin_total 2024-03-20 50 20 - final")
    assert (found.cases[0].cholestatic, found.cases[0].alkaline_phosphatase_row_id) == (None, None)


def test_a_raised_alt_without_a_bilirubin_soon_after_is_undecided():
    """The bilirubin of 15 days later says nothing about these 14 days."""
    found = hys_law("s1 alt 2024-03-20 200 40 - final\ns1 bilirubin_total 2024-04-04 10 20 - final")
    assert (found.cases, found.undecided, found.assessable) == ((), ("s1",), 0)


def test_without_a_limit_of_normal_a_subject_is_not_assessable():
    """ALT of 900 with no ULN is not a case and not a no."""
    found = hys_law(NORMAL + "s1 alt 2024-03-20 900 - - final\ns1 bilirubin_total 2024-03-20 90 20 - final")
    assert (found.cases, found.assessable, found.values_not_judged) == ((), 1, 1)
    assert found.not_assessable == {"no value with an upper limit of normal to hold it against": 1}


def test_a_limit_of_normal_of_zero_is_none():
    found = hys_law("s1 alt 2024-03-20 900 0 - final\ns1 bilirubin_total 2024-03-20 90 0 - final")
    assert (found.cases, found.assessable) == ((), 0)


def test_subjects_without_the_tests_are_counted_by_what_is_missing():
    """s1 has no bilirubin; s2 has no value at all, for which the aminotransferase is named first."""
    found = hys_law("s1 alt 2024-03-20 30 40 - final")
    assert found.not_assessable == {
        "no ALT or AST after the first dose": 1,
        "no total bilirubin after the first dose": 1,
    }
    assert (found.subjects, found.assessable) == (2, 0)


def test_values_at_or_before_the_first_dose_do_not_count():
    """The first dose is on 1 March at 09:00; a value of that day without a clock is taken as before it."""
    found = hys_law(
        "s1 alt 2024-03-01 200 40 - final\ns1 bilirubin_total 2024-03-01T08:00 50 20 - final\n"
        "s3 alt 2024-03-20 200 40 - final\ns3 bilirubin_total 2024-03-20 50 20 - final"
    )
    assert (found.cases, found.subjects, found.assessable) == ((), 2, 0)


@pytest.mark.parametrize(
    ("comparator", "value", "cases"),
    [(">", 120, 1), (">=", 120, 1), (">", 100, 0), ("<", 500, 0), ("<", 120, 0)],
)
def test_a_bound_counts_only_when_it_decides(comparator, value, cases):
    """ "> 120" is at least 3 x 40; "> 100" and "< 500" leave it open; "< 120" is below."""
    found = hys_law(
        f"s1 alt 2024-03-20 {value} 40 {comparator} final\ns1 bilirubin_total 2024-03-20 50 20 - final"
    )
    assert len(found.cases) == cases
    assert found.values_not_judged == (0 if cases or value == 120 else 1)


def test_a_cancelled_value_is_none():
    found = hys_law("s1 alt 2024-03-20 200 40 - cancelled\ns1 bilirubin_total 2024-03-20 50 20 - final")
    assert found.cases == ()


def test_each_subject_is_a_case_once_at_the_first_pair():
    found = hys_law("""
    s1 alt             2024-04-20 400 40 - final
    s1 bilirubin_total 2024-04-20 90  20 - final
    s1 alt             2024-03-20 200 40 - final
    s1 bilirubin_total 2024-03-22 50  20 - final
    """)
    assert [(case.aminotransferase_row_id, case.bilirubin_row_id) for case in found.cases] == [
        ("row-2", "row-3")
    ]


def test_a_study_without_treatment_and_a_cohort_without_values():
    """No treatment: not asked. No values: nobody can be assessed."""
    assert derive_hys_law(cohort(), study(treatment=None), DATES) is None
    assert hys_law("").assessable == 0
