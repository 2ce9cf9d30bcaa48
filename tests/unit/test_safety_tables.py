"""What the report says about courses, liver, vital signs, laboratory values and reactions."""

import json
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace
from report_fixture import treated_results
from report_page import Page

from fhiradapter.reports import course_tables, lab_tables, liver_tables, reaction_tables, write_report
from fhiradapter.reports.exposure_tables import concomitant_sentence
from fhiradapter.reports.safety_tables import lab_table
from fhiradapter.reports.vital_sign_tables import vital_table
from fhiradapter.reports.wording import label
from fhiradapter.results import (
    Course,
    HysLaw,
    InfusionDuration,
    LabShift,
    LiverCase,
    ReactionCandidate,
    ReactionCandidates,
    Results,
    VitalSign,
    VitalSigns,
)

ADDED = {
    "safety": ("laboratory", "hys_law", "vital_signs", "reactions", "special_interest"),
    "exposure": ("course_gap_days", "courses", "interruptions", "undated_infusions", "duration"),
}


def with_safety(**parts: object) -> Results:
    results = treated_results()
    return replace(results, safety=replace(results.safety, **parts))


def with_exposure(**parts: object) -> Results:
    results = treated_results()
    assert results.exposure is not None
    return replace(results, exposure=replace(results.exposure, **parts))


def hys_law(**parts: object) -> HysLaw:
    return HysLaw(**{"rule": "rule", "subjects": 6, "assessable": 6, "cases": (), "undecided": (), **parts})


def vital_sign(**parts: object) -> VitalSign:
    usual = {
        "sign": "fever",
        "kind": "grade",
        "criterion": "38.0",
        "assessed": 6,
        "not_assessable": 0,
        "subjects": 1,
        "readings": 2,
        "near_infusion": 1,
        "by_worst_grade": {"2": 1},
        "treatment_emergent": 1,
    }
    return VitalSign(**{**usual, **parts})


def test_results_of_an_older_version_are_read_and_shown(tmp_path: Path) -> None:
    """What they do not hold is left out; in particular nobody is said to have had no fever."""
    content = json.loads(treated_results().to_json())
    for part, names in ADDED.items():
        for name in names:
            content[part].pop(name, None)
    older = Results.from_json(json.dumps(content).encode())
    page = Page(write_report(older, tmp_path / "report.html").read_text(encoding="utf-8"))
    for words in ("Hy's law", "Vital signs after", "Around the infusions", "Courses"):
        assert words not in page.source


@pytest.mark.parametrize(
    ("name", "shown"),
    [("alt", "ALT"), ("ast", "AST"), ("alp", "ALP"), ("ggt", "GGT"), ("inr", "INR"), ("crp", "CRP")],
)
def test_tests_known_by_their_abbreviation_are_written_so(name: str, shown: str) -> None:
    assert label(name) == shown


@pytest.mark.parametrize(
    ("version", "test", "told"),
    [("4.03", "creatinine", True), ("5.0", "creatinine", False), ("4.03", "alt", False)],
)
def test_the_remark_on_creatinine_is_for_version_4_03_alone(version: str, test: str, told: bool) -> None:
    """Above 1 x baseline is grade 1 there to the letter; other versions and tests need no such word."""
    lab = LabShift(
        test=test, direction="high", grade_shift={"0": {"1": 5}}, not_gradable=0, treatment_emergent=5
    )
    table = lab_table(with_safety(labs=(lab,), ctcae_version=version))
    assert table is not None
    assert any("creatinine above 1 to 1.5 times baseline" in remark for remark in table.remarks) == told


def test_courses_are_shown_when_somebody_has_more_than_one() -> None:
    """One course each is a sentence; two are a table; without a rule nothing is claimed."""
    course = Course(
        subject_id="S-1",
        number=1,
        infusions=4,
        first_on=date(2024, 3, 1),
        last_on=date(2024, 3, 22),
        days=22,
        cells=4e8,
        gap_before_days=None,
    )
    known = InfusionDuration(known=1, unknown={}, median=45, min=45, max=45)
    one = with_exposure(course_gap_days=35, courses=(course,), duration=known).exposure
    two = with_exposure(
        course_gap_days=35, courses=(course, replace(course, number=2, gap_before_days=40)), duration=known
    ).exposure
    none = with_exposure(course_gap_days=None, courses=(), duration=known).exposure
    assert course_tables.course_table(one) is None
    assert "one in each treated subject" in course_tables.course_sentence(one)
    assert [row[7] for row in course_tables.course_table(two).rows] == ["\N{EN DASH}", "40"]
    assert "not defined" in course_tables.course_sentence(none)


