"""Ratios to baseline of log-normal biomarkers."""

import numpy as np
import pytest
from scipy import stats
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort

NFL = "nfl_serum_plasma"
DOSES = "subject_id | started\na | 2024-01-10T10:00:00\nb | 2024-01-10T10:00:00\nb | 2024-02-10\n"


def derive(values, *, study=None, doses=DOSES, more=""):
    study = study or study_of()
    lines = [f"{line} | {NFL}" for line in values.strip().splitlines()]
    columns = f"subject_id | measured | value | comparator | unit | specimen {more}| concept"
    rows = "\n".join([columns, *lines])
    cohort = cohort_of(measurements=rows, exposures=doses)
    return derive_biomarkers(cohort, study, derive_timeline(cohort, study))


TWO = """
a | 2023-12-01 | 90 |  | pg/mL | plasma
a | 2024-01-10 | 80 |  | pg/mL | plasma
a | 2024-06-01 | 40 |  | pg/mL | plasma
b | 2024-01-01 | 20 |  | pg/mL | plasma
b | 2024-02-20 | 30 |  | pg/mL | plasma
b | 2024-09-01 | 20 |  | pg/mL | plasma
"""


def test_ratio_is_geometric():
    """40/80 and 20/20: sqrt(0.5) = 0.707107, -29.3 %; baseline sqrt(80 x 20) = 40."""
    found = derive(TWO)[NFL]
    assert (found.n, found.matrix, found.unit) == (2, "plasma", "pg/mL")
    assert found.gmr == pytest.approx(0.5**0.5)
    assert found.percent_change == pytest.approx(100 * (0.5**0.5 - 1))
    assert found.baseline_geometric_mean == pytest.approx(40)
    interval = stats.ttest_1samp(np.log([0.5, 1.0]), 0).confidence_interval(0.95)
    assert found.ci95 == pytest.approx((np.exp(interval.low), np.exp(interval.high)))
    assert [value.is_baseline for value in found.series] == [False, True, False, True, False, False]
    assert [value.ratio for value in found.series][:3] == pytest.approx([90 / 80, 1, 0.5])


def test_last_on_treatment_ends_with_the_washout():
    """b: last dose 2024-02-10 + 30 days, so 30/20; a: nothing between 2024-01-10 and 2024-02-09."""
    found = derive(TWO, study=study_of(biomarkers={"compare": "last_on_treatment"}))[NFL]
    assert found.n == 1
    assert found.gmr == pytest.approx(1.5)
    assert found.ci95 is None
    assert [(row.subject_id, row.reason) for row in found.excluded] == [
        ("a", "no value between the first dose and the end of treatment")
    ]


def test_value_after_the_infusion_began_is_no_baseline():
    """Drawn at 14:00, infused at 10:00 of that day; a sample of 09:00 is baseline."""
    late = derive("a | 2024-01-10T14:00:00 | 80 | | pg/mL | plasma")[NFL]
    assert {row.subject_id: row.reason for row in late.excluded}[
        "a"
    ] == "no value at or before the first dose"
    early = derive("a | 2024-01-10T09:00:00 | 80 | | pg/mL | plasma")[NFL]
    assert {row.subject_id: row.reason for row in early.excluded}["a"] == "no value after the first dose"


SERUM_OF_A = "a | 2024-01-01 | 10 | | pg/mL | serum\na | 2024-06-01 | 30 | | pg/mL | serum\n"


def test_matrices_are_series_of_their_own_and_the_one_of_most_subjects_keeps_the_name():
    """Plasma of a and b, serum of a alone: plasma is the concept's, 0.7071; serum 30/10."""
    found = derive(TWO + SERUM_OF_A)
    assert [(key, result.matrix) for key, result in found.items()] == [
        (NFL, "plasma"),
        (f"{NFL}:serum", "serum"),
    ]
    assert found[NFL].gmr == pytest.approx(0.5**0.5)
    assert found[f"{NFL}:serum"].gmr == pytest.approx(3)


