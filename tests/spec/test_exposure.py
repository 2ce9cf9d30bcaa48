"""What was given of the product, what else was given, and when subjects went home."""

import pytest

from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.results import Exposure, Infusion, SubjectExposure
from tests.spec.safety_tables import cohort, day, rows, study, timeline

KINDS = {"tacrolimus": "immunosuppressant", "riluzole": "concomitant"}
TREATMENT = {
    "concept": "cells",
    "dose_cells": 1e8,
    "schedule": [{"count": 4, "every": "week", "early_days": 1, "late_days": 1}],
    "excluded_kinds": ["immunosuppressant"],
}
GIVEN = """
subject_id concept    status     start             end               dose_cells encounter_id
s1         cells      completed  2024-03-01T09:00  2024-03-01T10:00  1e8        e1
s1         cells      completed  2024-03-08T09:00  2024-03-08T10:00  1e8        e2
s1         cells      stopped    2024-03-16T09:00  2024-03-16T09:10  5e7        e3
s1         cells      not-done   2024-03-22        -                 -          -
s2         cells      completed  2024-03-01T09:00  -                 1e8        -
s2         cells      completed  2024-03-08T09:00  -                 -          -
"""
ENCOUNTERS = """
subject_id encounter_id status    start             end
s1         e1           finished  2024-03-01T08:00  2024-03-01T16:00
s1         e2           finished  2024-03-08T08:00  2024-03-09T11:00
s1         e3           finished  2024-03-16T08:00  -
"""
DATES = timeline("""
s1 2024-03-01 2024-03-16 2024-06-01
s2 2024-03-01 2024-03-08 2024-03-10
s3 -          -          2024-03-10
""")


def exposure(*, more: str = "", **settings) -> Exposure:
    made = cohort(exposures=rows(GIVEN + more), encounters=rows(ENCOUNTERS))
    found = derive_exposure(made, study(treatment=TREATMENT | settings), DATES, kinds=KINDS)
    assert found is not None
    return found


def of(subject_id: str, found: Exposure) -> SubjectExposure:
    return next(row for row in found.subjects if row.subject_id == subject_id)


def test_cells_days_and_gaps_of_a_subject():
    """s1: 100 + 100 + 50 million cells on days 1, 8 and 16: 16 days, longest gap 8, one interrupted."""
    row = of("s1", exposure())
    assert (row.infusions, row.planned, row.cells) == (3, 4, 2.5e8)
    assert (row.duration_days, row.longest_gap_days, row.interrupted, row.not_done) == (16, 8, 1, 1)
    # On time: days 0, 7 and 15 (late window 1 day); the visit of day 21 was not done.
    assert (row.on_time, row.early, row.late, row.missed, row.additional) == (3, 0, 0, 1, 0)


def test_dose_intensity_is_given_over_planned_cells():
    """250 of 4 x 100 million cells are 62.5 %."""
    assert of("s1", exposure()).dose_intensity_percent == pytest.approx(62.5)


def test_dose_intensity_without_a_planned_dose_counts_infusions():
    """3 of 4 infusions are 75 %."""
    assert of("s1", exposure(dose_cells=None)).dose_intensity_percent == pytest.approx(75)


def test_a_dose_of_unknown_cells_leaves_the_total_unknown():
    """s2 had two infusions, one of unknown size: no total, no intensity, and the infusion is counted."""
    found = exposure()
    row = of("s2", found)
    assert (row.infusions, row.cells, row.dose_intensity_percent) == (2, None, None)
    assert found.cells["infusions_without_cells"] == 1


def test_medians_are_over_subjects_with_an_infusion():
    """3 and 2 infusions: median 2.5; s3 had none and is not counted."""
    found = exposure()
    assert found.infusions == {"median": 2.5, "min": 2, "max": 3, "total": 5}
    assert found.cells["median"] == 2.5e8
    assert of("s3", found).infusions == 0


def test_the_swimmer_has_missed_infusions_too():
    """Study day 1 is the first dose and there is no day 0; the not-done dose of 22 March is day 22."""
    rows_of_first = [row for row in exposure().timeline if row.subject_id == "s1"]
    assert [row.day for row in rows_of_first] == [1, 8, 16, 22]
    missed: Infusion = rows_of_first[-1]
    assert (missed.status, missed.timing, missed.planned_visit) == ("not-done", "missed", 4)