def test_infusion_time_tells_of_how_many_it_is_not_known() -> None:
    duration = InfusionDuration(
        known=2, unknown={"start or end without a time of day": 3}, median=45, min=40, max=50
    )
    sentence = course_tables.duration_sentence(with_exposure(duration=duration).exposure)
    assert "median 45 minutes (range 40\N{EN DASH}50) in 2 infusions" in sentence
    assert "Not known of 3 infusions" in sentence


def test_medication_after_the_data_cut_is_told() -> None:
    results = treated_results()
    check = replace(results.exposure.concomitant, after_cut_administrations=3)
    assert "3 administrations after the data cut" in concomitant_sentence(check, {})


def test_the_liver_is_told_by_what_can_be_said() -> None:
    """None of 6; a case in the table; nobody assessable is not none; not looked for is nothing."""
    case = LiverCase(
        subject_id="S-1",
        aminotransferase="alt",
        aminotransferase_row_id="a",
        aminotransferase_on=date(2024, 3, 1),
        aminotransferase_uln=5.0,
        bilirubin_row_id="b",
        bilirubin_on=date(2024, 3, 3),
        bilirubin_uln=2.5,
        days_between=2,
    )
    none = with_safety(hys_law=hys_law())
    some = with_safety(hys_law=hys_law(cases=(case,), undecided=("S-2",)))
    nobody = with_safety(hys_law=hys_law(assessable=0, not_assessable={"no ALT": 6}))
    assert liver_tables.liver_sentences(none)[0].startswith("0 of 6 subjects that can be assessed meet")
    assert liver_tables.liver_table(none) is None
    assert [str(cell) for cell in liver_tables.liver_table(some).rows[0]][:3] == ["S-1", "ALT", "5.0"]
    assert "S-2" in " ".join(liver_tables.liver_sentences(some))
    assert (
        "could not be assessed in any subject (no ALT, 6 subjects)" in liver_tables.liver_sentences(nobody)[0]
    )
    assert liver_tables.liver_sentences(with_safety(hys_law=None)) == ()


def test_a_sign_that_nobody_was_measured_for_has_no_zero() -> None:
    """A screening flag has no grades, and no reading is not 0 subjects."""
    flag = vital_sign(
        sign="hypotension", kind="screening flag", by_worst_grade={}, treatment_emergent=None, subjects=0
    )
    unread = replace(flag, sign="low oxygen saturation", assessed=0, readings=0)
    signs = VitalSigns(signs=(vital_sign(), flag, unread), findings=(), baseline_rule="the last one")
    table = vital_table(with_safety(vital_signs=signs))
    dash = "\N{EN DASH}"
    assert [row[2:8] for row in table.rows] == [
        ("1/6 (16.7\N{NO-BREAK SPACE}%)", "2", "0", "1", "0", "1"),
        ("0/6 (0.0\N{NO-BREAK SPACE}%)", "2", dash, dash, dash, dash),
        ("no reading", dash, dash, dash, dash, dash),
    ]
    assert vital_table(with_safety(vital_signs=replace(signs, signs=(unread,)))) is None


def test_candidates_are_for_review_and_tell_what_was_never_read() -> None:
    found = ReactionCandidates(
        rule="within 24 hours",
        infusions_checked=10,
        infusions=1,
        subjects=1,
        candidates=(
            ReactionCandidate(
                subject_id="S-1",
                infusion_row_id="i",
                infusion_on=date(2024, 3, 1),
                trigger="adverse event",
                trigger_row_id="e",
                what="Chills",
                on=date(2024, 3, 1),
                hours=None,
            ),
        ),
        not_placed={"adverse events without a day": 2},
        not_read=("vital sign",),
    )
    results = with_safety(reactions=found)
    told = " ".join(reaction_tables.reaction_sentences(results))
    for words in ("1 infusion of 10", "not events", "not looked at: vital sign", "without a day: 2"):
        assert words in told
    assert reaction_tables.reaction_table(results).rows[0][-1] == "\N{EN DASH}"


def test_without_laboratory_results_there_is_no_table_of_abnormalities() -> None:
    results = with_safety(laboratory=None)
    assert (lab_tables.emergent_table(results), lab_tables.abnormality_table(results)) == (None, None)
