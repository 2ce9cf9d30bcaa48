"""The two-arm example is made again bit by bit, is valid and labelled, and is analysed by its study file."""

import importlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fhiradapter import analyse, build_cohort, load_study
from fhiradapter.checks import check_study
from fhiradapter.results import Results

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "als_regals"
FILES = sorted((EXAMPLE / "fhir").glob("*.ndjson"))
HTEST = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}
ANY_EMERGENT = "any treatment-emergent adverse event"


@pytest.fixture(scope="module")
def results() -> Results:
    """The example as the library analyses it."""
    study = load_study(EXAMPLE / "study.toml")
    return analyse(build_cohort(None, study), study)


def lines(kind: str) -> list[dict]:
    text = (EXAMPLE / "fhir" / f"{kind}.ndjson").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def arm_of(subject_id: str) -> str:
    """The arm that the files assign, read with nothing but json."""
    [arm] = [
        each["assignedArm"]
        for each in lines("ResearchSubject")
        if each["individual"]["reference"] == f"Patient/{subject_id}" and "assignedArm" in each
    ]
    return str(arm)


def test_making_the_data_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in the committed files depends on a clock, a hash seed or a hand."""
    subprocess.run([sys.executable, "-B", EXAMPLE / "make_fhir.py", tmp_path], check=True, timeout=60)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in FILES
    }


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_every_line_is_valid_and_says_that_it_is_synthetic(file: Path) -> None:
    """fhir.resources accepts each line as R4B, and each carries HL7's tag for test data."""
    model = getattr(importlib.import_module(f"fhir.resources.R4B.{file.stem.lower()}"), file.stem)
    for line in file.read_text(encoding="utf-8").splitlines():
        assert model.model_validate_json(line).get_resource_type() == file.stem
        assert json.loads(line)["meta"]["tag"] == [HTEST]


def test_the_study_says_that_it_is_synthetic_and_no_resource_claims_the_registered_trial() -> None:
    """The registry number names the design in the study file; it stands on no synthetic resource."""
    card = load_study(EXAMPLE / "study.toml").study
    assert card.synthetic
    assert "SYNTHETIC" in card.title
    assert "no number here is a result of that trial" in (card.notice or "")
    assert card.registry_number is not None
    assert not any(card.registry_number in file.read_text(encoding="utf-8") for file in FILES)
    assert {name["family"] for person in lines("Patient") for name in person["name"]} == {"Synthetic"}


def test_the_data_stay_small() -> None:
    """All files together stay under 3 MB."""
    assert sum(file.stat().st_size for file in FILES) < 3_000_000


def test_the_study_file_names_only_what_is_there() -> None:
    assert check_study(load_study(EXAMPLE / "study.toml")) == []


def test_every_resource_is_mapped_but_the_description_of_the_studies(results: Results) -> None:
    """Nothing is quarantined; ResearchStudy has no place in the cohort."""
    unmapped = {kind: account.received - account.mapped for kind, account in results.accounting.items()}
    assert {kind: count for kind, count in unmapped.items() if count} == {"ResearchStudy": 2}
    assert set(results.quality.issues) == {"INTERRUPTED", "TYPE_NOT_READ"}


def test_the_arms_are_those_of_the_enrolments(results: Results) -> None:
    """Twelve and twelve; the registry that two are enrolled in as well gives nobody an arm."""
    assert {row.subject_id: row.arm for row in results.cohort.subjects} == {
        person["id"]: arm_of(person["id"]) for person in lines("Patient")
    }
    assert results.cohort.arms == {"CK0803": 12, "Placebo": 12}
    assert results.arms is not None
    assert (results.arms.reference, results.arms.without_arm) == ("Placebo", ())
    assert {arm: summary.n for arm, summary in results.arms.arms.items()} == results.cohort.arms