def test_same_day_discharge_needs_both_days():
    """e1 ends on its day, e2 the day after, e3 has no end, s2 names no encounter: 1 of 2."""
    found = exposure()
    discharge = found.discharge
    assert (discharge.infusions, discharge.with_encounter, discharge.same_day) == (5, 2, 1)
    assert discharge.percent == 50
    assert [row.same_day_discharge for row in found.timeline] == [True, False, None, None, None, None]


@pytest.mark.parametrize(
    ("start", "status", "found"),
    [
        ("2024-02-02", "completed", True),  # 28 days before the first dose: the first day of the window
        ("2024-02-01", "completed", False),
        ("2024-04-15", "completed", True),  # 30 days after 16 March: the last day
        ("2024-04-16", "completed", False),
        ("2024-03-10", "not-done", False),
        ("2024-03-10", "entered-in-error", False),
        ("2024-01-01", "in-progress", True),  # still running
        ("2024-02", "completed", True),  # 2 to 29 February are inside
        ("2024-01", "completed", False),
    ],
)
def test_excluded_medication_is_found_inside_its_window(start: str, status: str, found: bool):
    """Window of s1: 2 February (28 days before the first dose) to 15 April (30 days after the last)."""
    check = exposure(more=f"s1 tacrolimus {status} {start} - - -\n").concomitant
    assert [row.concept for row in check.findings] == (["tacrolimus"] if found else [])


def test_a_finding_of_a_partial_date_has_no_day():
    """February 2024 could be inside; which day is not guessed."""
    finding = exposure(more="s1 tacrolimus completed 2024-02 - - -\n").concomitant.findings[0]
    assert (finding.kind, finding.started_on) == ("immunosuppressant", None)


def test_the_check_says_what_it_could_not_see():
    """One unmapped and one undated medication, one allowed; s3 has no dose and so no window."""
    more = "s1 - completed 2024-03-10 - - -\ns1 tacrolimus completed - - - -\n"
    check = exposure(more=more + "s2 riluzole completed 2024-03-02 - - -\n").concomitant
    assert (check.subjects_checked, check.administrations_checked) == (2, 1)
    assert (check.unmapped_administrations, check.undated_administrations) == (1, 1)
    assert check.findings == ()


def test_a_kind_that_no_concept_has_is_told():
    """A misspelt kind cannot be found, so it must not look like 'none found'."""
    check = exposure(excluded_kinds=["imunosuppressant"]).concomitant
    assert check.unknown_kinds == ("imunosuppressant",)


def test_infusions_after_the_data_cut_are_left_out_and_counted():
    """Data cut 8 March: the infusion of 16 March does not count."""
    made = cohort(exposures=rows(GIVEN))
    cut = study(treatment=TREATMENT, follow_up={"data_cut": "2024-03-08"})
    found = derive_exposure(made, cut, DATES, kinds=KINDS)
    assert found is not None
    assert of("s1", found).infusions == 2
    assert found.excluded["after the data cut"] == 1


def test_an_infusion_of_a_month_after_the_cut_is_after_it():
    """Data cut 8 March: April 2024 begins after it; March 2024 may be before and stays."""
    more = "s1 cells completed 2024-04 - 1e8 -\ns1 cells completed 2024-03 - 1e8 -\n"
    cut = study(treatment=TREATMENT, follow_up={"data_cut": "2024-03-08"})
    found = derive_exposure(cohort(exposures=rows(GIVEN + more)), cut, DATES, kinds=KINDS)
    assert found is not None
    assert of("s1", found).infusions == 3  # 1 March, 8 March and March
    assert found.excluded["after the data cut"] == 2  # 16 March and April


@pytest.mark.parametrize(("day_given", "findings"), [("2024-03-08", 1), ("2024-03-09", 0)])
def test_medication_after_the_data_cut_is_not_looked_at(day_given: str, findings: int):
    """Data cut 8 March, window of s1 until 15 April: 8 March counts, 9 March does not."""
    table = GIVEN + f"s1 tacrolimus completed {day_given} - - -\n"
    cut = study(treatment=TREATMENT, follow_up={"data_cut": "2024-03-08"})
    found = derive_exposure(cohort(exposures=rows(table)), cut, DATES, kinds=KINDS)
    assert found is not None
    check = found.concomitant
    assert (check.administrations_checked, len(check.findings)) == (findings, findings)