def test_subjects_count_and_not_values():
    """Three values of a in plasma, one of a and one of b in serum: serum has the name."""
    plasma = "".join(line + "\n" for line in TWO.strip().splitlines() if line.startswith("a"))
    found = derive(plasma + "a | 2024-01-01 | 10 | | pg/mL | serum\nb | 2024-01-01 | 9 | | pg/mL | serum")
    assert {key: result.matrix for key, result in found.items()} == {NFL: "serum", f"{NFL}:plasma": "plasma"}


def test_of_matrices_with_as_many_subjects_the_first_in_the_alphabet_has_the_name():
    """One subject each in serum, CSF and an unknown matrix."""
    rest = "a | 2024-01-01 | 900 | | pg/mL | csf\nb | 2024-01-01 | 9 | | pg/mL |"
    found = derive(SERUM_OF_A + rest)
    assert {key: result.matrix for key, result in found.items()} == {
        NFL: "csf",
        f"{NFL}:serum": "serum",
        f"{NFL}:unspecified": None,
    }


def test_below_the_limit_is_half_of_it_and_flagged():
    """<10 after 80: 5/80."""
    values = "a | 2024-01-01 | 80 | | pg/mL | plasma\na | 2024-06-01 | 10 | < | pg/mL | plasma"
    found = derive(values)[NFL]
    assert found.gmr == pytest.approx(5 / 80)
    assert [value.below_limit for value in found.series] == [False, True]
    assert found.notes == {"half_limit": 1}


def test_below_the_limit_may_be_excluded():
    values = "a | 2024-01-01 | 80 | | pg/mL | plasma\na | 2024-06-01 | 10 | < | pg/mL | plasma"
    found = derive(values, study=study_of(biomarkers={"below_limit": "exclude"}))[NFL]
    assert (found.n, found.gmr, found.notes) == (0, None, {"below_limit": 1})
    assert found.excluded[0].reason == "no value after the first dose; 1 left out: below_limit"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("10 | > | pg/mL", "above_limit"),
        ("0 | | pg/mL", "not_positive"),
        ("-1 | | pg/mL", "not_positive"),
        ("10 | | ng/mL", "other_unit"),
        (" | | pg/mL", "no_value"),
    ],
)
def test_value_that_has_no_logarithm_or_unit_is_left_out_with_its_reason(value, reason):
    values = "a | 2024-01-01 | 80 | | pg/mL | plasma\na | 2023-01-01 | 80 | | pg/mL | plasma\n"
    values += f"a | 2024-06-01 | {value} | plasma"
    found = derive(values)[NFL]
    assert found.notes == {reason: 1}
    assert found.excluded[0].reason == f"no value after the first dose; 1 left out: {reason}"


def test_without_treatment_the_first_value_is_baseline():
    found = derive(TWO, study=study_of(treated=False), doses="subject_id | started")[NFL]
    assert found.gmr == pytest.approx((40 / 90 * 20 / 20) ** 0.5)


def test_one_value_gives_no_ratio():
    found = derive("a | 2024-06-01 | 40 | | pg/mL | plasma", study=study_of(treated=False))[NFL]
    assert {row.subject_id: row.reason for row in found.excluded} == {
        "a": "only one time with a value",
        "b": "no usable value",
    }


def test_biomarker_without_any_value_is_still_reported():
    study = study_of()
    found = derive_biomarkers(Cohort.from_rows({}), study, derive_timeline(Cohort.from_rows({}), study))
    assert (found[NFL].n, found[NFL].gmr, found[NFL].series) == (0, None, ())


BY_METHOD = """
a | 2024-01-01 | 80 |  | pg/mL | plasma | Simoa
a | 2024-06-01 | 40 |  | pg/mL | plasma | Simoa
a | 2024-06-02 | 90 |  | pg/mL | plasma | ELISA
b | 2024-01-01 | 20 |  | pg/mL | plasma | Simoa
b | 2024-06-01 | 20 |  | pg/mL | plasma | Simoa
"""


