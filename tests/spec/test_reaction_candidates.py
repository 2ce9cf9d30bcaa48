"""Candidates for infusion reactions: what comes soon after a start, and what cannot be placed."""

import pytest

from fhiradapter.analysis.safety import derive_safety
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import ReactionCandidates, Safety
from tests.spec.safety_tables import cohort, rows, study, timeline

DATES = timeline("""
s1 2024-03-01 2024-03-08 2024-12-31
s2 2024-03-01 2024-03-01 2024-12-31
s3 -          -          2024-12-31
""")
INFUSIONS = """
subject_id concept status    start            dose_cells
s1         cells   completed 2024-03-01T09:00 1e8
s1         cells   completed 2024-03-08T09:00 1e8
s2         cells   completed 2024-03-01       1e8
"""
KINDS = {"acetaminophen": "premedication", "riluzole": "concomitant", "cells": "premedication"}


def safety(
    *, events: str = "", medication: str = "", vitals: str = "", infusions: str = INFUSIONS, **sections
) -> Safety:
    given = rows(infusions) + [
        {**row, "row_id": f"med-{number}"}
        for number, row in enumerate(rows("subject_id concept start status\n" + medication))
    ]
    made = cohort(
        exposures=given,
        events=rows("subject_id term start\n" + events, kind="adverse_event", status="actual"),
        measurements=rows(
            "subject_id concept measured value\n" + vitals, kind="vital", unit="Cel", status="final"
        ),
    )
    return derive_safety(made, study(**sections), DATES, kinds=KINDS)


def reactions(**tables) -> ReactionCandidates:
    found = safety(**tables).reactions
    assert found is not None
    return found


def told(found: ReactionCandidates) -> list[tuple]:
    return [
        (part.trigger, part.trigger_row_id, part.infusion_row_id, part.hours) for part in found.candidates
    ]


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ("2024-03-08T08:59", None),
        ("2024-03-08T09:00", 0.0),
        ("2024-03-08T10:30", 1.5),
        ("2024-03-09T09:00", 24.0),
        ("2024-03-09T09:01", None),
    ],
)
def test_an_adverse_event_within_24_hours_of_the_start(start, hours):
    """From the start itself until 24 hours later."""
    found = reactions(events=f"s1 Chills {start}")
    assert told(found) == ([] if hours is None else [("adverse event", "row-0", "row-1", hours)])


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ("2024-03-08T08:30", None),  # premedication
        ("2024-03-08T09:00", None),  # with the infusion
        ("2024-03-08T09:30", 0.5),
        ("2024-03-09T09:00", 24.0),
        ("2024-03-09T09:01", None),
    ],
)
def test_medication_counts_only_after_the_start(start, hours):
    """What is given before or with the infusion prevents and does not treat."""
    found = reactions(medication=f"s1 acetaminophen {start} completed")
    assert told(found) == ([] if hours is None else [("medication", "med-0", "row-1", hours)])


def test_which_medication_may_treat_a_reaction_is_a_setting():
    """By kind and by name; other medication and the product itself never do."""
    given = """
    s1 riluzole           2024-03-08T10:00 completed
    s1 methylprednisolone 2024-03-08T10:00 completed
    s1 acetaminophen      2024-03-08T10:00 not-done
    """
    assert [part.what for part in reactions(medication=given).candidates] == ["methylprednisolone"]
    chosen = {"rescue_kinds": ["concomitant"], "rescue_concepts": []}
    assert [part.what for part in reactions(medication=given, safety=chosen).candidates] == ["riluzole"]


def test_an_abnormal_vital_sign_after_the_start():
    """38.5 at 11:00 is two hours after; 37.5 is nothing; 38.5 before the start is not after it."""
    found = reactions(
        vitals="""
    s1 body_temperature 2024-03-08T08:00 38.5
    s1 body_temperature 2024-03-08T11:00 38.5
    s1 body_temperature 2024-03-08T12:00 37.5
    """
    )
    assert told(found) == [("vital sign", "row-1", "row-1", 2.0)]
    assert found.candidates[0].what == "fever: 38.5 Cel"


def test_counts_of_infusions_and_subjects():
    """Two candidates of one infusion and one of another: two infusions, one subject, three looked at."""
    found = reactions(
        events="s1 Chills 2024-03-08T10:00\ns1 Nausea 2024-03-08T12:00\ns1 Nausea 2024-03-01T12:00"
    )
    assert (found.infusions, found.subjects, found.infusions_checked) == (2, 1, 3)


def test_the_hours_are_a_setting():
    event = "s1 Chills 2024-03-08T12:00"
    assert reactions(events=event, safety={"infusion_reaction_hours": 2}).candidates == ()
    assert len(reactions(events=event, safety={"infusion_reaction_hours": 3}).candidates) == 1


def test_an_event_without_a_clock_counts_when_it_can_be_inside():
    """On the day of the infusion and the next one; its hours are not known. Two days later it cannot be."""
    found = reactions(events="s1 Chills 2024-03-08\ns1 Fatigue 2024-03-09\ns1 Fall 2024-03-10")
    assert [(part.what, part.hours) for part in found.candidates] == [("Chills", None), ("Fatigue", None)]


