"""Index dates of each subject."""

import pandas as pd
import pytest
from small_cohorts import cohort_of, study_of

from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort

STUDY = study_of()
SCORE = "subject_id | measured | value\ns1 | 2024-01-10 | 40"


def timeline(study=STUDY, **tables):
    return derive_timeline(cohort_of(**tables), study)


def onset(**tables):
    row = timeline(study_of(treated=False), **tables).loc["s1"]
    return (None if pd.isna(row["onset_on"]) else str(row["onset_on"].date())), row["notes"]


def test_doses_set_first_and_last():
    found = timeline(
        exposures="""
subject_id | started    | status           | dose_cells
s1         | 2024-03-01 | completed        | 1e8
s1         | 2024-01-01 | not-done         |
s1         | 2024-02-01 | completed        | 1e8
s1         | 2024-04-01 | stopped          | 2e7
s1         | 2024-05-01 | entered-in-error | 1e8
"""
    ).loc["s1"]
    assert found["doses"] == 3
    assert str(found["first_dose_on"].date()) == "2024-02-01"
    assert str(found["last_dose_on"].date()) == "2024-04-01"
    assert found["index_on"] == found["first_dose_on"]


def test_partial_date_does_not_move_the_first_dose_when_others_have_a_day():
    """ "2024" could be any day of the year: it counts as a dose and is noted."""
    found = timeline(exposures="subject_id | started\ns1 | 2024\ns1 | 2024-03-01").loc["s1"]
    assert found["doses"] == 2
    assert str(found["first_dose_on"].date()) == "2024-03-01"
    assert any("a dose has no day" in note for note in found["notes"])


def test_only_partial_doses_start_on_their_earliest_day():
    found = timeline(exposures="subject_id | started\ns1 | 2024-03").loc["s1"]
    assert str(found["first_dose_on"].date()) == "2024-03-01"
    assert any("earliest possible day" in note for note in found["notes"])


def test_doses_after_the_data_cut_are_not_counted():
    study = study_of(follow_up={"data_cut": "2024-02-01"})
    found = timeline(study, exposures="subject_id | started\ns1 | 2024-01-01\ns1 | 2024-03-01").loc["s1"]
    assert (found["doses"], found["notes"][-1]) == (1, "doses after the data cut are not counted")


@pytest.mark.parametrize(
    ("started", "expected", "sentence"),
    [
        ("2022-05-06", "2022-05-06", None),
        ("2022-05", "2022-05-01", "earliest possible day"),
        ("2022", "2022-01-01", "earliest possible day"),
        ("1900-01-01", None, "unknown date"),
        ("9999-12-30", None, "unknown date"),
        ("2024-01-11", None, "after the first score"),
        ("1969-12-31", None, "before birth"),
    ],
)
def test_onset_of_the_condition(started, expected, sentence):
    people = "subject_id | birth\ns1 | 1970-01-01"
    found, notes = onset(events=f"subject_id | started\ns1 | {started}", measurements=SCORE, subjects=people)
    assert found == expected
    assert (sentence is None and notes == ()) or any(sentence in note for note in notes)


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_refuted_condition_has_no_onset(status):
    events = f"subject_id | started | status\ns1 | 2022-05-06 | {status}"
    assert onset(events=events, measurements=SCORE)[0] is None


def test_symptom_onset_goes_before_the_condition():
    """The condition's date may be that of the diagnosis."""
    answer = SCORE.replace("value", "value | concept | value_text").replace("40", "40 | alsfrs_r_total |")
    answer += "\ns1 | 2024-01-10 | | symptom_onset | 2021-03-04"
    found, notes = onset(events="subject_id | started\ns1 | 2022-05-06", measurements=answer)
    assert found == "2021-03-04"
    assert any("several onset dates" in note for note in notes)


def test_unreadable_symptom_onset_is_told():
    answer = "subject_id | measured | concept | value_text\ns1 | 2024-01-10 | symptom_onset | last spring"
    found, notes = onset(measurements=answer)
    assert found is None
    assert any("it is no date" in note for note in notes)


