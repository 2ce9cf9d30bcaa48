"""Infusions of the product, their visits, what was given around them, and other medication."""

import random
from collections.abc import Iterator

from design import Subject
from elements import (
    HOSPITAL,
    LOINC,
    RXNORM,
    SNOMED,
    TERMINOLOGY,
    Resource,
    at,
    concept,
    day_of,
    later,
    observation,
    patient_of,
    quantity,
    resource,
    written,
)

LOTS = ("CK-SYN-101", "CK-SYN-102")
PRODUCT = concept(f"{HOSPITAL}/products", "CK0801", "CK0801 T regulatory cells", "CK0801")
INTRAVENOUS = concept(SNOMED, "47625008", "Intravenous route")
ACETAMINOPHEN = concept(RXNORM, "161", "acetaminophen")
DIPHENHYDRAMINE = concept(RXNORM, "3498", "diphenhydramine")

# 100 x 10^6 cells, as six systems write it
DOSES = {
    "als-treg-01": quantity(100, "10*6", "10*6 cells"),
    "als-treg-02": quantity(100_000_000, "{cells}", "cells"),
    "als-treg-03": quantity(100, unit="million cells"),
    "als-treg-04": quantity(100, "10*6.{cells}", "10*6 cells"),
    "als-treg-05": quantity(100, "10*6", "10*6 cells"),
    "als-treg-06": quantity(100, unit="cells (millions)"),
}
PREMEDICATION = {
    "als-treg-01": (ACETAMINOPHEN, 650),
    "als-treg-03": (DIPHENHYDRAMINE, 25),
    "als-treg-05": (ACETAMINOPHEN, 500),
}
BACKGROUND = {  # before and during the whole study
    "als-treg-01": concept(RXNORM, "35623", "riluzole"),
    "als-treg-02": concept(RXNORM, "35623", "riluzole"),
    "als-treg-03": concept(RXNORM, "1921877", "edaravone"),
    "als-treg-04": concept(RXNORM, "35623", "riluzole"),
    "als-treg-06": concept(RXNORM, "35623", "riluzole"),
}

# Traps, by subject and day
LATE_VISIT = ("als-treg-05", 133)  # goes home at 20:15, which is the next day in UTC
CHARTED_TWICE = ("als-treg-04", 7)  # the second chart entry was voided
FEVER = ("als-treg-02", 18)  # 38.1 Cel after the infusion, with an adverse event


def medications(subjects: tuple[Subject, ...]) -> Iterator[Resource]:
    """Write the lots that infusions of two subjects point to, in a file of their own."""
    filed = at(min(subjects, key=lambda subject: subject.first_dose), -30, "12:00")
    for lot in LOTS:
        yield resource("Medication", lot.lower(), filed) | {
            "code": PRODUCT,
            "status": "active",
            "batch": {"lotNumber": lot},
        }


def medication_of(subject: Subject, day: int) -> Resource:
    """Medication[x] in the site's way: another file, contained, a local code, or words alone."""
    lot = LOTS[day > 100]
    if subject.id in ("als-treg-01", "als-treg-02"):
        return {"medicationReference": {"reference": f"Medication/{lot.lower()}"}}
    if subject.id in ("als-treg-03", "als-treg-04"):
        contained = {
            "resourceType": "Medication",
            "id": "product",
            "code": PRODUCT,
            "batch": {"lotNumber": lot},
        }
        return {"contained": [contained], "medicationReference": {"reference": "#product"}}
    if subject.id == "als-treg-05":
        return {"medicationCodeableConcept": PRODUCT}
    return {"medicationCodeableConcept": {"text": "CK0801 Treg infusion"}}


def start_clock(subject: Subject, day: int) -> str:
    return "16:10" if (subject.id, day) == LATE_VISIT else "10:30"


def infusion(subject: Subject, day: int) -> Resource:
    start = at(subject, day, start_clock(subject, day))
    stop = later(start, 0.75)
    given = (
        {"effectiveDateTime": written(subject, start)}
        if subject.id == "als-treg-06"
        else {"effectivePeriod": {"start": written(subject, start), "end": written(subject, stop)}}
    )
    dosage = {
        "text": "100 million cells in 50 mL",
        "route": INTRAVENOUS,
        "dose": DOSES[subject.id],
        "rateQuantity": quantity(70, "mL/h"),
    }
    head = resource("MedicationAdministration", f"{subject.id}-day-{day}-infusion", later(stop, 1))
    return (
        head
        | medication_of(subject, day)
        | {
            "status": "completed",
            "subject": patient_of(subject),
            "context": {"reference": f"Encounter/{subject.id}-day-{day}-infusion"},
        }
        | given
        | {"dosage": dosage}
    )


