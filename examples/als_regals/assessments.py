"""Scores, slow vital capacity, blood and neurofilament."""

import math
import random
from collections.abc import Iterator

from design import GASTROSTOMY, QUESTIONNAIRE_SITE, SEED, Subject, scatter
from elements import (
    HOSPITAL,
    LOINC,
    SNOMED,
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

DAYS_PER_MONTH = 30.4375
ITEMS = {
    "01": ("82940-8", "Speech"),
    "02": ("82941-6", "Salivation"),
    "03": ("82942-4", "Swallowing"),
    "04": ("82943-2", "Handwriting"),
    "05": ("82944-0", "Cutting food without gastrostomy"),
    "06": ("82946-5", "Dressing and hygiene"),
    "07": ("82947-3", "Turning in bed"),
    "08": ("82948-1", "Walking"),
    "09": ("82949-9", "Climbing stairs"),
    "10": ("82950-7", "Dyspnea"),
    "11": ("82951-5", "Orthopnea"),
    "12": ("82952-3", "Respiratory insufficiency"),
}
WITH_GASTROSTOMY = ("82945-7", "Cutting food with gastrostomy")
FRAILTY = {
    "spinal": (1, 1, 1, 4, 4, 4, 3, 4, 5, 2, 2, 1),
    "bulbar": (5, 5, 4, 2, 2, 2, 2, 2, 3, 2, 2, 1),
}
PANEL = concept(LOINC, "82954-9", "ALS functional rating scale - revised panel")
QUESTIONNAIRE = f"{HOSPITAL}/Questionnaire/alsfrs-r"
CAPACITY = concept(LOINC, "98088-8", "Slow vital capacity % predicted")
NEUROFILAMENT = concept(LOINC, "101281-4", "Neurofilament light chain in Serum or Plasma by Immunoassay")
SERUM = concept(SNOMED, "119364003", "Serum specimen")

# name -> code, display, usual value, spread, unit, lower and upper limit of normal, digits
TESTS = {
    "alt": ("1742-6", "ALT", 26.0, 6.0, "U/L", None, 50.0, 0),
    "ast": ("1920-8", "AST", 24.0, 5.0, "U/L", None, 40.0, 0),
    "bilirubin": ("1975-2", "Bilirubin total", 0.6, 0.15, "mg/dL", 0.1, 1.2, 1),
    "creatinine": ("2160-0", "Creatinine", 0.7, 0.07, "mg/dL", 0.5, 1.2, 2),
    "hemoglobin": ("718-7", "Hemoglobin", 14.0, 0.6, "g/dL", 12.0, 17.0, 1),
    "platelets": ("777-3", "Platelets", 240.0, 30.0, "10*3/uL", 150.0, 400.0, 0),
}
FINDINGS = {(8, 49, "alt"): 88.0, (8, 49, "ast"): 66.0, (19, 105, "hemoglobin"): 11.4, (3, 161, "alt"): 64.0}


def totals(subject: Subject) -> dict[int, int]:
    """Day -> total, scattered by about a point around a line that bends at the first dose and at its end."""
    chance = random.Random(f"{SEED} {subject.number} scores")
    before, during, after = subject.slopes
    end = max(subject.doses) + 30
    found = {}
    for day in subject.scored:
        line = (
            subject.baseline_score
            + (before * min(day, 0) + during * min(max(day, 0), end) + after * max(day - end, 0))
            / DAYS_PER_MONTH
        )
        noise = 0.0 if day == 0 else 0.9 * scatter(chance)
        found[day] = min(47, max(2, round(line + noise)))
    return found


def items(subject: Subject) -> dict[int, dict[str, int]]:
    """Day -> item -> 0-4, summing to the total; points are lost and won back one at a time."""
    chance = random.Random(f"{SEED} {subject.number} items")
    names = list(ITEMS)
    frailty = dict(zip(names, FRAILTY[subject.region], strict=True))
    now = dict.fromkeys(names, 4)
    visits = {}
    for day, total in totals(subject).items():
        while sum(now.values()) != total:
            falling = sum(now.values()) > total
            weights = [frailty[name] * (now[name] if falling else 4 - now[name]) for name in names]
            now[chance.choices(names, weights)[0]] += -1 if falling else 1
        visits[day] = dict(now)
    return visits


def code_of(subject: Subject, day: int, name: str) -> tuple[str, str]:
    """Item 5 is asked in another form once there is a gastrostomy."""
    fed = subject.number in GASTROSTOMY and day >= GASTROSTOMY[subject.number]
    return WITH_GASTROSTOMY if fed and name == "05" else ITEMS[name]


def scores(subject: Subject) -> Iterator[Resource]:
    """Forms at one hospital, panels with components at the other."""
    for day, answers in items(subject).items():
        when = at(subject, day, "09:10")
        name = f"day-{day}-alsfrs-r"
        if subject.number in QUESTIONNAIRE_SITE:
            questions = [
                {
                    "linkId": f"alsfrsr.{'5b' if code == WITH_GASTROSTOMY[0] else int(item)}",
                    "text": text,
                    "answer": [{"valueInteger": answer}],
                }
                for item, answer in answers.items()
                for code, text in [code_of(subject, day, item)]
            ]
            yield resource("QuestionnaireResponse", f"{subject.id}-{name}", later(when, 2)) | {
                "questionnaire": QUESTIONNAIRE,
                "status": "completed",
                "subject": patient_of(subject),
                "authored": written(when),
                "item": questions,
            }
        else:
            components = [
                {"code": concept(LOINC, *code_of(subject, day, item)), "valueInteger": answer}
                for item, answer in answers.items()
            ]
            yield observation(subject, name, PANEL, when, {"component": components}, category="survey")


def capacity(subject: Subject) -> Iterator[Resource]:
    """Slow vital capacity falls with the score, by about two points of percent for one."""
    chance = random.Random(f"{SEED} {subject.number} capacity")
    start = 88 + 8 * scatter(chance)
    for day, total in totals(subject).items():
        value = max(20, round(start + 1.8 * (total - subject.baseline_score) + 2 * scatter(chance)))
        yield observation(
            subject,
            f"day-{day}-svc",
            CAPACITY,
            at(subject, day, "09:40"),
            {"valueQuantity": quantity(value, "%")},
            category="exam",
        )


def neurofilament(subject: Subject) -> Iterator[Resource]:
    """Serum neurofilament light is high where the score falls fast, and drifts a little."""
    chance = random.Random(f"{SEED} {subject.number} neurofilament")
    level = math.log(45) + 0.55 * (-subject.slopes[0] - 1) + 0.3 * scatter(chance)
    drift = -0.14 if subject.arm == "CK0803" else 0.02
    tube = {"resourceType": "Specimen", "id": "tube", "type": SERUM}
    for day in subject.sampled:
        value = round(math.exp(level + drift * day / 245 + 0.09 * scatter(chance)), 1)
        sample = {
            "valueQuantity": quantity(value, "pg/mL"),
            "specimen": {"reference": "#tube"},
            "contained": [tube],
        }
        when = at(subject, day, "08:05")
        yield observation(subject, f"day-{day}-nfl", NEUROFILAMENT, when, sample, category="laboratory")


def blood(subject: Subject) -> Iterator[Resource]:
    """Six tests before the infusion of five visits."""
    chance = random.Random(f"{SEED} {subject.number} blood")
    for day in subject.sampled:
        for name, (code, display, usual, spread, unit, low, high, digits) in TESTS.items():
            drawn = round(usual + spread * scatter(chance), digits)
            value = FINDINGS.get((subject.number, day, name), drawn)
            limits = {
                bound: quantity(limit, unit)
                for bound, limit in (("low", low), ("high", high))
                if limit is not None
            }
            yield observation(
                subject,
                f"day-{day}-{name}",
                concept(LOINC, code, display),
                at(subject, day, "08:00"),
                {"valueQuantity": quantity(value, unit), "referenceRange": [limits]},
                category="laboratory",
            )
