"""Infusions of the product and of placebo, their visits, and the temperature around them."""

import random
from collections.abc import Iterator

from design import INTERRUPTED, NOT_DONE, SEED, Subject, scatter
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
    quantity,
    resource,
    written,
)

PRODUCTS = {
    "CK0803": concept(f"{HOSPITAL}/products", "CK0803", "CK0803"),
    "Placebo": concept(f"{HOSPITAL}/products", "CK0803-PLACEBO", "Placebo for CK0803"),
}
INTRAVENOUS = concept(SNOMED, "47625008", "Intravenous route")
MILLION_CELLS = 100.0
START = "10:30"


def dosage(subject: Subject, day: int) -> Resource:
    """Write the cells of the product; a placebo has a rate alone."""
    rate = {"rateQuantity": quantity(70, "mL/h")}
    if subject.arm == "Placebo":
        return {"text": "50 mL placebo", "route": INTRAVENOUS} | rate
    given = MILLION_CELLS
    if subject.number in INTERRUPTED and INTERRUPTED[subject.number][0] == day:
        given = INTERRUPTED[subject.number][1]
    dose = quantity(given, "10*6")
    return {"text": "100 million cells in 50 mL", "route": INTRAVENOUS, "dose": dose} | rate


def infusions(subject: Subject) -> Iterator[Resource]:
    """Every infusion that was given, one that was stopped, and one that was not done."""
    for day in subject.doses:
        stopped = subject.number in INTERRUPTED and INTERRUPTED[subject.number][0] == day
        start = at(subject, day, START)
        stop = later(start, 0.35 if stopped else 0.75)
        head = resource("MedicationAdministration", f"{subject.id}-day-{day}-infusion", later(stop, 1))
        reason = {"statusReason": [{"text": "Infusion reaction"}]} if stopped else {}
        yield (
            head
            | reason
            | {
                "status": "stopped" if stopped else "completed",
                "medicationCodeableConcept": PRODUCTS[subject.arm],
                "subject": patient_of(subject),
                "context": {"reference": f"Encounter/{subject.id}-day-{day}"},
                "effectivePeriod": {"start": written(start), "end": written(stop)},
                "dosage": dosage(subject, day),
            }
        )
    if subject.number in NOT_DONE:
        day, reason_text = NOT_DONE[subject.number]
        planned = at(subject, day, START)
        name = f"{subject.id}-day-{day}-infusion"
        yield resource("MedicationAdministration", name, later(planned, 2)) | {
            "status": "not-done",
            "statusReason": [{"text": reason_text}],
            "medicationCodeableConcept": PRODUCTS[subject.arm],
            "subject": patient_of(subject),
            "effectiveDateTime": written(planned),
        }


def encounters(subject: Subject) -> Iterator[Resource]:
    """Outpatient visits that begin and end on one day."""
    for day in sorted({*subject.doses, *subject.scored}):
        end = "14:30" if day in subject.doses else "11:00"
        yield resource("Encounter", f"{subject.id}-day-{day}", at(subject, day, "16:00")) | {
            "status": "finished",
            "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "subject": patient_of(subject),
            "period": {"start": written(at(subject, day, "07:50")), "end": written(at(subject, day, end))},
        }


def temperatures(subject: Subject) -> Iterator[Resource]:
    """Body temperature before each infusion and two hours after its start."""
    chance = random.Random(f"{SEED} {subject.number} temperature")
    for day in subject.doses:
        fever = subject.number in INTERRUPTED and INTERRUPTED[subject.number][0] == day
        for name, hours in (("before", -0.75), ("after", 2.0)):
            value = round(36.7 + 0.2 * scatter(chance), 1)
            if fever and name == "after":
                value = 38.7
            yield observation(
                subject,
                f"day-{day}-temperature-{name}",
                concept(LOINC, "8310-5", "Body temperature"),
                later(at(subject, day, START), hours),
                {"valueQuantity": quantity(value, "Cel")},
                category="vital-signs",
            )
