"""Each subject's stages over time, steps between them, and the time to a stage."""

import json

import pytest
from small_cohorts import moments, study_of
from staged_cohorts import UNTREATED, course, days, item_rows, staged, staging_or_note

from fhiradapter.analysing import analyse
from fhiradapter.analysis.stage_times import DEATH_FIRST, NO_BASELINE, NO_STAGE
from fhiradapter.analysis.staging import NO_ITEMS, NO_USABLE_ITEMS, ONLY_TOTALS
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Results

MONTH = 30.4375

# MiToS 0, 1 (walking 1), 2 (and swallowing 1), 1 again; King's 1, 2, 2 (bulbar and leg), 2.
COURSE = """
subject_id | measured   | items
s1         | 2024-01-01 | 344 444 444 444
s1         | 2024-02-01 | 344 444 414 444
s1         | 2024-03-01 | 341 444 414 444
s1         | 2024-04-01 | 343 444 414 444
"""
TREATED = study_of()


def times(staging, system="mitos"):
    """Stage: at risk, there before, reached, of these by death."""
    return {
        time.stage: (time.subjects, time.already, time.events, time.deaths)
        for time in staging.systems[system].times
    }


def median(staging, stage, system="mitos"):
    """Kaplan-Meier median in days."""
    [time] = [time for time in staging.systems[system].times if time.stage == stage]
    return None if time.median is None else round(time.median * MONTH, 6)


def steps(staging, system="mitos"):
    return {(step.before, step.after): step.count for step in staging.systems[system].steps}


def test_baseline_last_and_worst_stage_of_an_untreated_subject():
    """The first, the last and the highest of 0, 1, 2, 1; one step back."""
    staging = staged(COURSE)
    assert course(staging, "mitos") == ("0", "1", "2", 1)
    assert course(staging, "kings") == ("1", "2", "2", 0)
    assert [one.mitos for one in staging.assessments] == ["0", "1", "2", "1"]


def test_items_of_two_people_with_one_parent_are_two_assessments():
    """A questionnaire is of one person: what a source sends under one id for two is never mixed."""
    rows = item_rows("subject_id | measured | items\ns1 | 2024-01-01 | 444 444 444 444")
    rows += item_rows("subject_id | measured | items\ns2 | 2024-01-01 | 222 222 222 222")
    assert {row["parent_id"] for row in rows} == {"panel-0"}
    staging, _ = staging_or_note(rows)
    found = [(one.subject_id, one.bulbar, one.gross_motor) for one in staging.assessments]
    assert found == [("s1", 12, 12), ("s2", 6, 6)]


def test_steps_back_are_kept_and_counted():
    staging = staged(COURSE)
    assert steps(staging) == {("0", "1"): 1, ("1", "2"): 1, ("2", "1"): 1}
    assert steps(staging, "kings") == {("1", "2"): 1, ("2", "2"): 2}
    assert (staging.systems["mitos"].steps_back, staging.systems["mitos"].subjects_back) == (1, 1)


def test_stage_4a_and_4b_are_one_level():
    """From 4B to 4A is a step to another stage, and no step back."""
    staging = staged(
        """
subject_id | measured   | form | items
s1         | 2024-01-01 | 5b   | 344 444 444 443
s1         | 2024-02-01 | 5b   | 344 444 444 444
"""
    )
    assert course(staging, "kings") == ("4B", "4A", "4B", 0)
    assert steps(staging, "kings") == {("4B", "4A"): 1}
    assert times(staging, "kings")["4"] == (0, 1, 0, 0)


def test_baseline_of_a_treated_subject_is_the_last_stage_until_the_first_dose():
    """The dose is given on the day of the second assessment."""
    staging = staged(COURSE, study=TREATED, doses="s1 2024-02-01")
    assert course(staging, "mitos")[0] == "1"
    assert [one.months for one in staging.assessments][1] == 0


