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


def derive(values, *, study=None, doses=DOSES):
    study = study or study_of()
    lines = [f"{line} | {NFL}" for line in values.strip().splitlines()]
    rows = "\n".join(["subject_id | measured | value | comparator | unit | specimen | concept", *lines])
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
