"""The FHIR elements that every synthetic resource is built from."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from design import Subject

Resource = dict[str, Any]

SYNTHETIC = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
HOSPITAL = "http://trial.example.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
CLINIC = ZoneInfo("America/Chicago")


def day_of(subject: Subject, day: int) -> date:
    return subject.first_dose + timedelta(days=day)


def at(subject: Subject, day: int, clock: str) -> datetime:
    """Return a wall-clock time at the clinic on a day counted from the first dose."""
    return datetime.combine(day_of(subject, day), time.fromisoformat(clock), tzinfo=CLINIC)


def later(moment: datetime, hours: float) -> datetime:
    """Elapsed hours later, also across a change to or from daylight saving time."""
    return (moment.astimezone(UTC) + timedelta(hours=hours)).astimezone(CLINIC)


def written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def resource(kind: str, name: str, filed: datetime) -> Resource:
    """Begin a resource that says it is synthetic, stored by the server at `filed`."""
    stamp = filed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "resourceType": kind,
        "id": name,
        "meta": {"versionId": "1", "lastUpdated": stamp, "tag": [SYNTHETIC]},
    }


def concept(system: str, code: str, display: str | None = None) -> Resource:
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


def quantity(value: float, code: str) -> Resource:
    whole = int(value) if value == int(value) else value
    return {"value": whole, "unit": code, "system": UCUM, "code": code}


def patient_of(subject: Subject) -> Resource:
    return {"reference": f"Patient/{subject.id}"}


def observation(
    subject: Subject, name: str, code: Resource, measured: datetime, value: Resource, *, category: str
) -> Resource:
    return (
        resource("Observation", f"{subject.id}-{name}", later(measured, 2))
        | {
            "status": "final",
            "category": [concept(f"{TERMINOLOGY}/observation-category", category)],
            "code": code,
            "subject": patient_of(subject),
            "effectiveDateTime": written(measured),
        }
        | value
    )
