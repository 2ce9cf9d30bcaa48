"""Regular administrations and Patients come out as their mappers map each of them by itself."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from both_ways import NOW, same_both_ways
from test_regular_results import observation

from fhiradapter.api import build_cohort
from fhiradapter.mappers import templates

SEED = 20_261_123
COUNT = 1_500
Json = dict[str, Any]
UCUM = "http://unitsofmeasure.org"
# One of these in a batch has all of it mapped one by one.
SPOILING_A_BATCH: list[Json] = [
    *[{}] * 30,
    {"modifierExtension": [{"url": "http://example.org/not"}]},
    {"extension": [{"url": 7}]},
    {"id": 7},
]
BASE = "https://ehr.example.org/fhir"


def dose(value: object, unit: str | None, **more: object) -> Json:
    """Return the dosage of a number and a unit."""
    return {"dose": {"value": value, "unit": unit, "code": unit, "system": UCUM}, **more}


def administration(draw: random.Random, number: int) -> Json:
    """A dose as a ward sends it; a quarter have something unusual (synthetic)."""
    day = f"2024-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"
    zone = draw.choice(["Z", "-05:00", "+14:00"])
    start, end = (f"{day}T{hour:02}:30:00{zone}" for hour in sorted(draw.sample(range(24), 2)))
    code = draw.choice(["35604", "9796", "no-such-code"])
    rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
    made: Json = {
        "resourceType": "MedicationAdministration",
        "id": f"m{number}",
        "meta": {"versionId": "1", "lastUpdated": f"{day}T12:00:00Z"},
        "status": draw.choice(["completed", "completed", "in-progress", "not-done"]),
        "medicationCodeableConcept": {"coding": [{"system": rxnorm, "code": code}], "text": code},
        "subject": {"reference": f"Patient/p{draw.randrange(4)}"},
        "context": {"reference": f"Encounter/e{draw.randrange(4)}"},
        "request": {"reference": f"MedicationRequest/r{draw.randrange(9)}"},
        **({"effectiveDateTime": start} if draw.random() < 0.4 else {"effectivePeriod": {"start": start}}),
        "dosage": dose(draw.choice([50, 1.10, 250]), "mg", route={"text": "oral"}),
    }
    if "effectivePeriod" in made and draw.random() < 0.8:
        made["effectivePeriod"]["end"] = end
    unusual: list[Json] = [
        {"status": "stopped"},
        {"status": "completed "},
        {"status": "entered-in-error"},
        {"status": "on-hold"},
        {"status": "made-up"},
        {"status": None},
        {"id": None},
        {"meta": None},
        {"meta": {"tag": [{"code": "SUBSETTED"}]}},
        {"meta": {"tag": [{"code": "HTEST"}], "lastUpdated": "yesterday"}},
        {"medicationCodeableConcept": None},
        {"medicationCodeableConcept": {"text": "T regulatory cells"}},
        {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/none"}},
        {"medication": {"concept": {"text": "as in R5"}}},
        {"subject": None},
        {"subject": {"reference": "Group/g"}},
        {"subject": {"reference": f"{BASE}/Patient/p1"}},
        {"subject": {"identifier": {"system": "urn:mrn", "value": "3"}}},
        {"context": None},
        {"context": {"reference": "EpisodeOfCare/e"}},
        {"context": None, "encounter": {"reference": "Encounter/e1"}},
        {"encounter": {"reference": "Encounter/e2"}},
        {"request": None},
        {"request": {"display": "as ordered"}},
        {"request": {"identifier": {"system": "urn:orders", "value": "7"}}},
        {"effectiveDateTime": start, "effectivePeriod": {"start": start, "end": end}},
        {"effectiveDateTime": None, "effectivePeriod": None},
        {"effectiveDateTime": None, "effectivePeriod": {"end": end}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": end, "end": start}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": start, "end": "2031-01-01T00:00:00Z"}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": start, "end": "9999-12-31T00:00:00Z"}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": start, "end": day}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": start, "end": start}},
        {"effectiveDateTime": "2024-03", "effectivePeriod": None},
        {"effectiveDateTime": "2024-06-30T24:00:00Z", "effectivePeriod": None},
        {"effectiveDateTime": "1900-01-01T00:00:00Z", "effectivePeriod": None},
        {"effectiveDateTime": "2024-03-01T10:00:00", "effectivePeriod": None},
        {"effectiveDateTime": "2024-03-01t10:00:00Z", "effectivePeriod": None},
        {"effectiveDateTime": "2024-02-31T10:00:00Z", "effectivePeriod": None},
        {"effectiveDateTime": "", "effectivePeriod": None},
        {"occurenceDateTime": start, "effectiveDateTime": None, "effectivePeriod": None},
        {"dosage": None},
        {"dosage": {}},
        {"dosage": dose(draw.randrange(1_000_000), "mg")},
        {"dosage": dose(None, "mg")},
        {"dosage": dose(2, None)},
        {"dosage": dose("2", "mg")},
        {"dosage": dose(2, "10*6", rateQuantity={"value": 5, "unit": "mL/h"})},
        {"dosage": {"dose": {"value": 5, "comparator": "<", "unit": "mg"}}},
        {"statusReason": [{"text": "sleeping"}]},
        {"statusReason": "sleeping"},
        {"notGiven": True},
        {"reasonNotGiven": [{"text": "vomited"}]},
        {"contained": [{"resourceType": "Medication", "id": "x"}]},
        {"implicitRules": "http://example.org/rules"},
        {"extension": [{"url": "http://example.org/x", "valueCode": "y"}]},
        draw.choice(SPOILING_A_BATCH),
    ]
    if draw.random() < 0.25:
        made |= draw.choice(unusual)
    return {name: value for name, value in made.items() if value is not None}


def person(draw: random.Random, number: int) -> Json:
    """A Patient as a hospital sends it; a quarter have something unusual (synthetic)."""
    day = f"{draw.randrange(1930, 2000)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"
    made: Json = {
        "resourceType": "Patient",
        "id": f"p{number}",
        "meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z"},
        "identifier": [
            {"system": "urn:mrn", "value": str(number % 400), "use": draw.choice(["usual", "old"])}
        ],
        "active": True,
        "gender": draw.choice(["female", "male", "other"]),
        "birthDate": day,
        **draw.choice([{}, {"deceasedBoolean": False}, {"deceasedDateTime": "2024-05-06T07:08:09Z"}]),
    }
    unusual: list[Json] = [
        {"id": None},
        {"id": "~x"},
        {"id": ""},
        {"id": f"p{draw.randrange(40)}", "meta": {"versionId": str(draw.randrange(5))}},
        {"meta": None},
        {"meta": {"tag": [{"code": "SUBSETTED"}]}},
        {"identifier": None},
        {"identifier": []},
        {"identifier": [{"system": "urn:mrn"}, {"value": "loose"}, {"system": "urn:a", "value": "b"}]},
        {"active": False},
        {"active": None},
        {"gender": None},
        {"gender": "male "},
        {"gender": "MALE"},
        {"birthDate": None},
        {"birthDate": "1970"},
        {"birthDate": "1970-05"},
        {"birthDate": "1970-05-33"},
        {"birthDate": "1900-01-01"},
        {"birthDate": "2031-01-01"},
        {"birthDate": "1970-05-04T10:00:00-05:00"},
        {"deceasedBoolean": True},
        {"deceasedBoolean": False, "deceasedDateTime": "2024-05"},
        {"deceasedBoolean": True, "deceasedDateTime": "2024"},
        {"deceasedDateTime": "9999-12-31"},
        {"deceasedDateTime": "1800-01-01"},
        {"deceasedDateTime": "1929-12-31"},
        {"deceasedDateTime": day},
        {"deceasedDateTime": "2031-01-01"},
        {"deceasedDateTime": "never"},
        {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/p{draw.randrange(9)}"}}]},
        {"contained": []},
        {"extension": [{"url": "http://example.org/race", "valueCodeableConcept": {"text": "x"}}]},
        draw.choice(SPOILING_A_BATCH),
    ]
    if draw.random() < 0.25:
        made |= draw.choice(unusual)
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize("time_zone", [None, "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("make", [administration, person])
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_columns_and_single_mapping_agree(
    seed: int,
    make: Callable[[random.Random, int], Json],
    time_zone: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """1,500 resources, a quarter of them unusual: the same rows and issues both ways, cell by cell."""
    draw = random.Random(seed)
    taken = same_both_ways((make(draw, n) for n in range(COUNT)), time_zone, monkeypatch, tmp_path)
    print(f"seed {seed}: {taken} of {COUNT} by columns")
    assert taken > COUNT / 2


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_types_may_stand_in_one_file(seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Observations, administrations, Patients and Encounters in any order: the same both ways."""
    draw = random.Random(seed)
    kinds = [observation, administration, person, lambda _, n: {"resourceType": "Encounter", "id": f"e{n}"}]
    resources = [draw.choice(kinds)(draw, n) for n in range(COUNT)]
    assert same_both_ways(resources, None, monkeypatch, tmp_path) > COUNT / 4


