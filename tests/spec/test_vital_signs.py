"""Vital signs after the first dose: every limit from both sides, and the baseline to set them against."""

import numpy as np
import pytest

from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.vital_limits import fever_grade
from fhiradapter.analysis.vital_signs import derive_vital_signs
from fhiradapter.results import VitalFinding, VitalSign, VitalSigns
from tests.spec.safety_tables import cohort, rows, study, timeline

# Infusions at 09:00 on 1 and 8 March; s3 was never treated.
DATES = timeline("""
s1 2024-03-01 2024-03-08 2024-12-31
s2 2024-03-01 2024-03-08 2024-12-31
s3 -          -          2024-12-31
""")
INFUSIONS = """
subject_id concept status    start            dose_cells
s1         cells   completed 2024-03-01T09:00 1e8
s1         cells   completed 2024-03-08T09:00 1e8
s2         cells   completed 2024-03-01T09:00 1e8
"""
HEADER = "subject_id concept measured value comparator status\n"
UNITS = {
    "body_temperature": "Cel",
    "systolic_bp": "mm[Hg]",
    "diastolic_bp": "mm[Hg]",
    "oxygen_saturation": "%",
}
FEVER, HYPERTENSION, HYPOTENSION, LOW_OXYGEN = range(4)


def vitals(text: str, *, infusions: str = INFUSIONS, version: str = "5.0", **sections) -> VitalSigns:
    measured = [{**row, "unit": UNITS[row["concept"]]} for row in rows(HEADER + text, kind="vital")]
    made = cohort(measurements=measured, exposures=rows(infusions))
    chosen = study(safety={"ctcae_version": version}, **sections)
    given = given_infusions(made, chosen)
    given = given.loc[~after_cut(given, chosen.follow_up.data_cut)]
    found = derive_vital_signs(made, chosen, DATES, given)
    assert found is not None
    return found.results


def counts(sign: VitalSign) -> tuple:
    return (sign.subjects, sign.by_worst_grade, sign.treatment_emergent)


def only(found: VitalSigns) -> VitalFinding:
    (finding,) = found.findings
    return finding


def test_fever_grades_at_their_limits():
    """CTCAE: 38.0-39.0 is grade 1, >39.0-40.0 grade 2, >40.0 grade 3; 4 needs more than 24 hours."""
    temperatures = np.array([37.9, 38.0, 39.0, 39.1, 40.0, 40.1, np.nan])
    assert fever_grade(temperatures)[:6].tolist() == [0, 1, 1, 2, 2, 3]
    assert np.isnan(fever_grade(temperatures)[6])


def test_fever_after_the_first_dose_counts_once_at_the_worst_grade():
    """s1: 38.5 and 39.5, baseline 36.5: one subject, grade 2, two readings; s2 stayed at 37.0."""
    found = vitals("""
    s1 body_temperature 2024-03-01T08:30 36.5 - final
    s1 body_temperature 2024-03-01T11:00 38.5 - final
    s1 body_temperature 2024-03-08T11:00 39.5 - final
    s2 body_temperature 2024-03-01T11:00 37.0 - final
    """)
    sign = found.signs[FEVER]
    assert counts(sign) == (1, {"2": 1}, 1)
    assert (sign.readings, sign.assessed, sign.near_infusion) == (2, 2, 1)
    assert (only(found).row_id, only(found).grade, only(found).value) == ("row-2", 2, 39.5)


def test_fever_before_the_first_dose_is_baseline_and_no_finding():
    """38.5 before and 38.2 after: grade 1 both times, so nothing is treatment-emergent."""
    found = vitals(
        "s1 body_temperature 2024-03-01T08:30 38.5 - final\ns1 body_temperature 2024-03-20 38.2 - final"
    )
    assert counts(found.signs[FEVER]) == (1, {"1": 1}, 0)
    assert (only(found).baseline, only(found).row_id) == (38.5, "row-1")


