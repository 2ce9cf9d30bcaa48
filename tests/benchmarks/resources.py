"""Seeded generators of MedicationAdministrations and Patients as an EHR server writes them (synthetic)."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from tests.benchmarks.observations import lab_observations

DRUGS = (("35604", "lithium"), ("9796", "riluzole"), ("6809", "metformin"), ("1191", "aspirin"))


def medication_administrations(count: int, *, seed: int = 1, subjects: int = 2_000) -> Iterator[bytes]:
    """Yield NDJSON lines of infusions and tablets, coded in place."""
    draw = random.Random(seed)
    start = datetime(2022, 1, 1, tzinfo=UTC)
    for number in range(count):
        code, name = draw.choice(DRUGS)
        begun = start + timedelta(seconds=draw.randrange(3 * 365 * 86_400))
        text = begun.strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = (begun + timedelta(minutes=draw.randrange(5, 90))).strftime("%Y-%m-%dT%H:%M:%SZ")
        resource = {
            "resourceType": "MedicationAdministration",
            "id": f"dose-{seed}-{number}",
            "meta": {"versionId": "1", "lastUpdated": text, "source": "#synthetic"},
            "status": "completed",
            "medicationCodeableConcept": {
                "coding": [
                    {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code, "display": name}
                ],
                "text": name,
            },
            "subject": {"reference": f"Patient/{draw.randrange(subjects)}"},
            "context": {"reference": f"Encounter/{draw.randrange(subjects * 10)}"},
            "effectivePeriod": {"start": text, "end": ended},
            "performer": [{"actor": {"reference": "Practitioner/nurse"}}],
            "dosage": {
                "text": f"{name} as ordered",
                "route": {
                    "coding": [
                        {"system": "http://snomed.info/sct", "code": "26643006", "display": "Oral route"}
                    ]
                },
                "dose": {
                    "value": draw.choice((50, 100, 250, 500)),
                    "unit": "mg",
                    "system": "http://unitsofmeasure.org",
                    "code": "mg",
                },
            },
        }
        yield json.dumps(resource, separators=(",", ":")).encode()


def patients(count: int, *, seed: int = 1) -> Iterator[bytes]:
    """Yield NDJSON lines; each Patient has an identifier, an address and a name of his or her own."""
    draw = random.Random(seed)
    for number in range(count):
        born = date(1935, 1, 1) + timedelta(days=draw.randrange(60 * 365))
        resource = {
            "resourceType": "Patient",
            "id": f"p-{seed}-{number}",
            "meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z", "source": "#synthetic"},
            "identifier": [
                {
                    "use": "usual",
                    "type": {
                        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]
                    },
                    "system": "urn:oid:1.2.36.146.595.217.0.1",
                    "value": str(number),
                }
            ],
            "active": True,
            "name": [
                {"use": "official", "family": f"Synthetic-{number}", "given": [f"Given-{number % 977}"]}
            ],
            "telecom": [{"system": "phone", "value": f"555-{number:07d}", "use": "home"}],
            "gender": draw.choice(("female", "male")),
            "birthDate": born.isoformat(),
            "address": [{"line": [f"{number % 999} Synthetic Street"], "city": "Nowhere", "country": "XX"}],
        }
        yield json.dumps(resource, separators=(",", ":")).encode()


GENERATORS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "Observation": lab_observations,
    "MedicationAdministration": medication_administrations,
    "Patient": patients,
}
