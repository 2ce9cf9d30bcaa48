"""Patients, their enrolment, diagnoses and adverse events."""

import random
from collections.abc import Iterator
from datetime import datetime

from design import DEATHS, INTERRUPTED, LEFT, SEED, VENTILATED, Subject
from elements import (
    CLINIC,
    HOSPITAL,
    SNOMED,
    TERMINOLOGY,
    Resource,
    at,
    concept,
    day_of,
    later,
    patient_of,
    resource,
    written,
)

GRADE = "http://hl7.org/fhir/us/ctcae/StructureDefinition/ctcae-grade"
GRADES = "http://hl7.org/fhir/us/ctcae/CodeSystem/ctcae-grade-code-system"
STUDY = "synthetic-regals"
REGISTRY = "synthetic-natural-history"
IN_THE_REGISTRY = frozenset({5, 15})  # enrolled elsewhere as well, in an arm of that study
ONLY_ASSIGNED = frozenset({7, 18})  # nobody wrote down which arm was followed
# term, severity, chance in a hundred that a subject has it, body system
COMMON = (
    ("Fall", "mild", 35, "Injury, poisoning and procedural complications"),
    ("Headache", "mild", 30, "Nervous system disorders"),
    ("Fatigue", "mild", 25, "General disorders and administration site conditions"),
    ("Constipation", "mild", 20, "Gastrointestinal disorders"),
    ("Muscle spasms", "moderate", 15, "Musculoskeletal and connective tissue disorders"),
    ("Upper respiratory infection", "moderate", 20, "Infections and infestations"),
    ("Nausea", "mild", 15, "Gastrointestinal disorders"),
)
SEVERITY_GRADE = {"mild": 1, "moderate": 2, "severe": 3}


def patient(subject: Subject) -> Resource:
    fate: Resource = {"deceasedBoolean": False}
    if subject.number in DEATHS:
        fate = {"deceasedDateTime": day_of(subject, DEATHS[subject.number]).isoformat()}
    return (
        resource("Patient", subject.id, at(subject, subject.last_day, "18:00"))
        | fate
        | {
            "identifier": [{"system": f"{HOSPITAL}/subjects", "value": f"SYNTHETIC-{subject.number:02d}"}],
            "active": True,
            "name": [{"family": "Synthetic", "given": [subject.given]}],
            "gender": subject.sex,
            "birthDate": subject.birth,
        }
    )


def studies() -> Iterator[Resource]:
    """Write the two studies that people are enrolled in; neither is a real one."""
    filed = datetime(2023, 1, 9, 12, tzinfo=CLINIC)
    titles = {
        STUDY: "SYNTHETIC study in the form of a randomised trial of CK0803 in ALS",
        REGISTRY: "SYNTHETIC registry of the course of ALS",
    }
    for name, title in titles.items():
        arms = {"arm": [{"name": "CK0803"}, {"name": "Placebo"}]} if name == STUDY else {}
        yield (
            resource("ResearchStudy", name, filed)
            | {
                "identifier": [{"system": f"{HOSPITAL}/studies", "value": name.upper()}],
                "status": "active",
                "title": title,
            }
            | arms
        )


def enrolments(subject: Subject) -> Iterator[Resource]:
    """Write the enrolment with its arm, and for some the one in the other study."""
    status = "withdrawn" if subject.number in LEFT else "off-study"
    arms = {"assignedArm": subject.arm}
    if subject.number not in ONLY_ASSIGNED:
        arms["actualArm"] = subject.arm
    period = {
        "start": day_of(subject, -28).isoformat(),
        "end": day_of(subject, subject.last_day).isoformat(),
    }
    yield (
        resource("ResearchSubject", f"{subject.id}-enrolment", at(subject, subject.last_day, "18:00"))
        | {
            "status": status,
            "period": period,
            "study": {"reference": f"ResearchStudy/{STUDY}"},
            "individual": patient_of(subject),
        }
        | arms
    )
    if subject.number in IN_THE_REGISTRY:
        yield resource("ResearchSubject", f"{subject.id}-registry", at(subject, 30, "12:00")) | {
            "status": "on-study",
            "period": {"start": day_of(subject, 28).isoformat()},
            "study": {"reference": f"ResearchStudy/{REGISTRY}"},
            "individual": patient_of(subject),
            "actualArm": "Registry",
        }