def test_without_a_stage_until_the_first_dose_there_is_no_baseline():
    """It may have been at any stage before, so it is in no estimate of time."""
    staging = staged(COURSE, study=TREATED, doses="s1 2023-12-31")
    assert course(staging, "mitos") == (None, "1", "2", 1)
    assert [one.reason for one in staging.systems["mitos"].excluded] == [NO_BASELINE]
    assert times(staging)["1"] == (0, 0, 0, 0)


def test_time_runs_from_the_first_dose():
    """Dose on 10 January, stage 1 on 1 February: 22 days; stage 2 on 1 March: 51 days."""
    staging = staged(COURSE, study=TREATED, doses="s1 2024-01-10")
    assert times(staging)["1"] == (1, 0, 1, 0)
    assert median(staging, "1") == 22
    assert median(staging, "2") == 51
    assert median(staging, "3") is None


def test_time_runs_from_the_first_stage_without_a_dose():
    """1 January to 1 February is 31 days, to 1 March 60 days in 2024."""
    staging = staged(COURSE)
    assert (median(staging, "1"), median(staging, "2")) == (31, 60)


def test_who_is_there_at_the_start_is_counted_and_not_at_risk():
    staging = staged(COURSE, study=TREATED, doses="s1 2024-02-15")
    assert times(staging)["1"] == (0, 1, 0, 0)
    assert times(staging)["2"] == (1, 0, 1, 0)


def test_every_subject_is_at_risk_there_before_or_excluded():
    """s2 begins at stage 1, s3 has one item only."""
    staging = staged(
        COURSE + "s2 | 2024-02-01 | 343 444 414 444\n" + "s3 | 2024-02-01 | 4.. ... ... ...\n",
    )
    system = staging.systems["mitos"]
    assert [(one.subject_id, one.reason) for one in system.excluded] == [("s3", NO_STAGE)]
    assert times(staging)["1"] == (1, 1, 1, 0)
    assert {time.subjects + time.already for time in system.times} == {2}


DEAD = """
subject_id | measured   | items
s1         | 2024-01-01 | 444 444 444 444
s1         | 2024-02-01 | 444 444 414 444
"""


def test_death_is_stage_5_and_reaches_every_stage():
    """Stage 1 is seen after 31 days; death after 91 days reaches 2 to 5."""
    staging = staged(DEAD, deaths="s1 2024-04-01")
    assert days("2024-01-01", "2024-04-01") == 91
    assert course(staging, "mitos") == ("0", "5", "5", 0)
    assert course(staging, "kings") == ("0", "5", "5", 0)
    assert steps(staging) == {("0", "1"): 1, ("1", "5"): 1}
    assert times(staging) == {
        "1": (1, 0, 1, 0),
        "2": (1, 0, 1, 1),
        "3": (1, 0, 1, 1),
        "4": (1, 0, 1, 1),
        "5": (1, 0, 1, 1),
    }
    assert [median(staging, stage) for stage in "125"] == [31, 91, 91]


def test_a_death_without_a_date_follows_the_policy_of_survival():
    """On the last contact, 31 days, or in no estimate; the last stage is 5 in both."""
    staging = staged(DEAD, deaths="s1")
    assert course(staging, "mitos") == ("0", "5", "5", 0)
    assert median(staging, "5") == 31
    study = study_of(treated=False, survival={"undated_death": "exclude"})
    excluded = staged(DEAD, deaths="s1", study=study)
    assert course(excluded, "mitos") == ("0", "5", "5", 0)
    assert times(excluded)["5"] == (0, 0, 0, 0)
    assert len(excluded.systems["mitos"].excluded) == 1


def test_a_death_known_by_year_is_not_before_the_last_assessment():
    """Died in 2024, seen on 1 February: the earliest day that fits is 31 days after the first one."""
    assert median(staged(DEAD, deaths="s1 2024"), "5") == 31


def test_death_before_the_first_dose_has_no_time():
    staging = staged(DEAD, study=TREATED, doses="s1 2024-05-01", deaths="s1 2024-04-01")
    assert [one.reason for one in staging.systems["mitos"].excluded] == [DEATH_FIRST]


def test_assessments_after_death_are_left_out_and_counted():
    """Twelve items of 1 February."""
    staging = staged(DEAD, deaths="s1 2024-01-15")
    assert len(staging.assessments) == 1
    assert staging.notes == {"after_death": 12}


