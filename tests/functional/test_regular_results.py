"""Regular results are mapped column by column, and come out as the mapper of single ones maps them."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhiradapter.api import build_cohort
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.mappers import kernel
from fhiradapter.settings import Source, Study, StudyCard

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20260101


def study(time_zone: str | None) -> Study:
    """A study that reads in one time zone."""
    return Study(study=StudyCard(id="x", title="x"), sources=[Source(time_zone=time_zone)])


def rows(cohort: Cohort) -> dict[str, list[dict[str, Any]]]:
    """All rows, in an order that does not depend on how they were made."""
    found = {}
    for table in ("measurements", "issues", "subjects"):
        listed = cohort.arrow(table).to_pylist()
        for row in listed:
            row.pop("run_id")
        found[table] = sorted(listed, key=lambda row: json.dumps(row, default=str, sort_keys=True))
    return found


def observation(draw: random.Random, number: int) -> dict[str, Any]:
    """An Observation as a laboratory sends it; one in five has something unusual (synthetic)."""
    code, unit, low, high = draw.choice(
        [
            ("1742-6", "U/L", 7, 56),
            ("2160-0", "mg/dL", 0.6, 1.2),
            ("777-3", "10*3/uL", 150, 400),
            ("0-0", "x", 1, 2),
        ]
    )
    day = f"2024-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"
    quantity: dict[str, Any] = {
        "value": round(draw.uniform(low, high), 1),
        "unit": unit,
        "system": "http://unitsofmeasure.org",
        "code": unit,
    }
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": f"{day}T12:00:00Z"},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/p{draw.randrange(4)}"},
        "encounter": {"reference": f"Encounter/e{draw.randrange(4)}"},
        "performer": [{"reference": "Organization/lab"}],
        "effectiveDateTime": f"{day}T{draw.randrange(24):02}:30:00{draw.choice(['Z', '-05:00', '+14:00'])}",
        "valueQuantity": quantity,
        "referenceRange": [{"low": {"value": low, "unit": unit}, "high": {"value": high, "unit": unit}}],
    }
    unusual: list[dict[str, Any]] = [
        {"status": "cancelled"},
        {"status": "entered-in-error "},
        {"effectiveDateTime": "2024-03"},
        {"effectiveDateTime": "2024-06-30T24:00:00Z"},
        {"effectiveDateTime": "2016-12-31T23:59:60Z"},
        {"effectiveDateTime": "1900-01-01T00:00:00Z"},
        {"effectiveDateTime": "2031-01-01T00:00:00Z"},
        {"effectiveDateTime": "2024-03-01T10:00:00+19:00"},
        {"effectiveDateTime": None},
        {"valueQuantity": {**quantity, "comparator": "<"}},
        {"valueQuantity": {**quantity, "value": 1e300}},
        {"valueQuantity": {"value": 3}},
        {"valueQuantity": {"unit": unit}},
        {"valueQuantity": None, "valueString": "positive"},
        {"subject": None},
        {"subject": {"reference": "Group/g"}},
        {"encounter": None},
        {"performer": []},
        {"meta": None},
        {"meta": {"tag": [{"code": "SUBSETTED"}]}},
        {"meta": {"tag": [{"code": "HTEST"}], "lastUpdated": "yesterday"}},
        {"id": None},
        {"focus": [{"reference": "Patient/child"}]},
        {"referenceRange": []},
        {"implicitRules": "http://example.org/rules"},
        {"modifierExtension": [{"url": "http://example.org/not"}]}
        if draw.random() < 0.02
        else {"issued": "x"},
        {"component": [{"code": {"text": "part"}, "valueQuantity": quantity}]},
    ]
    if draw.random() < 0.2:
        made |= draw.choice(unusual)
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize("time_zone", [None, "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_columns_and_single_mapping_agree(
    seed: int, time_zone: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """2,000 Observations, a fifth of them unusual: the same rows and issues both ways, cell by cell."""
    draw = random.Random(seed)
    file = tmp_path / "o.ndjson"
    file.write_text("".join(json.dumps(observation(draw, number)) + "\n" for number in range(2_000)))
    taken: list[int] = []
    columnwise = kernel.regular_results

    def counted(*arguments: Any) -> Any:
        found = columnwise(*arguments)
        taken.append(len(found.places) if found else 0)
        return found

    # In portions, so that the memories are filled by the first and used by the others.
    monkeypatch.setattr("fhiradapter.fhir.compression.PORTION", 100_000)
    monkeypatch.setattr(kernel, "regular_results", counted)
    by_columns = build_cohort(file, study(time_zone), now=NOW)
    monkeypatch.setattr(kernel, "regular_results", lambda *_: None)
    one_by_one = build_cohort(file, study(time_zone), now=NOW)
    print(f"seed {seed}: {sum(taken)} of 2000 by columns")
    assert sum(taken) > 500
    assert rows(by_columns) == rows(one_by_one)
    assert by_columns.accounting == one_by_one.accounting
    assert all(account.balanced for account in by_columns.accounting.values())


@pytest.mark.parametrize("example", ["als_treg", "als_natural_history"])
def test_examples_agree(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples come out the same both ways."""
    from fhiradapter import load_study

    loaded = load_study(ROOT / "examples" / example / "study.toml")
    monkeypatch.setattr("fhiradapter.fhir.compression.PORTION", 20_000)
    by_columns = build_cohort(None, loaded, now=NOW)
    monkeypatch.setattr(kernel, "regular_results", lambda *_: None)
    assert rows(by_columns) == rows(build_cohort(None, loaded, now=NOW))