def not_given(subject: Subject) -> Iterator[Resource]:
    """Write the planned doses that were not given, with reasons, and the chart entry that was voided."""
    if subject.not_done:
        day, reason = subject.not_done
        planned = at(subject, day, "10:30")
        local = concept(f"{HOSPITAL}/reasons", "NOT-GIVEN", None, reason)
        yield resource("MedicationAdministration", f"{subject.id}-day-{day}-infusion", later(planned, 2)) | (
            medication_of(subject, day)
            | {
                "status": "not-done",
                "statusReason": [local],
                "subject": patient_of(subject),
                "effectiveDateTime": day_of(subject, day).isoformat()
                if subject.id == "als-treg-02"
                else written(subject, planned),
            }
        )
    if subject.id == CHARTED_TWICE[0]:
        voided = infusion(subject, CHARTED_TWICE[1])
        start = at(subject, CHARTED_TWICE[1], "11:45")
        head = resource("MedicationAdministration", f"{voided['id']}-again", later(start, 30), version=2)
        period = {"start": written(subject, start), "end": written(subject, later(start, 0.75))}
        yield voided | head | {"status": "entered-in-error", "effectivePeriod": period}


def premedication(subject: Subject, day: int) -> Iterator[Resource]:
    if subject.id not in PREMEDICATION:
        return
    drug, milligrams = PREMEDICATION[subject.id]
    given = later(at(subject, day, start_clock(subject, day)), -0.5)
    head = resource("MedicationAdministration", f"{subject.id}-day-{day}-premedication", later(given, 3))
    yield head | {
        "status": "completed",
        "medicationCodeableConcept": drug,
        "subject": patient_of(subject),
        "context": {"reference": f"Encounter/{subject.id}-day-{day}-infusion"},
        "effectiveDateTime": written(subject, given),
        "dosage": {"dose": quantity(milligrams, "mg")},
    }


def encounter(subject: Subject, day: int, purpose: str) -> Resource:
    """Write an outpatient visit that begins and ends on one day at the clinic."""
    late = (subject.id, day) == LATE_VISIT
    start, stop = (
        ("14:00", "20:15") if late else (("08:00", "14:30") if purpose == "infusion" else ("08:15", "10:45"))
    )
    return resource("Encounter", f"{subject.id}-day-{day}-{purpose}", later(at(subject, day, stop), 1)) | {
        "status": "finished",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [{"text": f"Outpatient {purpose} visit"}],
        "subject": patient_of(subject),
        "period": {
            "start": written(subject, at(subject, day, start)),
            "end": written(subject, at(subject, day, stop)),
        },
    }


def vital_signs(subject: Subject, day: int, chance: random.Random) -> Iterator[Resource]:
    """Blood pressure, pulse and temperature before an infusion and one hour after its start."""
    resting = 118 + 2 * int(subject.id[-1])
    for moment, hours, shift in (("before", -0.75, 0), ("after", 1.0, -5)):
        when = later(at(subject, day, start_clock(subject, day)), hours)
        systolic = resting + shift + chance.randrange(-7, 8)
        temperature = round(36.5 + (0.2 if shift else 0) + chance.randrange(0, 6) / 10, 1)
        if (subject.id, day) == FEVER and shift:
            temperature = 38.1
        pressure = [
            {
                "code": concept(LOINC, "8480-6", "Systolic blood pressure"),
                "valueQuantity": quantity(systolic, "mm[Hg]"),
            },
            {
                "code": concept(LOINC, "8462-4", "Diastolic blood pressure"),
                "valueQuantity": quantity(systolic - 44 + chance.randrange(-4, 5), "mm[Hg]"),
            },
        ]
        warmth = quantity(temperature, "Cel", "\u00b0C")
        if subject.id == "als-treg-04":  # this ward's thermometers are in Fahrenheit
            warmth = quantity(round(temperature * 1.8 + 32, 1), "[degF]", "\u00b0F")
        pulse = quantity(70 + chance.randrange(-8, 14), "/min")
        for name, code, display, value in (
            ("pressure", "85354-9", "Blood pressure panel", {"component": pressure}),
            ("pulse", "8867-4", "Heart rate", {"valueQuantity": pulse}),
            ("temperature", "8310-5", "Body temperature", {"valueQuantity": warmth}),
        ):
            label = f"day-{day}-{moment}-{name}"
            coded = concept(LOINC, code, display)
            yield observation(subject, label, value, category="vital-signs", code=coded, measured=when)


def background(subject: Subject) -> Iterator[Resource]:
    """Licensed ALS medication, which the protocol allows."""
    if subject.id in BACKGROUND:
        began = at(subject, -200, "12:00")
        yield resource("MedicationStatement", f"{subject.id}-background", later(began, 24)) | {
            "status": "active",
            "medicationCodeableConcept": BACKGROUND[subject.id],
            "subject": patient_of(subject),
            "effectivePeriod": {"start": began.date().isoformat()},
        }
