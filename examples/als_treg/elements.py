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
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
HOSPITAL = "http://hospital.example.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

CLINIC = ZoneInfo("America/New_York")
IN_UTC = frozenset({"als-treg-04", "als-treg-05"})  # their records come through an interface that writes Z


def day_of(subject: Subject, day: int) -> date:
    return subject.first_dose + timedelta(days=day)


def at(subject: Subject, day: int, clock: str) -> datetime:
    """Return a wall-clock time at the clinic on a day counted from the first dose."""
    return datetime.combine(day_of(subject, day), time.fromisoformat(clock), tzinfo=CLINIC)


def written(subject: Subject, moment: datetime, *, utc: bool = False) -> str:
    """Write the instant as this subject's system does: with the clinic's offset, or in UTC with Z."""
    if utc or subject.id in IN_UTC:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat(timespec="seconds")


def later(moment: datetime, hours: float) -> datetime:
    """Elapsed hours later, also across a change to or from daylight saving time."""
    return (moment.astimezone(UTC) + timedelta(hours=hours)).astimezone(CLINIC)


def resource(kind: str, name: str, filed: datetime, version: int = 1) -> Resource:
    """Begin a resource that says it is synthetic, stored by the server at `filed`."""
    stamp = filed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "resourceType": kind,
        "id": name,
        "meta": {"versionId": str(version), "lastUpdated": stamp, "tag": [SYNTHETIC]},
    }


def concept(system: str, code: str, display: str | None = None, text: str | None = None) -> Resource:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]} | ({"text": text} if text else {})


def quantity(value: float, code: str | None = None, unit: str | None = None) -> Resource:
    """Write a Quantity in UCUM; without a code only the unit's text is sent, without both a bare number."""
    shown = {"unit": unit or code} if unit or code else {}
    return {"value": value} | shown | ({"system": UCUM, "code": code} if code else {})


def patient_of(subject: Subject) -> Resource:
    return {"reference": f"Patient/{subject.id}"}


def observation(
    subject: Subject,
    name: str,
    value: Resource,
    *,
    category: str,
    code: Resource,
    measured: datetime,
) -> Resource:
    """Write one final Observation; `value` holds its value[x] or components, and may overwrite anything."""
    return (
        resource("Observation", f"{subject.id}-{name}", later(measured, 3))
        | {
            "status": "final",
            "category": [concept(f"{TERMINOLOGY}/observation-category", category)],
            "code": code,
            "subject": patient_of(subject),
            "effectiveDateTime": written(subject, measured),
        }
        | value
    )