def test_fever_needs_no_baseline_but_then_nobody_knows_whether_it_is_new():
    found = vitals("s1 body_temperature 2024-03-20 38.0 - final")
    assert counts(found.signs[FEVER]) == (1, {"1": 1}, 0)
    assert found.signs[FEVER].without_baseline == 1


def test_the_usual_pressure_is_no_flood_of_events():
    """130/84 in everybody, before and after, and 122/82 from 118/78: nobody has hypertension."""
    found = vitals("""
    s1 systolic_bp  2024-03-01T08:30 130 - final
    s1 diastolic_bp 2024-03-01T08:30 84  - final
    s1 systolic_bp  2024-03-20       130 - final
    s1 diastolic_bp 2024-03-20       84  - final
    s2 systolic_bp  2024-03-01T08:30 118 - final
    s2 diastolic_bp 2024-03-01T08:30 78  - final
    s2 systolic_bp  2024-03-20       122 - final
    s2 diastolic_bp 2024-03-20       82  - final
    """)
    assert (found.signs[HYPERTENSION].assessed, found.findings) == (2, ())


@pytest.mark.parametrize(
    ("concept", "before", "after", "grade"),
    [
        ("systolic_bp", 125, 139, None),
        ("systolic_bp", 125, 140, 2),
        ("systolic_bp", 125, 159, 2),
        ("systolic_bp", 125, 160, 3),
        ("diastolic_bp", 80, 89, None),
        ("diastolic_bp", 80, 90, 2),
        ("diastolic_bp", 80, 100, 3),
        # Already at that grade before: no change. From 2 to 3 is one.
        ("systolic_bp", 150, 158, None),
        ("systolic_bp", 150, 160, 3),
        ("systolic_bp", 165, 170, None),
    ],
)
def test_hypertension_is_a_grade_above_the_grade_of_the_baseline(concept, before, after, grade):
    found = vitals(f"s1 {concept} 2024-03-01T08:30 {before} - final\ns1 {concept} 2024-03-20 {after} - final")
    assert [part.grade for part in found.findings] == ([] if grade is None else [grade])


def test_a_raised_pressure_without_a_baseline_is_not_assessable():
    """150 with nothing before the first dose: neither hypertension nor none. 120 is normal anyway."""
    found = vitals("s1 systolic_bp 2024-03-20 150 - final\ns2 systolic_bp 2024-03-20 120 - final")
    sign = found.signs[HYPERTENSION]
    assert (sign.subjects, sign.assessed, sign.not_assessable) == (0, 1, 1)


def test_under_a_version_whose_text_is_not_known_hypertension_is_a_flag():
    """CTCAE 6.0: the same numbers, without a grade."""
    found = vitals(
        "s1 systolic_bp 2024-03-01T08:30 125 - final\ns1 systolic_bp 2024-03-20 165 - final", version="6.0"
    )
    assert (found.signs[HYPERTENSION].kind, only(found).grade) == ("screening flag", None)
    assert counts(found.signs[HYPERTENSION]) == (1, {}, None)


@pytest.mark.parametrize(
    ("before", "after", "flagged"),
    [
        (110, 90, False),
        (110, 89, True),
        (140, 98, True),  # 140 - 30 % = 98
        (140, 99, False),
        (None, 89, True),
        (None, 95, False),
    ],
)
def test_hypotension_is_below_90_or_30_percent_below_baseline(before, after, flagged):
    """A flag without a grade; without a baseline the absolute limit alone decides."""
    first = "" if before is None else f"s1 systolic_bp 2024-03-01T08:30 {before} - final\n"
    sign = vitals(f"{first}s1 systolic_bp 2024-03-20 {after} - final").signs[HYPOTENSION]
    assert (sign.kind, sign.subjects, sign.treatment_emergent) == ("screening flag", int(flagged), None)


@pytest.mark.parametrize(("saturation", "flagged"), [(88, 0), (87, 1)])
def test_a_saturation_below_88_percent_is_a_flag(saturation, flagged):
    found = vitals(f"s1 oxygen_saturation 2024-03-20 {saturation} - final")
    assert found.signs[LOW_OXYGEN].subjects == flagged


