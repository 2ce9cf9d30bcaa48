"""Patients with their diagnosis, other conditions and adverse events."""

from collections.abc import Iterator
from dataclasses import dataclass

from design import Subject
from elements import (
    HOSPITAL,
    LOINC,
    SNOMED,
    TERMINOLOGY,
    Resource,
    at,
    concept,
    later,
    observation,
    patient_of,
    resource,
    written,
)

GRADE = "http://hl7.org/fhir/us/ctcae/StructureDefinition/ctcae-grade"
GRADES = "http://hl7.org/fhir/us/ctcae/CodeSystem/ctcae-grade-code-system"


@dataclass(frozen=True)
class Event:
    """An adverse event: none is severe and none is serious."""

    subject: str
    name: str
    day: int | None
    clock: str | None
    term: str
    severity: str
    causality: str
    outcome: str = "resolved"
    grade: int | None = None
    partial: str | None = None  # the date as written, when less than a day is known


EVENTS = (
    Event("als-treg-01", "headache", 7, "17:30", "Headache", "mild", "Possible", grade=1),
    Event("als-treg-01", "fall", 120, None, "Fall", "mild", "Unlikely"),
    Event("als-treg-01", "cold", 200, None, "Upper respiratory infection", "moderate", "Unlikely", grade=2),
    Event("als-treg-02", "chills", 18, "12:30", "Chills", "mild", "Probably-Likely", grade=1),
    Event("als-treg-02", "fatigue", 50, None, "Fatigue", "mild", "Possible"),
    Event("als-treg-03", "constipation", 60, None, "Constipation", "mild", "Unlikely", "ongoing"),
    Event("als-treg-03", "bruising", 150, "09:00", "Bruising", "mild", "Unlikely"),
    Event("als-treg-04", "nausea", 0, "19:00", "Nausea", "mild", "Possible", grade=1),
    Event("als-treg-04", "fatigue", 106, None, "Fatigue", "mild", "possible"),  # the newer, lower-case code
    Event("als-treg-05", "gastrostomy-pain", 75, None, "Stoma site pain", "moderate", "Unlikely", grade=2),
    Event("als-treg-05", "fatigue", 134, None, "Fatigue", "moderate", "Possible", grade=2),
    Event(
        "als-treg-06", "back-pain", -30, None, "Back pain", "mild", "Unlikely", "ongoing"
    ),  # before treatment
    Event("als-treg-06", "headache", 45, None, "Headache", "mild", "Possible", partial="2024-03"),
    Event("als-treg-06", "fall", None, None, "Fall", "mild", "Unlikely"),  # nobody wrote down when
)


def patient(subject: Subject) -> Resource:
    alive = {} if subject.id in ("als-treg-02", "als-treg-05") else {"deceasedBoolean": False}
    return (
        resource("Patient", subject.id, at(subject, -300, "09:00"))
        | {
            "identifier": [{"system": f"{HOSPITAL}/mrn", "value": f"SYNTHETIC-{subject.id[-2:]}"}],
            "active": True,
            "name": [{"family": "Synthetic", "given": [subject.given]}],
            "gender": subject.sex,
            "birthDate": subject.birth,
        }
        | alive
    )


def condition(
    subject: Subject, name: str, code: Resource, onset: str | None, verified: str = "confirmed"
) -> Resource:
    active = {"clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active")}
    return (
        resource("Condition", f"{subject.id}-{name}", at(subject, -200, "15:00"))
        | (active if verified == "confirmed" else {})
        | {
            "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", verified),
            "code": code,
            "subject": patient_of(subject),
        }
        | ({"onsetDateTime": onset} if onset else {})
    )


def conditions(subject: Subject) -> Iterator[Resource]:
    """ALS with its onset as exactly as it is known, and what else the problem list holds."""
    diagnosis = concept(
        SNOMED,
        "86044005",
        "Amyotrophic lateral sclerosis",
        f"Amyotrophic lateral sclerosis, {subject.region} onset",
    )
    billing = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "G12.21"}
    if subject.id == "als-treg-05":
        diagnosis["coding"] = [billing]
    elif subject.id in ("als-treg-01", "als-treg-06"):
        diagnosis["coding"].append(billing)
    onset_elsewhere = subject.id == "als-treg-03"
    yield condition(subject, "als", diagnosis, None if onset_elsewhere else subject.onset)
    if subject.id == "als-treg-03":
        yield condition(subject, "hypertension", {"text": "Hypertension"}, "2011")
    if subject.id == "als-treg-02":
        yield condition(subject, "myasthenia", {"text": "Myasthenia gravis"}, None, verified="refuted")


def onset_observation(subject: Subject) -> Iterator[Resource]:
    """One site keeps the month of symptom onset as an Observation and not in the Condition."""
    if subject.id == "als-treg-03":
        code = concept(LOINC, "65222-2", "Date and time of symptom onset")
        asked = at(subject, -160, "09:40")
        value = {"valueDateTime": subject.onset}
        yield observation(subject, "onset", value, category="survey", code=code, measured=asked)


def adverse_event(subject: Subject, event: Event) -> Resource:
    noted = at(subject, 130 if event.day is None else event.day, event.clock or "12:00")
    when = event.partial or (written(subject, noted) if event.clock else noted.date().isoformat())
    severity = concept(f"{TERMINOLOGY}/adverse-event-severity", event.severity)
    assessment = concept(f"{TERMINOLOGY}/adverse-event-causality-assess", event.causality)
    product = {"reference": f"MedicationAdministration/{subject.id}-day-0-infusion"}
    body = resource("AdverseEvent", f"{subject.id}-{event.name}", later(noted, 48)) | {
        "actuality": "actual",
        "event": {"text": event.term},
        "subject": patient_of(subject),
        "seriousness": concept(f"{TERMINOLOGY}/adverse-event-seriousness", "Non-serious"),
        "severity": severity,
        "outcome": concept(f"{TERMINOLOGY}/adverse-event-outcome", event.outcome),
    }
    if event.day is None or event.day >= 0:
        body["suspectEntity"] = [{"instance": product, "causality": [{"assessment": assessment}]}]
    if event.day is not None:
        body["date"] = when
    if event.grade:
        coded = concept(GRADES, str(event.grade), f"Grade {event.grade}")
        body["extension"] = [{"url": GRADE, "valueCodeableConcept": coded}]
    return body


def adverse_events(subject: Subject) -> Iterator[Resource]:
    return (adverse_event(subject, event) for event in EVENTS if event.subject == subject.id)
