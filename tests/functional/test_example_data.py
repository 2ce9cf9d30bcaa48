"""The example data are what their scripts make: the same bytes again, valid FHIR R4, and labelled."""

import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STUDIES = ("als_natural_history", "als_treg")
HTEST = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}


def files(study: str) -> list[Path]:
    return sorted((EXAMPLES / study / "fhir").glob("*.ndjson"))


@pytest.mark.parametrize("study", STUDIES)
def test_making_the_data_again_gives_the_same_bytes(study: str, tmp_path: Path) -> None:
    """Nothing in the committed files depends on a clock, a hash seed or a hand."""
    subprocess.run(
        [sys.executable, "-B", EXAMPLES / study / "make_fhir.py", tmp_path], check=True, timeout=60
    )
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in files(study)
    }


@pytest.mark.parametrize(
    "file", [pytest.param(file, id=f"{study}-{file.stem}") for study in STUDIES for file in files(study)]
)
def test_every_line_is_a_valid_resource(file: Path) -> None:
    """fhir.resources, in its R4B form which these resource types share with R4, accepts each one."""
    module = importlib.import_module(f"fhir.resources.R4B.{file.stem.lower()}")
    model = getattr(module, file.stem)
    for line in file.read_text(encoding="utf-8").splitlines():
        assert model.model_validate_json(line).get_resource_type() == file.stem


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in files("als_treg")])
def test_every_synthetic_resource_says_so(file: Path) -> None:
    """Each line carries HL7's tag for test data, and each person is called Synthetic."""
    for line in file.read_text(encoding="utf-8").splitlines():
        resource = json.loads(line)
        assert resource["meta"]["tag"] == [HTEST]
        if file.stem == "Patient":
            assert [name["family"] for name in resource["name"]] == ["Synthetic"]


def test_the_synthetic_data_stay_small() -> None:
    """All files together stay under 1.5 MB."""
    assert sum(file.stat().st_size for file in files("als_treg")) < 1_500_000


def test_ids_repeat_only_where_a_trap_says_so() -> None:
    """Three ids stand on two lines: an amended result, an older version, and an exact copy."""
    repeated: dict[str, int] = {}
    for file in files("als_treg"):
        lines = file.read_text(encoding="utf-8").splitlines()
        counts = Counter(json.loads(line)["id"] for line in lines)
        repeated |= {name: count for name, count in counts.items() if count > 1}
    assert repeated == {
        "als-treg-01-day-105-alt": 2,
        "als-treg-06-day-77-alsfrs-r-total": 2,
        "als-treg-01-day-21-hemoglobin": 2,
    }


def test_natural_history_keeps_every_number_of_its_tables() -> None:
    """666 scores, 313 neurofilament values and 304 body mass indices of 128 people, as in the CSV files."""
    file = EXAMPLES / "als_natural_history" / "fhir" / "Observation.ndjson"
    rows = (EXAMPLES / "als_natural_history" / "data" / "timepoints.csv").read_text().splitlines()[1:]
    cells = [row.split(",") for row in rows]
    expected = Counter(
        (row[0], kind, float(row[column]))
        for row in cells
        for kind, column in (("82953-1", 2), ("101281-4", 3), ("39156-5", 4))
        if row[column] != "NA"
    )
    found: Counter[tuple[str, str, float]] = Counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        value = each["valueInteger"] if "valueInteger" in each else each["valueQuantity"]["value"]
        subject = each["subject"]["reference"].removeprefix("Patient/")
        found[subject, each["code"]["coding"][0]["code"], float(value)] += 1
    assert found == expected
    assert Counter(kind for _, kind, _ in found.elements()) == {
        "82953-1": 666,
        "101281-4": 313,
        "39156-5": 304,
    }


def test_natural_history_times_give_the_months_back() -> None:
    """Seconds since the invented onset, over 2,629,800 a month, are the table's months to two decimals."""
    base = EXAMPLES / "als_natural_history"
    lines = (base / "fhir" / "Observation.ndjson").read_text(encoding="utf-8").splitlines()
    scores = [each for each in map(json.loads, lines) if "valueInteger" in each]
    rows = [row.split(",") for row in (base / "data" / "timepoints.csv").read_text().splitlines()[1:]]
    onset = datetime.fromisoformat("2010-01-01T00:00:00Z")
    for each, row in zip(scores, rows, strict=True):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", each["effectiveDateTime"])
        seconds = (datetime.fromisoformat(each["effectiveDateTime"]) - onset).total_seconds()
        assert seconds % 26_298 == 0
        assert seconds // 26_298 == round(float(row[1]) * 100)


@pytest.mark.parametrize(
    ("subject", "points_per_month"), [("p1", -0.985381), ("p10", -0.266784), ("p1005", -0.455526)]
)
def test_natural_history_slopes_are_those_of_the_tables(subject: str, points_per_month: float) -> None:
    """Least squares over all rows of a person, against values computed from the CSV outside this project."""
    file = EXAMPLES / "als_natural_history" / "fhir" / "Observation.ndjson"
    every = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    scores = [
        each
        for each in every
        if "valueInteger" in each and each["subject"]["reference"] == f"Patient/{subject}"
    ]
    months = [datetime.fromisoformat(each["effectiveDateTime"]).timestamp() / 2_629_800 for each in scores]
    start = min(months)
    line = np.polyfit([month - start for month in months], [each["valueInteger"] for each in scores], 1)
    assert line[0] == pytest.approx(points_per_month, abs=1e-6)
