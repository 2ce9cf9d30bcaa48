"""Who was studied, as they were at baseline."""

import pytest
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.baseline import derive_cohort_summary
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort


def summary(study=None, **tables):
    study = study or study_of()
    cohort = cohort_of(**tables)
    return derive_cohort_summary(cohort, study, derive_timeline(cohort, study), derive_scores(cohort, study))


PEOPLE = """
subject_id | sex    | birth
s1         | female | 1970-05-06
s2         | male   | 1960
s3         |        |
"""
DOSES = "subject_id | started\ns1 | 2024-05-05\ns2 | 2024-05-05"
SCORES = """
subject_id | measured   | value
s1         | 2024-01-01 | 40
s1         | 2024-05-05 | 36
s1         | 2025-05-05 | 30
s2         | 2024-05-06 | 28
s3         | 2024-02-01 | 44
s3         | 2024-03-01 | 43
"""
ONSETS = "subject_id | started\ns1 | 2023-05-06\ns2 | 2024-04-20\ns3 | 2023-02-01"


@pytest.fixture
def found():
    arms = {"s1": "active", "s2": "active", "s3": "placebo"}
    study = study_of(subjects={"arms": arms})
    return summary(study, subjects=PEOPLE, exposures=DOSES, measurements=SCORES, events=ONSETS)


def subject(found, subject_id):
    [row] = [row for row in found.subjects if row.subject_id == subject_id]
    return row


def test_age_is_in_completed_years_at_the_first_dose(found):
    """Born 1970-05-06, dosed on 2024-05-05: 53, one day short of 54."""
    assert subject(found, "s1").age == 53


def test_partial_birth_date_gives_the_age_of_the_earliest_birthday(found):
    """1960 is taken as 1960-01-01: 64, and said so."""
    assert subject(found, "s2").age == 64
    assert any("earliest possible birthday" in note for note in subject(found, "s2").notes)


def test_missing_birth_date_is_told(found):
    assert subject(found, "s3").age is None
    assert "no birth date: no age" in subject(found, "s3").notes
    assert (found.age.n, found.age.median, found.age.min, found.age.max) == (2, 58.5, 53, 64)


def test_baseline_score_is_the_last_until_the_day_of_the_first_dose(found):
    """s1: 36 on the day; s2: only a later one; s3 without a dose: the first."""
    assert [row.baseline_score for row in found.subjects] == [36, None, 44]
    assert any("no score at or before the first dose" in note for note in subject(found, "s2").notes)


def test_delta_fs_from_onset_to_the_baseline_score(found):
    """s1: 12 points in 365 days; s3: 4 points in 365 days."""
    assert subject(found, "s1").delta_fs == pytest.approx(12 / (365 / 30.4375))
    assert subject(found, "s3").delta_fs == pytest.approx(4 / (365 / 30.4375))
    assert subject(found, "s2").delta_fs is None


def test_delta_fs_over_less_than_two_months_is_flagged():
    """30 days since onset."""
    score = "subject_id | measured | value\ns1 | 2024-01-31 | 44"
    row = summary(study_of(treated=False), measurements=score, events="subject_id | started\ns1 | 2024-01-01")
    assert row.subjects[0].delta_fs == pytest.approx(4 / (30 / 30.4375))
    assert "delta-FS rests on less than 2 months" in row.subjects[0].notes


def test_follow_up_counts_those_with_enough_of_it(found):
    """s1: 365 days; s2: 1 day; s3: 29 days from its first score. Only s1 reaches 6 months."""
    months = [row.follow_up_months for row in found.subjects]
    assert months == pytest.approx([365 / 30.4375, 1 / 30.4375, 29 / 30.4375])
    assert [row.follow_up_adequate for row in found.subjects] == [True, False, False]
    assert (found.follow_up_months.n, found.follow_up_months.median) == (1, pytest.approx(365 / 30.4375))


def test_follow_up_ends_with_death():
    people = "subject_id | death\ns1 | 2024-06-04"
    found = summary(subjects=people, exposures="subject_id | started\ns1 | 2024-05-05", measurements=SCORES)
    row = subject(found, "s1")
    assert row.follow_up_months == pytest.approx(30 / 30.4375)
    assert (found.deaths, row.died) == (1, True)


def test_counts_and_table(found):
    assert (found.n, found.sex, found.arms) == (
        3,
        {"female": 1, "male": 1, "unknown": 1},
        {"active": 2, "placebo": 1},
    )
    table = {(row.name, row.level): row for row in found.baseline_table}
    assert table["age", None].value == "58.5 (53-64)"
    assert (table["age", None].n, table["age", None].missing) == (2, 1)
    assert table["arm", "active"].value == "2 (67 %)"
    assert table["baseline score", None].value == "40 (36-44)"
    assert table["delta-FS", None].unit == "points/month"


def test_baseline_of_each_biomarker_is_in_the_table_with_its_matrix():
    """The value before the first dose, 81.5; which matrix it is in stands in the row's name."""
    rows = """
subject_id | measured   | value | concept          | specimen | unit
s1         | 2024-05-01 | 81.5  | nfl_serum_plasma | plasma   | pg/mL
s1         | 2024-09-01 | 70    | nfl_serum_plasma | plasma   | pg/mL
"""
    found = summary(measurements=rows, exposures="subject_id | started\ns1 | 2024-05-05")
    [row] = [row for row in found.baseline_table if row.name.startswith("nfl")]
    assert row.name == "nfl_serum_plasma:plasma at baseline"
    assert (row.value, row.unit, row.n) == ("81.5 (81.5-81.5)", "pg/mL", 1)


def test_dates_in_the_future_give_no_age_and_no_follow_up_below_zero():
    """Born after the first dose."""
    people = "subject_id | birth\ns1 | 2030-01-01"
    found = summary(subjects=people, exposures="subject_id | started\ns1 | 2024-05-05")
    assert found.subjects[0].age is None
    assert any("birth lies after" in note for note in found.subjects[0].notes)
    assert found.subjects[0].follow_up_months == 0


def test_empty_cohort_counts_nobody():
    study, cohort = study_of(), Cohort.from_rows({})
    found = derive_cohort_summary(cohort, study, derive_timeline(cohort, study), derive_scores(cohort, study))
    assert (found.n, found.age.n, found.age.median, found.subjects) == (0, 0, None, ())