def test_methods_of_a_matrix_are_series_of_their_own():
    """Simoa of a and b: sqrt(40/80 x 20/20); the ELISA value of a has no baseline by its own method."""
    found = derive(BY_METHOD, more="| method ")
    assert {key: (result.matrix, result.method) for key, result in found.items()} == {
        NFL: ("plasma", "Simoa"),
        f"{NFL}:plasma:ELISA": ("plasma", "ELISA"),
    }
    assert found[NFL].gmr == pytest.approx(0.5**0.5)
    assert {row.subject_id: row.reason for row in found[f"{NFL}:plasma:ELISA"].excluded} == {
        "a": "no value at or before the first dose",
        "b": "no usable value",
    }


def test_values_without_method_are_apart_only_where_others_state_one():
    """Serum never states a method and is one series; in plasma the value without one is apart."""
    rest = "a | 2024-05-01 | 70 | | pg/mL | plasma |\na | 2024-01-01 | 9 | | pg/mL | serum |\n"
    found = derive(BY_METHOD + rest, more="| method ")
    assert list(found) == [NFL, f"{NFL}:plasma:ELISA", f"{NFL}:plasma:unspecified", f"{NFL}:serum"]
    assert [len(result.series) for result in found.values()] == [4, 1, 1, 1]
    assert found[f"{NFL}:serum"].method is None


def test_one_method_everywhere_keeps_the_keys_of_the_matrices():
    rows = BY_METHOD.replace("ELISA", "Simoa") + "a | 2024-01-01 | 9 | | pg/mL | serum | Simoa\n"
    assert list(derive(rows, more="| method ")) == [NFL, f"{NFL}:serum"]


def test_a_value_left_out_is_told_with_its_method():
    """ELISA has a value above its limit beside a usable one; Simoa has nothing left out."""
    rows = BY_METHOD + "a | 2024-01-01 | 99 | > | pg/mL | plasma | ELISA\n"
    found = derive(rows, more="| method ")
    assert (found[NFL].notes, found[f"{NFL}:plasma:ELISA"].notes) == ({}, {"above_limit": 1})


MONTHS = {
    "visits": [
        {"label": "Month 1", "day": 30, "early_days": 5, "late_days": 5},
        {"label": "Month 3", "day": 91, "early_days": 14, "late_days": 14},
        {"label": "Month 6", "day": 183, "early_days": 14, "late_days": 14},
    ]
}
# First doses on 2024-01-10: day 91 is 2024-04-10, day 183 is 2024-07-11.
AT_VISITS = """
a | 2024-01-10 | 80 |   | pg/mL | plasma
a | 2024-04-01 | 40 |   | pg/mL | plasma
a | 2024-04-12 | 60 |   | pg/mL | plasma
a | 2024-07-11 | 20 |   | pg/mL | plasma
b | 2024-01-05 | 30 |   | pg/mL | plasma
b | 2024-04-10 | 30 | < | pg/mL | plasma
b | 2024-05-20 | 99 |   | pg/mL | plasma
"""


def at_visits(values=AT_VISITS, **policies):
    found = derive(values, study=study_of(biomarkers={**MONTHS, **policies}))[NFL]
    return found, {visit.label: visit for visit in found.visits}


def test_ratio_at_a_visit_is_geometric_with_its_t_interval():
    """Month 3: a 60/80 (day 93 is nearer than day 82), b half of 30 to 30.

    ln 0.75 = -0.287682 and ln 0.5 = -0.693147: mean -0.490415, sd 0.286707, se 0.202733; t(1) = 12.7062.
    """
    visit = at_visits()[1]["Month 3"]
    assert (visit.day, visit.early_days, visit.late_days, visit.subjects, visit.n) == (91, 14, 14, 2, 2)
    assert visit.gmr == pytest.approx((0.75 * 0.5) ** 0.5)
    assert visit.ci95 == pytest.approx(np.exp([-0.490415 - 2.575985, -0.490415 + 2.575985]), rel=1e-4)
    assert visit.geometric_mean == pytest.approx((60 * 15) ** 0.5)
    assert visit.percent_change == pytest.approx(100 * (0.375**0.5 - 1))
    assert (visit.below_limit, visit.note) == (1, None)