def test_medication_and_readings_whose_order_is_not_known_are_counted():
    """s2's infusion of 1 March has no clock: premedication or rescue? Neither is said."""
    found = reactions(
        medication="s2 acetaminophen 2024-03-01T10:00 completed\ns1 acetaminophen 2024-03-08 completed"
    )
    assert found.candidates == ()
    assert found.not_placed == {"medications on an infusion's day, before or after its start not known": 2}


def test_after_the_day_of_an_infusion_without_a_clock_the_order_is_known():
    """2 March 10:00 lies after the last moment of 1 March, and can be within 24 hours of it."""
    found = reactions(medication="s2 acetaminophen 2024-03-02T10:00 completed")
    assert told(found) == [("medication", "med-0", "row-2", None)]


def test_what_has_no_day_cannot_be_placed_and_is_counted():
    found = reactions(
        events="s1 Chills 2024-03\ns1 Fall -",
        medication="s1 acetaminophen 2024 completed",
        infusions=INFUSIONS + "s2 cells completed 2024-05 1e8\n",
    )
    assert found.candidates == ()
    assert found.not_placed == {
        "infusions without a day": 1,
        "adverse events without a day": 2,
        "medications without a day": 1,
    }


def test_other_subjects_and_what_lies_after_the_data_cut_are_not_looked_at():
    """s3 was given nothing; s9 is not of the study; the second infusion lies after the cut."""
    found = reactions(
        events="s3 Chills 2024-03-08T10:00\ns1 Chills 2024-03-08T10:00",
        medication="s9 acetaminophen 2024-03-01T10:00 completed",
        follow_up={"data_cut": "2024-03-05"},
    )
    assert (found.candidates, found.infusions_checked) == ((), 2)


def test_a_study_without_treatment_has_no_infusions_to_look_around():
    assert safety(events="s1 Chills 2024-03-08T10:00", treatment=None).reactions is None


def test_a_source_that_was_never_read_is_named():
    """Only infusions were read: adverse events and vital signs were not looked at; nought is not claimed."""
    account = {"MedicationAdministration": TypeAccount(received=3, mapped=3, quarantined={}, ignored={})}
    made = Cohort.from_rows({"exposures": rows(INFUSIONS)}, account)
    found = derive_safety(made, study(), DATES, kinds=KINDS)
    assert found.reactions.not_read == ("vital sign", "adverse event")
    assert (found.vital_signs, found.hys_law, found.laboratory) == (None, None, None)
    assert (found.overview, found.dose_limiting) == ({}, None)


def test_special_interest_is_told_with_its_window():
    """Reaction after 25 h (outside 24 h), release after 13 days (inside 14), a named term without window."""
    found = safety(
        events="""
        s1 Infusion-related_reaction  2024-03-09T10:00
        s1 Cytokine_release_syndrome  2024-03-21T09:00
        s1 Fall                       2024-03-08T10:00
        s1 Headache                   2024-03-08T10:00
        """,
        safety={"special_interest": ["fall"]},
    ).special_interest
    assert [(part.term, part.kind, part.window, part.inside, part.hours) for part in found] == [
        ("Fall", "named by the study", None, None, 1.0),
        ("Infusion-related reaction", "infusion reaction", "24 hours", False, 25.0),
        ("Cytokine release syndrome", "cytokine release syndrome", "14 days", True, 312.0),
    ]


@pytest.mark.parametrize(
    ("term", "special"),
    [
        ("Infusion_related_reaction", True),
        ("INFUSION-RELATED_REACTION", True),
        ("Cytokine__release_syndrome", True),
        ("Cytokine_release_syndrome_(CRS)", True),
        ("Infusion_site_reaction", False),
        ("Reaction", False),
    ],
)
def test_terms_are_compared_whole_but_not_by_case_hyphens_and_blanks(term, special):
    assert len(safety(events=f"s1 {term} 2024-03-08T10:00").special_interest) == int(special)


def test_without_a_start_or_with_an_infusion_without_a_day_the_window_is_not_known():
    """Missing is not outside: the reaction of s1 has no start, s2's second infusion could be close."""
    found = safety(
        events="s1 Infusion_reaction -\ns2 Infusion_reaction 2024-05-20T10:00",
        infusions=INFUSIONS + "s2 cells completed 2024-05 1e8\n",
    ).special_interest
    assert [part.inside for part in found] == [None, None]


def test_death_before_the_first_dose_and_one_subject_break_nothing():
    """A subject without infusions: nothing to look around, and no error."""
    only = derive_safety(
        cohort(events=rows("subject_id term start\ns3 Chills 2024-03-08", kind="adverse_event")),
        study(),
        DATES.loc[["s3"]].assign(died=True),
    )
    assert (only.reactions.candidates, only.reactions.infusions_checked) == ((), 0)
    assert (only.vital_signs.findings, only.hys_law.subjects, only.laboratory.rows) == ((), 0, ())
