"""A seeded generator of lab Observations of about one kilobyte, as an EHR server writes them (synthetic)."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

TESTS = (
    ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 5, 60, 56),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.5, 1.4, 1.2),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 11, 17, 16),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 120, 420, 400),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 130, 148, 145),
    ("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "mg/dL", 0.2, 1.8, 1.2),
)
CATEGORY = [
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "laboratory",
                "display": "Laboratory",
            }
        ]
    }
]


def lab_observations(count: int, *, seed: int = 1, subjects: int = 2_000) -> Iterator[bytes]:
    """Yield NDJSON lines; every id and most times are distinct, as they are in life."""
    draw = random.Random(seed)
    start = datetime(2022, 1, 1, tzinfo=UTC)
    for number in range(count):
        code, display, unit, low, high, normal_high = draw.choice(TESTS)
        when = start + timedelta(seconds=draw.randrange(3 * 365 * 86_400))
        text = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        normal = {
            side: {"value": limit, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
            for side, limit in (("low", low), ("high", normal_high))
        }
        resource = {
            "resourceType": "Observation",
            "id": f"lab-{seed}-{number}",
            "meta": {"versionId": "1", "lastUpdated": text, "source": "#synthetic"},
            "status": "final",
            "category": CATEGORY,
            "code": {
                "coding": [{"system": "http://loinc.org", "code": code, "display": display}],
                "text": display,
            },
            "subject": {"reference": f"Patient/{draw.randrange(subjects)}"},
            "encounter": {"reference": f"Encounter/{draw.randrange(subjects * 10)}"},
            "effectiveDateTime": text,
            "issued": text,
            "performer": [{"reference": "Organization/laboratory"}],
            "valueQuantity": {
                "value": round(draw.uniform(low, high), 2),
                "unit": unit,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
            "referenceRange": [normal],
        }
        yield json.dumps(resource, separators=(",", ":")).encode()