def test_templates_that_are_full_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Parts that came after the memory was full are mapped one by one."""
    monkeypatch.setattr(templates, "CAPACITY", 3)
    draw = random.Random(SEED)
    resources = [make(draw, n) for n in range(400) for make in (administration, person)]
    taken = same_both_ways(resources, None, monkeypatch, tmp_path)
    print(f"{taken} of {len(resources)} by columns")
    assert 0 < taken < 500


def test_patients_in_columns_are_found_by_their_identifiers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of 300 Patients in columns 100 are named by an identifier alone; one that is old names nobody."""
    people = [person(random.Random(1), n) for n in range(300)]
    for number, one in enumerate(people):
        one["identifier"] = [
            {"system": "urn:mrn", "value": str(number), "use": "old" if number < 9 else "usual"}
        ]
    given = [administration(random.Random(2), n) for n in range(100)]
    for number, one in enumerate(given):
        one["subject"] = {"identifier": {"system": "urn:mrn", "value": str(number)}}
    assert same_both_ways([*people, *given], None, monkeypatch, tmp_path) >= len(people)
    monkeypatch.undo()
    found = build_cohort(tmp_path / "in.ndjson", now=NOW).arrow("exposures").column("subject_id").to_pylist()
    assert found[9:] == [f"p{number}" for number in range(9, 100)]
    assert all(subject.startswith("identifier-") for subject in found[:9])