def test_one_assessment_is_baseline_last_and_worst():
    staging = staged("subject_id | measured | items\ns1 | 2024-01-01 | 344 444 414 444")
    assert course(staging, "mitos") == ("1", "1", "1", 0)
    assert course(staging, "kings") == ("2", "2", "2", 0)
    assert steps(staging) == {}
    assert times(staging)["2"] == (1, 0, 0, 0)


SEVERAL = """
subject_id | measured   | items
s1         | 2024-01-01 | 444 444 444 444
s1         | 2024-01-31 | 444 444 414 444
s2         | 2024-01-01 | 444 444 444 444
s2         | 2024-03-01 | 444 444 414 444
s3         | 2024-01-01 | 444 444 444 444
s3         | 2024-02-10 | 444 444 444 444
"""


def test_kaplan_meier_of_three_subjects():
    """Stage 1 after 30 and 60 days, one subject without it until day 40: S = 2/3, then 2/3 (1 - 1/1) = 0.

    The median is 60 days, the first time with S at most 1/2. At risk after 0 and 1 month (30.4375 days): all
    three; then those of day 40 and 60.
    """
    staging = staged(SEVERAL)
    assert times(staging)["1"] == (3, 0, 2, 0)
    assert median(staging, "1") == 60
    [time] = [time for time in staging.systems["mitos"].times if time.stage == "1"]
    assert staging.systems["mitos"].at_risk_months == (0, 1)
    assert time.at_risk == (3, 2)


RATERS = """
subject_id | measured            | performer | items
s1         | 2024-01-01T09:00:00 | a         | 444 444 414 444
s1         | 2024-01-01T11:00:00 | b         | 441 444 414 444
s1         | 2024-02-01          | a         | 444 444 444 444
"""


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("mean", ("1", "0", "1", 1)), ("first", ("1", "0", "1", 1)), ("all", ("1", "0", "2", 1))],
)
def test_two_raters_on_a_day_follow_the_policy(policy, expected):
    """Stages 1 and 2 have no mean: the first of the day counts, or both; both are listed and flagged."""
    staging = staged(RATERS, study=study_of(treated=False, progression={"same_day": policy}))
    assert course(staging, "mitos") == expected
    assert [one.mitos for one in staging.assessments] == ["1", "2", "0"]
    assert [one.flags for one in staging.assessments] == [("same_day",), ("same_day",), ()]
    assert staging.notes == {"same_day": 2}


def test_the_first_assessment_of_a_day_that_has_a_stage_counts():
    """Rater a left out what would decide."""
    staging = staged(
        """
subject_id | measured            | performer | items
s1         | 2024-01-01T09:00:00 | a         | 4.. 444 444 444
s1         | 2024-01-01T11:00:00 | b         | 441 444 414 444
"""
    )
    assert course(staging, "mitos") == ("2", "2", "2", 0)


def test_form_5b_is_a_gastrostomy_and_both_forms_leave_it_unknown():
    """4A; 1 to 3 or 4A, so no stage; 4B whatever the answer."""
    staging = staged(
        """
subject_id | measured   | form | items
s1         | 2024-01-01 | 5a   | 344 444 444 444
s1         | 2024-02-01 | 5b   | 344 444 444 444
s1         | 2024-03-01 | both | 344 444 444 444
s1         | 2024-04-01 | both | 344 444 444 443
"""
    )
    assert [one.kings for one in staging.assessments] == ["1", "4A", None, "4B"]
    assert staging.systems["kings"].undecided == {"both_cutting_items": 1}
    assert staging.systems["mitos"].undecided == {}
    assert staging.notes == {"both_cutting_items": 2}


@pytest.mark.parametrize("policy", ["prefer_5a", "max"])
def test_a_policy_on_points_does_not_tell_whether_there_is_a_gastrostomy(policy):
    text = "subject_id | measured | form | items\ns1 | 2024-01-01 | both | 344 444 444 444"
    staging = staged(text, study=study_of(treated=False, progression={"both_cutting_items": policy}))
    assert [one.kings for one in staging.assessments] == [None]
    assert [one.fine_motor for one in staging.assessments] == [12.0]