def test_nine_infusions_are_planned_and_both_products_count(results: Results) -> None:
    """Four weekly and five monthly; what was given is what the files say, of either product."""
    assert results.exposure is not None
    given = Counter(
        each["subject"]["reference"].removeprefix("Patient/")
        for each in lines("MedicationAdministration")
        if each["status"] in {"completed", "stopped"}
    )
    assert {row.subject_id: row.infusions for row in results.exposure.subjects} == given
    assert {row.planned for row in results.exposure.subjects} == {9}
    assert all(
        (row.cells is None) == (arm_of(row.subject_id) == "Placebo") for row in results.exposure.subjects
    )
    assert sum(row.not_done for row in results.exposure.subjects) == 1
    assert (results.exposure.adherence["early"], results.exposure.adherence["late"]) == (1, 1)


def test_function_and_survival_are_ranked_for_every_subject(results: Results) -> None:
    """24 subjects: the ranks sum to 24 x 25 / 2 = 300, and the sums of wins and losses to nothing."""
    assert results.composite is not None
    rows = results.composite.by_subject_rows
    assert len(rows) == results.composite.n == 24
    assert sum(row.rank for row in rows) == 300
    assert sum(row.sum for row in rows) == 0
    assert {arm: own.n for arm, own in results.composite.arms.items()} == {"CK0803": 12, "Placebo": 12}
    assert results.composite.test is not None


def test_survival_is_compared_by_arm(results: Results) -> None:
    """Three died and one came to depend on a ventilator, as the files say."""
    deaths = Counter(arm_of(each["id"]) for each in lines("Patient") if "deceasedDateTime" in each)
    events = deaths + Counter(
        arm_of(each["subject"]["reference"].removeprefix("Patient/"))
        for each in lines("Condition")
        if each["code"]["coding"][0]["code"] == "444932008"
    )
    assert results.survival is not None
    assert {arm: curve.events for arm, curve in results.survival.arms.items()} == events
    assert results.survival.log_rank is not None
    assert sum(results.survival.log_rank.observed) == 4
    assert 0 < results.survival.log_rank.p < 1


def test_slopes_and_model_are_by_arm(results: Results) -> None:
    """Each arm has a slope; the interval of the difference holds the one of 0.16 that was drawn.

    The script lets the product's arm lose 0.82 and placebo 0.98 of the pace before treatment, about one point
    a month; chance makes of it what it does with twelve people.
    """
    assert results.arms is not None
    assert [(row.arm, row.n) for row in results.arms.slopes] == [("CK0803", 12), ("Placebo", 12)]
    [difference] = results.arms.differences
    assert difference.ci95 is not None
    assert difference.ci95[0] < 0.16 < difference.ci95[1]
    assert results.arms.model is not None
    found = results.arms.model.contrasts["CK0803"]
    assert found.ci95 is not None
    assert found.ci95[0] < 0.16 < found.ci95[1]


def test_adverse_events_are_counted_by_arm(results: Results) -> None:
    """The arms add up to all subjects, and the infusion reaction is in the arm of the one who had it."""
    assert results.arms is not None
    whole = results.safety.overview[ANY_EMERGENT]
    parts = [overview[ANY_EMERGENT] for overview in results.arms.overview.values()]
    assert sum(part.count for part in parts) == whole.count
    assert sum(part.n for part in parts) == whole.n == 24
    special = {arm: overview["of special interest"].count for arm, overview in results.arms.overview.items()}
    assert special == {arm_of("als-regals-02"): 1, "Placebo": 0}


def test_results_are_written_and_read_back(results: Results) -> None:
    assert Results.from_json(results.to_json()).arms == results.arms


def test_older_results_without_arms_can_be_read(results: Results) -> None:
    content = json.loads(results.to_json())
    del content["arms"]
    assert Results.from_json(json.dumps(content).encode()).arms is None


def test_the_report_has_a_section_by_arm(results: Results) -> None:
    from fhiradapter.reports.html import render

    page = render(results)
    assert '<section id="arms">' in page
    assert "Adverse events by arm" in page
    assert "Synthetic data." in page