def test_visit_that_nobody_came_to_is_shown_with_nobody():
    _, visits = at_visits()
    assert list(visits) == ["Month 1", "Month 3", "Month 6"]
    assert (visits["Month 1"].subjects, visits["Month 1"].n, visits["Month 1"].gmr) == (0, 0, None)
    assert visits["Month 1"].note == "no value at this visit"


def test_one_subject_at_a_visit_has_a_ratio_and_no_interval():
    """Month 6: 20/80 of a alone."""
    visit = at_visits()[1]["Month 6"]
    assert (visit.n, visit.gmr, visit.ci95) == (1, pytest.approx(0.25), None)
    assert visit.note == "only one subject, so no interval"


def test_values_that_stand_for_no_visit_are_counted():
    """Of a day 82 is the farther from 91; of b day 131 is in no window; each baseline has its place."""
    found, _ = at_visits()
    assert found.notes == {"half_limit": 1, "unscheduled": 1, "not_nearest_to_visit": 1}
    assert [(value.value, value.visit) for value in found.series] == [
        (80, None),
        (40, None),
        (60, "Month 3"),
        (20, "Month 6"),
        (30, None),
        (15, "Month 3"),
        (99, None),
    ]


def test_value_below_the_limit_that_is_left_out_is_not_at_its_visit():
    """Without the value of b month 3 is 60/80 of a alone."""
    found, visits = at_visits(below_limit="exclude")
    month_3 = visits["Month 3"]
    assert (month_3.subjects, month_3.below_limit, month_3.gmr) == (1, 0, pytest.approx(0.75))
    assert found.notes["below_limit"] == 1


def test_zero_and_negative_values_are_at_no_visit():
    values = "a | 2024-01-10 | 80 | | pg/mL | plasma\na | 2024-04-10 | {} | | pg/mL | plasma"
    for value in (0, -4):
        found, visits = at_visits(values.format(value))
        assert (visits["Month 3"].subjects, found.notes) == (0, {"not_positive": 1})


def test_visit_of_a_subject_without_baseline_has_a_value_and_no_ratio():
    visit = at_visits("a | 2024-04-10 | 50 | | pg/mL | plasma")[1]["Month 3"]
    assert (visit.subjects, visit.n, visit.geometric_mean, visit.gmr) == (1, 0, pytest.approx(50), None)
    assert visit.note == "no subject with a value at this visit has a baseline"


def test_subject_without_dose_or_score_has_no_visit():
    """c was never dosed or scored: nothing to count days from."""
    found, visits = at_visits("c | 2024-04-10 | 50 | | pg/mL | plasma")
    assert (visits["Month 3"].subjects, found.notes) == (0, {"no_index_date": 1})
    assert {row.subject_id: row.reason for row in found.excluded}["c"] == (
        "no dose of the study's product is dated"
    )


def test_planned_infusions_are_the_visits_by_default():
    """Weekly doses on days 0, 7, 14: a has a value on day 7, nobody one on day 14."""
    schedule = {"concept": "treg_cells", "schedule": [{"count": 3, "every": "week"}]}
    study = study_of(treated=False, treatment=schedule)
    values = "a | 2024-01-10 | 80 | | pg/mL | plasma\na | 2024-01-17 | 40 | | pg/mL | plasma"
    found = derive(values, study=study)[NFL]
    assert [(visit.label, visit.day, visit.n, visit.gmr) for visit in found.visits] == [
        ("Infusion 2", 7, 1, pytest.approx(0.5)),
        ("Infusion 3", 14, 0, None),
    ]


def test_matrices_have_visits_of_their_own():
    """Serum 30/10 at month 3; plasma as before."""
    serum = "a | 2024-01-01 | 10 | | pg/mL | serum\na | 2024-04-10 | 30 | | pg/mL | serum\n"
    found = derive(AT_VISITS + serum, study=study_of(biomarkers=MONTHS))
    assert found[f"{NFL}:serum"].visits[1].gmr == pytest.approx(3)
    assert found[NFL].visits[1].gmr == pytest.approx(0.375**0.5)