@pytest.mark.parametrize(
    ("person", "death_on"),
    [
        ("deceased\ns1 | yes", None),
        ("death\ns1 | 2024-05-06", "2024-05-06"),
        ("death\ns1 | 2024", "2024-01-01"),
    ],
)
def test_death_is_known_by_the_patient(person, death_on):
    """True without a date is not alive."""
    found = timeline(subjects=f"subject_id | {person}").loc["s1"]
    assert found["died"]
    assert (None if pd.isna(found["death_on"]) else str(found["death_on"].date())) == death_on
    assert bool(found["notes"]) == (death_on != "2024-05-06")


def test_death_event_counts_and_a_contradiction_is_told():
    found = timeline(
        subjects="subject_id | deceased\ns1 | no",
        events="subject_id | kind | concept | started\ns1 | death | | 2024-05-06",
    ).loc["s1"]
    assert (found["died"], str(found["death_on"].date())) == (True, "2024-05-06")
    assert any("counted as dead" in note for note in found["notes"])


def test_death_after_the_data_cut_is_alive_at_the_cut():
    study = study_of(follow_up={"data_cut": "2024-04-01"})
    found = timeline(study, subjects="subject_id | death\ns1 | 2024-05-06").loc["s1"]
    assert not found["died"]
    assert any("alive at the cut" in note for note in found["notes"])


def test_death_before_the_first_dose_is_told():
    found = timeline(
        subjects="subject_id | death\ns1 | 2023-05-06", exposures="subject_id | started\ns1 | 2024-01-01"
    ).loc["s1"]
    assert "death is dated before the first dose" in found["notes"]


VISITS = """
subject_id | started    | ended      | status
s1         | 2024-06-01 | 2024-06-02 | finished
s1         | 2024-12-01 |            | planned
s1         | 2025-12-01 |            | finished
"""


@pytest.mark.parametrize(
    ("cut", "death", "expected"),
    [
        (None, "", "2025-12-01"),
        ("2024-12-31", "", "2024-06-02"),
        ("2024-06-01", "", "2024-06-01"),
        (None, "2024-06-01", "2024-06-01"),
    ],
)
def test_last_contact_is_the_last_day_somebody_was_seen(cut, death, expected):
    """A planned visit is no contact, nor is a day after the cut or after death."""
    study = study_of(follow_up={"data_cut": cut} if cut else {})
    found = timeline(
        study, encounters=VISITS, measurements=SCORE, subjects=f"subject_id | death\ns1 | {death}"
    )
    assert str(found.loc["s1", "last_contact_on"].date()) == expected


def test_score_dated_after_it_was_recorded_is_no_contact():
    """A visit of 2099 that was recorded in 2024."""
    rows = "subject_id | measured | value | last_updated\ns1 | 2024-01-10 | 40 | 2024-01-11\n"
    found = timeline(measurements=rows + "s1 | 2099-01-10 | 39 | 2024-01-11").loc["s1"]
    assert str(found["last_contact_on"].date()) == "2024-01-10"
    assert str(found["last_score_on"].date()) == "2024-01-10"


def test_everybody_with_a_row_is_a_subject():
    """One by a Patient only, one by a score only, none for a Patient that was merged into another."""
    found = timeline(
        subjects="subject_id | sex | replaced_by\na | male |\nb | female | c\nc | female |\nd | male | d",
        measurements="subject_id | measured | value\ne | 2024-01-10 | 40\nd | 2024-01-10 | 40",
    )
    assert found.index.tolist() == ["a", "c", "d", "e"]
    assert found["notes"]["e"] == ("no Patient resource was received",)
    assert found["sex"]["d"] == "male"


def test_study_file_selects_subjects_and_gives_arms():
    study = study_of(subjects={"ids": ["b"], "arms": {"b": "active"}})
    found = timeline(study, subjects="subject_id\na\nb")
    assert found["arm"].to_dict() == {"b": "active"}


def test_empty_cohort_has_an_empty_timeline():
    found = derive_timeline(Cohort.from_rows({}), STUDY)
    assert len(found) == 0
    assert {"first_dose_on", "onset_on", "index_on", "died", "notes"} <= set(found.columns)
