"""Small FHIR resources as they arrive, and what is looked at in the cohort that comes of them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fhiradapter import api
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.settings import Study

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
# Where a row was read, and by which run, differs between two ways to send the same resources.
PLACE = {"source_file", "source_line", "run_id"}

Json = dict[str, Any]


def cohort_of(source: Any, study: Study | None = None) -> Cohort:
    """Build a cohort at a fixed moment, and check its accounts against its tables."""
    cohort = api.build_cohort(source, study, now=NOW)
    assert_balanced(cohort)
    return cohort


def assert_balanced(cohort: Cohort) -> None:
    """Received = mapped + quarantined + ignored, and as many resources are in the tables as were mapped."""
    places: dict[str, set[tuple[str, str, int]]] = {}
    for table in SCHEMAS.keys() - {"issues"}:
        for row in cohort.arrow(table).to_pylist():
            place = (row["source"], row["source_file"], row["source_line"])
            places.setdefault(row["resource_type"], set()).add(place)
    for kind, account in cohort.accounting.items():
        assert account.received == account.mapped + account.quarantined + sum(account.ignored.values()), kind
        assert min(account.received, account.mapped, account.quarantined, *account.ignored.values()) >= 0
        # Look-ups have no rows, and a form without an answer has none either.
        if kind not in {"Medication", "Specimen", "QuestionnaireResponse"}:
            assert len(places.get(kind, ())) == account.mapped, kind
    assert places.keys() <= cohort.accounting.keys()


def totals(cohort: Cohort) -> tuple[int, int, int, int]:
    """Return received, mapped, quarantined and ignored over all types."""
    accounts = cohort.accounting.values()
    return (
        sum(account.received for account in accounts),
        sum(account.mapped for account in accounts),
        sum(account.quarantined for account in accounts),
        sum(sum(account.ignored.values()) for account in accounts),
    )


def facts(cohort: Cohort) -> dict[str, list[str]]:
    """Return all rows of all tables without their place, in an order of their own."""
    found = {}
    for table in SCHEMAS:
        rows = [
            {name: value for name, value in row.items() if name not in PLACE and value is not None}
            for row in cohort.arrow(table).to_pylist()
        ]
        for row in rows:
            if row["row_id"].startswith("settlement#"):
                row["row_id"] = "settlement"
        found[table] = sorted(repr(sorted(row.items())) for row in rows)
    return found


def reasons(cohort: Cohort) -> list[str]:
    """Return the reasons of all issues but ORPHAN_SUBJECT and TYPE_NOT_READ, sorted."""
    found = cohort.arrow("issues").column("reason").to_pylist()
    return sorted(reason for reason in found if reason not in {"ORPHAN_SUBJECT", "TYPE_NOT_READ"})


def values(cohort: Cohort) -> dict[str, float | None]:
    """Return resource id to value of the measurements."""
    rows = cohort.arrow("measurements").to_pylist()
    return {row["resource_id"]: row["value"] for row in rows}


def subjects_of(cohort: Cohort) -> dict[str, str]:
    """Return resource id to subject of the measurements."""
    rows = cohort.arrow("measurements").to_pylist()
    return {row["resource_id"]: row["subject_id"] for row in rows}


def meta(version: str | None = None, updated: str | None = None) -> Json:
    """Return the version of a resource, as an element to add."""
    found = {"versionId": version, "lastUpdated": updated}
    return {"meta": {name: value for name, value in found.items() if value is not None}}


def patient(identity: str = "p1", **more: Any) -> Json:
    """Return a Patient."""
    return {"resourceType": "Patient", "id": identity, "gender": "female", "birthDate": "1970-05-01", **more}


def observation(identity: Any = "o1", value: Any = 40, subject: str = "Patient/p1", **more: Any) -> Json:
    """Return an ALT of 4 March 2024 in U/L, which is the unit that it is kept in."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "1742-6", "display": "ALT"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2024-03-04T09:00:00Z",
        "valueQuantity": {"value": value, "unit": "U/L", "system": UCUM, "code": "U/L"},
        **more,
    }


def weight(identity: str, value: float, when: str, *, unit: str = "kg", **more: Any) -> Json:
    """Return a body weight."""
    coded = {"coding": [{"system": LOINC, "code": "29463-7"}]}
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return observation(
        identity, **{"code": coded, "valueQuantity": quantity, "effectiveDateTime": when, **more}
    )


def administration(identity: str = "a1", **more: Any) -> Json:
    """Return a completed MedicationAdministration of riluzole on 5 March 2024."""
    return {
        "resourceType": "MedicationAdministration",
        "id": identity,
        "status": "completed",
        "medicationCodeableConcept": {"text": "riluzole"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-03-05",
        **more,
    }


def bundle(kind: str, entries: Iterable[Json], **more: Any) -> Json:
    """Return a Bundle of entries."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}


def ndjson(resources: Iterable[Json]) -> bytes:
    """Return resources as lines."""
    return b"".join(line(resource) + b"\n" for resource in resources)


def line(resource: Json) -> bytes:
    """Return a resource as compact JSON."""
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def as_bundle(kind: str, resources: list[Json]) -> Json:
    """Return a Bundle that holds resources and says nothing else of them."""
    return bundle(kind, [{"resource": resource} for resource in resources])


# One resource of each type that is read, and a second Patient and Observation.
SNOMED = "http://snomed.info/sct"
RESOURCES: list[Json] = [
    patient("p1"),
    patient("p2", gender="male", birthDate="1961"),
    {
        "resourceType": "Medication",
        "id": "m1",
        "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "35623"}]},
        "batch": {"lotNumber": "LOT-7"},
    },
    {
        "resourceType": "Specimen",
        "id": "s1",
        "type": {"coding": [{"system": SNOMED, "code": "119361006"}]},
        "subject": {"reference": "Patient/p1"},
    },
    observation("o1", 40),
    observation("o2", 55.50, "Patient/p2"),
    observation(
        "o3",
        code={"coding": [{"system": "http://loinc.org", "code": "101281-4"}]},
        valueQuantity={"value": 61.2, "unit": "pg/mL"},
        specimen={"reference": "Specimen/s1"},
    ),
    {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "medicationReference": {"reference": "Medication/m1"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-03-05",
        "dosage": {"dose": {"value": 50, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}},
    },
    {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": SNOMED, "code": "86044005"}]},
        "subject": {"reference": "Patient/p1"},
        "onsetDateTime": "2021-07",
    },
    {
        "resourceType": "AdverseEvent",
        "id": "e1",
        "actuality": "actual",
        "event": {"text": "Muscle pain é"},
        "subject": {"reference": "Patient/p2"},
        "date": "2024-03-06",
    },
    {
        "resourceType": "Encounter",
        "id": "v1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2024-03-05", "end": "2024-03-05"},
    },
    {
        "resourceType": "QuestionnaireResponse",
        "id": "q1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": "2024-03-05",
        "item": [{"linkId": "82940-8", "answer": [{"valueInteger": 3}]}],
    },
]