def test_what_is_no_dose_is_counted_in_the_study_only():
    """s1 has one not-done; an on-hold of s1 counts, that of somebody outside the study does not."""
    more = "s1 cells on-hold 2024-03-20 - - -\nother cells on-hold 2024-03-20 - - -\n"
    more += "other cells not-done 2024-03-21 - - -\n"
    assert exposure(more=more).excluded == {"not-done": 1, "on-hold": 1}


def test_a_study_without_a_schedule_has_no_plan_to_be_late_for():
    """No schedule: planned is unknown, the infusions are neither late nor additional."""
    row = of("s1", exposure(schedule=[]))
    assert (row.planned, row.dose_intensity_percent, row.additional, row.late) == (None, None, 0, 0)


def test_a_study_without_treatment_has_no_exposure():
    """None, not a table of zeros."""
    assert derive_exposure(cohort(exposures=rows(GIVEN)), study(treatment=None), DATES) is None


def test_nobody_treated_gives_empty_figures():
    """A cohort without any administration: totals of 0 and no medians."""
    found = derive_exposure(cohort(), study(treatment=TREATMENT), DATES, kinds=KINDS)
    assert found is not None
    assert found.infusions == {"median": None, "min": None, "max": None, "total": 0}
    assert found.dose_intensity_percent == {"median": None}
    assert found.timeline == ()


def test_a_first_dose_without_a_day_starts_no_plan():
    """The first dose is of March 2024: its infusions are undated and nothing is called missed or late."""
    table = "subject_id concept status start dose_cells\ns1 cells completed 2024-03 1e8\n"
    dates = timeline("s1 2024-03-01 2024-03-01 2024-09-01").assign(first_dose_precision="month")
    found = derive_exposure(cohort(exposures=rows(table)), study(treatment=TREATMENT), dates, kinds=KINDS)
    assert found is not None
    assert [row.timing for row in found.timeline] == ["undated"]
    assert of("s1", found).missed == 0
    assert found.timeline[0].started_on is None


def test_the_day_of_each_infusion_is_its_local_day():
    """The start as a local day goes into the swimmer plot."""
    assert exposure().timeline[0].started_on == day("2024-03-01")


def test_medication_after_the_data_cut_is_counted_and_not_looked_at():
    """Tacrolimus on 20 March lies inside the window, but after the cut of 18 March."""
    more = "s1 tacrolimus completed 2024-03-20 - - -\n"
    before = derive_exposure(
        cohort(exposures=rows(GIVEN + more)), study(treatment=TREATMENT), DATES, kinds=KINDS
    )
    after = derive_exposure(
        cohort(exposures=rows(GIVEN + more)),
        study(treatment=TREATMENT, follow_up={"data_cut": "2024-03-18"}),
        DATES,
        kinds=KINDS,
    )
    assert (len(before.concomitant.findings), before.concomitant.after_cut_administrations) == (1, 0)
    assert (len(after.concomitant.findings), after.concomitant.after_cut_administrations) == (0, 1)


def test_an_encounter_that_ends_before_it_starts_says_nothing():
    """It is neither a discharge on the same day nor one on another."""
    wrong = ENCOUNTERS.replace("2024-03-08T08:00  2024-03-09T11:00", "2024-03-08T08:00  2024-03-07T11:00")
    made = cohort(exposures=rows(GIVEN), encounters=rows(wrong))
    found = derive_exposure(made, study(treatment=TREATMENT), DATES, kinds=KINDS)
    assert (found.discharge.with_encounter, found.discharge.same_day) == (1, 1)


@pytest.mark.parametrize(
    ("reason", "note"),
    [
        ("http://hospital.example.org/reasons|NOT-GIVEN", "not given: reason code NOT-GIVEN"),
        ("urn:oid:1.2.3|COLD", "not given: reason code COLD"),
        ("fever", "not given: fever"),
    ],
)
def test_a_reason_that_is_a_code_is_told_without_the_address_of_its_system(reason, note):
    not_done = rows("subject_id concept status start\ns1 cells not-done 2024-03-22", status_reason=reason)
    found = derive_exposure(cohort(exposures=not_done), study(treatment=TREATMENT), DATES, kinds=KINDS)
    assert found.timeline[0].notes == (note,)