def test_soon_after_an_infusion_the_baseline_is_the_last_reading_before_it_that_day():
    """8 March: 150 at 08:30 is the baseline of 100 at 10:00, a third less; against 120 it is 17 % less."""
    found = vitals("""
    s1 systolic_bp 2024-03-01T08:30 120 - final
    s1 systolic_bp 2024-03-08T08:00 110 - final
    s1 systolic_bp 2024-03-08T08:30 150 - final
    s1 systolic_bp 2024-03-08T10:00 100 - final
    """)
    low = next(part for part in found.findings if part.sign == "hypotension")
    assert (low.baseline, low.baseline_row_id) == (150, "row-2")
    assert (low.infusion_row_id, low.hours_after_infusion) == ("row-1", 1.0)


def test_without_a_reading_that_day_the_baseline_is_that_of_the_first_dose():
    """The reading of 7 March is not of the infusion's day: 120 counts, and 100 is no drop by 30 %."""
    found = vitals("""
    s1 systolic_bp 2024-03-01T08:30 120 - final
    s1 systolic_bp 2024-03-07T08:30 150 - final
    s1 systolic_bp 2024-03-08T10:00 100 - final
    """)
    assert [part.sign for part in found.findings] == ["hypertension"]
    assert only(found).row_id == "row-1"


@pytest.mark.parametrize(("at", "hours"), [("2024-03-09T09:00", 24.0), ("2024-03-09T09:01", None)])
def test_near_an_infusion_is_within_24_hours_of_its_start(at, hours):
    found = vitals(f"s1 body_temperature {at} 38.5 - final")
    assert only(found).hours_after_infusion == hours
    assert found.signs[FEVER].near_infusion == (hours is not None)


def test_a_reading_at_the_very_start_is_before_the_infusion():
    """At 09:00 on 1 March 38.5 is the baseline, and s1 has nothing after it."""
    assert vitals("s1 body_temperature 2024-03-01T09:00 38.5 - final").signs[FEVER].assessed == 0


def test_a_reading_without_a_clock_is_before_the_infusion_of_its_day():
    """On 8 March the order is not known: the reading counts after the first dose, but near no infusion."""
    found = vitals("s1 body_temperature 2024-03-08 38.5 - final")
    assert (only(found).infusion_row_id, only(found).hours_after_infusion) == (None, None)


def test_infusions_without_a_time_of_day():
    """Infusion on 8 March, no clock: a reading of that day is not near it; 9 March is, without hours."""
    by_day = INFUSIONS.replace("2024-03-08T09:00", "2024-03-08      ")
    same = vitals("s1 body_temperature 2024-03-08T12:00 38.5 - final", infusions=by_day)
    after = vitals("s1 body_temperature 2024-03-09T12:00 38.5 - final", infusions=by_day)
    assert only(same).infusion_row_id is None
    assert (only(after).infusion_row_id, only(after).hours_after_infusion) == ("row-1", None)


def test_who_was_never_treated_has_no_reading_after_the_first_dose():
    assert vitals("s3 body_temperature 2024-03-20 39.5 - final").signs[FEVER].assessed == 0


def test_what_cannot_be_used_is_counted():
    """A month, a bound, a cancelled reading and one after the data cut."""
    found = vitals(
        """
        s1 body_temperature 2024-03    39.5 - final
        s1 body_temperature 2024-03-20 39.5 > final
        s1 body_temperature 2024-03-20 39.5 - cancelled
        s1 body_temperature 2024-07-01 39.5 - final
        """,
        follow_up={"data_cut": "2024-06-01"},
    )
    assert found.findings == ()
    assert found.left_out == {
        "after_data_cut": 1,
        "comparator": 1,
        "imprecise_date": 1,
        "status_not_used": 1,
    }


def test_a_study_without_treatment_and_a_cohort_without_readings():
    made = cohort()
    chosen = study(treatment=None)
    assert derive_vital_signs(made, chosen, DATES, given_infusions(made, chosen)) is None
    empty = vitals("")
    assert [sign.assessed for sign in empty.signs] == [0, 0, 0, 0]