@pytest.mark.parametrize(("policy", "stage"), [("stage_1", "1"), ("none", None)])
def test_points_lost_in_no_region_are_flagged(policy, stage):
    """Stairs alone: stage 1 by default, or no stage with its reason."""
    text = "subject_id | measured | items\ns1 | 2024-01-01 | 444 444 443 444"
    staging = staged(text, study=study_of(treated=False, progression={"kings_no_region": policy}))
    [one] = staging.assessments
    assert (one.kings, one.flags) == (stage, ("no_region_involved",))
    assert staging.systems["kings"].undecided == ({} if stage else {"no_region_involved": 1})


def test_partial_items_are_staged_where_they_decide_and_told_where_not():
    staging = staged(
        """
subject_id | measured   | items
s1         | 2024-01-01 | 4.4 444 444 444
s1         | 2024-02-01 | ... ... ... .44
s1         | 2024-03-01 | 444 344 4.. 443
"""
    )
    assert [one.mitos for one in staging.assessments] == ["0", None, None]
    assert [one.kings for one in staging.assessments] == [None, None, "4B"]
    assert staging.systems["mitos"].undecided == {"items_missing": 2}
    assert staging.notes == {"items_missing": 3}


def test_items_without_a_date_are_left_out_and_counted():
    """Twelve of January without a day, twelve without a date; those of February stand."""
    rows = item_rows("subject_id | measured | items\ns1 | 2024-02-01 | 344 444 444 444")
    month = [row | moments("measured", "2024-01") | {"row_id": f"m{row['row_id']}"} for row in rows]
    undated = [
        {name: value for name, value in row.items() if not name.startswith("measured")} | {"row_id": f"n{at}"}
        for at, row in enumerate(rows)
    ]
    staging, _ = staging_or_note([*rows, *month, *undated])
    assert staging is not None
    assert len(staging.assessments) == 1
    assert staging.notes == {"imprecise_date": 12, "no_date": 12}
    none, note = staging_or_note(undated)
    assert (none, note) == (None, f"{NO_USABLE_ITEMS}: no date (12)")


def test_without_items_the_reason_is_told():
    """Only totals, nothing at all, or another scale, of which nobody expects stages."""
    total = {"subject_id": "s1", "row_id": "t", "concept": "alsfrs_r_total", "status": "final", "value": 40.0}
    total |= moments("measured", "2024-01-01")
    assert staging_or_note([total]) == (None, ONLY_TOTALS)
    assert staging_or_note([]) == (None, NO_ITEMS)
    other = study_of(treated=False, progression={"concept": "svc_percent_predicted"})
    assert staging_or_note([total | {"concept": "svc_percent_predicted"}], study=other) == (None, None)


def test_counts_by_stage_are_of_subjects():
    staging = staged(SEVERAL, deaths="s3 2024-06-01")
    system = staging.systems["mitos"]
    assert system.baseline == {"0": 3, "1": 0, "2": 0, "3": 0, "4": 0, "5": 0}
    assert system.last == {"0": 0, "1": 2, "2": 0, "3": 0, "4": 0, "5": 1}
    assert system.worst == system.last
    assert staging.by_subject["assessments"].tolist() == [2] * 6


def test_results_written_before_stages_existed_can_still_be_read():
    """A results.json without the two fields has no staging, and no reason either."""
    written = json.loads(analyse(Cohort.from_rows({}), UNTREATED).to_json())
    assert written.pop("staging") is None
    assert written.pop("staging_note") == NO_ITEMS
    read = Results.from_json(json.dumps(written).encode())
    assert (read.staging, read.staging_note) == (None, None)


def test_staging_survives_writing_and_reading():
    found = analyse(Cohort.from_rows({"measurements": item_rows(COURSE)}), UNTREATED)
    read = Results.from_json(found.to_json())
    assert read.staging == found.staging
    assert read.policies["progression.kings_no_region"] == "stage_1"