def conditions(subject: Subject) -> Iterator[Resource]:
    """ALS with its onset, and dependence on a ventilator where that came."""
    found = [("als", concept(SNOMED, "86044005", "Amyotrophic lateral sclerosis"), subject.onset, -56)]
    if subject.number in VENTILATED:
        day = VENTILATED[subject.number]
        code = concept(SNOMED, "444932008", "Dependence on ventilator")
        found.append(("ventilator", code, day_of(subject, day).isoformat(), day))
    for name, code, onset, noted in found:
        yield resource("Condition", f"{subject.id}-{name}", at(subject, noted, "15:00")) | {
            "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active"),
            "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
            "code": code,
            "subject": patient_of(subject),
            "onsetDateTime": onset,
        }


def adverse_event(
    subject: Subject,
    name: str,
    when: datetime,
    *,
    term: str,
    system: str,
    grade: int,
    related: bool = False,
    serious: bool = False,
    outcome: str = "resolved",
) -> Resource:
    severity = next((word for word, number in SEVERITY_GRADE.items() if number == min(grade, 3)), "severe")
    product = {"reference": f"MedicationAdministration/{subject.id}-day-0-infusion"}
    relation = concept(f"{TERMINOLOGY}/adverse-event-causality-assess", "Probable" if related else "Unlikely")
    return resource("AdverseEvent", f"{subject.id}-{name}", later(when, 30)) | {
        "extension": [{"url": GRADE, "valueCodeableConcept": concept(GRADES, str(grade), f"Grade {grade}")}],
        "actuality": "actual",
        "category": [{"text": system}],
        "event": {"text": term},
        "subject": patient_of(subject),
        "date": written(when),
        "seriousness": concept(
            f"{TERMINOLOGY}/adverse-event-seriousness", "Serious" if serious else "Non-serious"
        ),
        "severity": concept(f"{TERMINOLOGY}/adverse-event-severity", severity),
        "outcome": concept(f"{TERMINOLOGY}/adverse-event-outcome", outcome),
        "suspectEntity": [{"instance": product, "causality": [{"assessment": relation}]}],
    }


def adverse_events(subject: Subject) -> Iterator[Resource]:
    """Write common complaints of either arm, an infusion reaction, two pneumonias and the fatal events."""
    chance = random.Random(f"{SEED} {subject.number} events")
    for term, severity, percent, system in COMMON:
        if chance.randrange(100) < percent:
            day = chance.randrange(-20, min(subject.last_day, 230))
            name = f"{term.lower().replace(' ', '-')}"
            yield adverse_event(
                subject,
                name,
                at(subject, day, "15:20"),
                term=term,
                system=system,
                grade=SEVERITY_GRADE[severity],
                related=term in ("Headache", "Fatigue") and chance.randrange(100) < 30,
            )
    if subject.number in INTERRUPTED:
        yield adverse_event(
            subject,
            "infusion-reaction",
            at(subject, INTERRUPTED[subject.number][0], "11:05"),
            term="Infusion related reaction",
            system="Injury, poisoning and procedural complications",
            grade=2,
            related=True,
        )
    if subject.number in (10, 21):
        yield adverse_event(
            subject,
            "pneumonia",
            at(subject, 90 + subject.number, "21:00"),
            term="Pneumonia",
            system="Infections and infestations",
            grade=3,
            serious=True,
        )
    if subject.number in DEATHS:
        yield adverse_event(
            subject,
            "respiratory-failure",
            at(subject, DEATHS[subject.number], "04:30"),
            term="Respiratory failure",
            system="Respiratory, thoracic and mediastinal disorders",
            grade=5,
            serious=True,
            outcome="fatal",
        )
