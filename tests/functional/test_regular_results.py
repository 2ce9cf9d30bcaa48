"""Regular results are mapped column by column, and come out as the mapper of single ones maps them."""

import random
from pathlib import Path
from typing import Any

import pytest
from both_ways import NOW, rows, same_both_ways

from fhiradapter.api import build_cohort
from fhiradapter.mappers import kernel

ROOT = Path(__file__).parents[2]
SEED = 20260101


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
    taken = same_both_ways((observation(draw, n) for n in range(2_000)), time_zone, monkeypatch, tmp_path)
    print(f"seed {seed}: {taken} of 2000 by columns")
    assert taken > 500


@pytest.mark.parametrize("example", ["als_treg", "als_natural_history"])
def test_examples_agree(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples come out the same both ways."""
    from fhiradapter import load_study

    loaded = load_study(ROOT / "examples" / example / "study.toml")
    monkeypatch.setattr("fhiradapter.fhir.compression.PORTION", 20_000)
    by_columns = build_cohort(None, loaded, now=NOW)
    monkeypatch.setattr(kernel, "LANES", ())
    assert rows(by_columns) == rows(build_cohort(None, loaded, now=NOW))
