"""What counts as an infusion of the study's product."""

import pandas as pd

from fhiradapter.analysis.infusions import excluded_administrations, given_infusions, missed_infusions
from tests.spec.safety_tables import cohort, rows, study

ADMINISTRATIONS = """
subject_id concept status            start             dose_cells dose_value status_reason
s1         cells   completed         2024-03-01T09:00  1e8        -          -
s1         cells   completed         2024-03-01T09:00  1e8        -          -
s1         cells   stopped           2024-03-08T09:00  4e7        -          -
s1         cells   stopped           2024-03-15T09:00  -          -          -
s1         cells   not-done          2024-03-22T09:00  1e8        -          fever
s1         cells   in-progress       2024-03-29T09:00  1e8        -          -
s1         cells   entered-in-error  2024-04-05T09:00  1e8        -          -
s1         cells   on-hold           2024-04-12T09:00  1e8        -          -
s1         cells   unknown           2024-04-19T09:00  1e8        -          -
s1         cells   -                 2024-04-20T09:00  1e8        -          -
s1         riluzole completed        2024-03-01T09:00  -          50         -
s2         cells   completed         2024-03           1e8        -          -
s2         cells   completed         2024-03           1e8        -          -
s2         cells   completed         2024-05-01        -          100        -
-          cells   completed         2024-05-01        1e8        -          -
"""


def given() -> pd.DataFrame:
    return given_infusions(cohort(exposures=rows(ADMINISTRATIONS)), study())


def test_a_dose_is_completed_or_stopped_with_a_dose():
    """not-done, in-progress, entered-in-error, on-hold, unknown and a stop before any dose are no dose."""
    of_first = given().query("subject_id == 's1'")
    assert of_first["status"].tolist() == ["completed", "stopped"]
    assert of_first["interrupted"].tolist() == [False, True]
    assert of_first["cells"].tolist() == [1e8, 4e7]


def test_what_is_no_dose_is_counted_by_its_reason():
    """Nothing disappears: 15 administrations, 14 of the product, 5 doses, 9 others each with a reason."""
    excluded = excluded_administrations(
        cohort(exposures=rows(ADMINISTRATIONS)), study(), pd.Index(["s1", "s2"])
    )
    assert excluded == {
        "duplicate": 1,
        "entered-in-error": 1,
        "in-progress": 1,
        "no status": 1,
        "no subject": 1,
        "not-done": 1,
        "on-hold": 1,
        "stopped without a dose": 1,
        "unknown": 1,
    }
    assert len(given()) + sum(excluded.values()) == 14


def test_two_infusions_of_one_month_are_not_taken_for_one():
    """Two dates of March 2024 may be two days: both count, and neither has a day."""
    of_second = given().query("subject_id == 's2'")
    assert of_second["started_on"].isna().tolist() == [True, True, False]
    assert "start not given to the day" in of_second["notes"].iloc[0]


def test_a_dose_without_cells_is_not_guessed():
    """100 of an unknown unit is a dose of unknown size."""
    last = given().iloc[-1]
    assert pd.isna(last["cells"])
    assert last["notes"] == ("dose not known in cells",)


def test_a_completed_record_is_preferred_to_a_stopped_one_of_the_same_start():
    """One infusion recorded twice, stopped first: it counts once, as completed."""
    table = """
    subject_id concept status     start             dose_cells
    s1         cells   stopped    2024-03-01T09:00  5e7
    s1         cells   completed  2024-03-01T09:00  1e8
    """
    infusions = given_infusions(cohort(exposures=rows(table)), study())
    assert infusions["row_id"].tolist() == ["row-1"]


def test_a_missed_infusion_keeps_its_reason():
    """not-done is a row of its own, with its reason and without cells."""
    missed = missed_infusions(cohort(exposures=rows(ADMINISTRATIONS)), study())
    assert missed["notes"].tolist() == [("not given: fever",)]
    assert missed["cells"].isna().all()


def test_a_study_without_treatment_or_exposures_has_none():
    """The empty frame has the same columns and types as a full one."""
    full = given().dtypes.astype(str)  # of a category, whichever subjects it holds
    without = given_infusions(cohort(exposures=rows(ADMINISTRATIONS)), study(treatment=None))
    nothing = given_infusions(cohort(), study())
    assert without.empty
    assert nothing.empty
    assert without.dtypes.astype(str).equals(full)
    assert nothing.dtypes.astype(str).equals(full)
    assert excluded_administrations(cohort(), study(), pd.Index([])) == {}
