"""ALSFRS-R as six hospital systems send it: items, panels, questionnaires and bare totals."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from design import Subject
from elements import (
    HOSPITAL,
    LOINC,
    ORDINAL,
    UCUM,
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

CODES = {
    "01_speech": ("82940-8", "Speech"),
    "02_salivation": ("82941-6", "Salivation"),
    "03_swallowing": ("82942-4", "Swallowing"),
    "04_handwriting": ("82943-2", "Handwriting"),
    "05_cutting": ("82944-0", "Cutting food without gastrostomy"),
    "05b_cutting": ("82945-7", "Cutting food with gastrostomy"),
    "06_dressing": ("82946-5", "Dressing and hygiene"),
    "07_turning": ("82947-3", "Turning in bed"),
    "08_walking": ("82948-1", "Walking"),
    "09_stairs": ("82949-9", "Climbing stairs"),
    "10_dyspnea": ("82950-7", "Dyspnea"),
    "11_orthopnea": ("82951-5", "Orthopnea"),
    "12_respiratory": ("82952-3", "Respiratory insufficiency"),
}
TOTAL = concept(LOINC, "82953-1", "ALSFRS-R total score")
PANEL = concept(LOINC, "82954-9", "ALS functional rating scale - revised panel")
LOCAL_TOTAL = concept(f"{HOSPITAL}/codes", "ALSFRSR-TOT", "ALSFRS-R sum")
TEXT_TOTAL = {"text": "ALSFRS-R total (clinic form)"}
QUESTIONNAIRE = f"{HOSPITAL}/Questionnaire/alsfrs-r"

# Traps, by subject and day
EVENING = ("als-treg-02", 217)  # scored at 20:40 and written in UTC: the next day there
DATE_ONLY = ("als-treg-03", 0)  # the day of the first dose, without a clock time
MISSING_ITEM = ("als-treg-02", 105)  # eleven items and a reported total
WRONG_TOTAL = ("als-treg-03", 133)  # the reported total is one more than its items
VERSIONED_FORM = ("als-treg-04", 652)  # the questionnaire's canonical carries |1.2
OLD_VERSION = ("als-treg-06", 77)  # version 1, two digits swapped, comes after version 2 in the file
GASTROSTOMY = ("als-treg-05", 77)  # from this day on item 5b and no longer 5a


@dataclass(frozen=True)
class Visit:
    """The twelve items of one subject on one day."""

    subject: Subject
    day: int
    items: dict[str, int]
    when: datetime

    @property
    def key(self) -> tuple[str, int]:
        """Subject and day, as the traps name them."""
        return self.subject.id, self.day

    @property
    def total(self) -> int:
        """Sum of the items, 0-48."""
        return sum(self.items.values())


def item_code(name: str) -> Resource:
    code, display = CODES[name]
    return concept(LOINC, code, display)


def choice(score: int) -> Resource:
    """Write an answer of a list, with the number it stands for as the ordinal-value extension."""
    return {
        "extension": [{"url": ORDINAL, "valueDecimal": score}],
        "system": f"{HOSPITAL}/answers",
        "code": f"A{score}",
        "display": f"Level {score} of 4",
    }


def scored(visit: Visit, name: str, code: Resource, value: Resource) -> Resource:
    label = f"day-{visit.day}-alsfrs-r-{name}"
    return observation(visit.subject, label, value, category="survey", code=code, measured=visit.when)


def bare_total(visit: Visit) -> Iterator[Resource]:
    """Only the sum, in the way of each site."""
    total = visit.total
    code, value = {
        "als-treg-01": (TOTAL, {"valueInteger": total}),
        "als-treg-02": (TOTAL, {"valueQuantity": quantity(total, "{score}", "score")}),
        "als-treg-03": (TOTAL, {"valueQuantity": quantity(total, "1")}),
        "als-treg-04": (TOTAL, {"valueQuantity": quantity(total)}),
        "als-treg-05": (LOCAL_TOTAL, {"valueInteger": total}),
        "als-treg-06": (TEXT_TOTAL, {"valueString": str(total)}),
    }[visit.subject.id]
    current = scored(visit, "total", code, value)
    if visit.key != OLD_VERSION:
        yield current
        return
    swapped = str(total)[::-1]
    corrected = resource("Observation", current["id"], later(visit.when, 50), version=2)["meta"]
    yield current | {"meta": corrected, "status": "corrected"}
    yield current | {"valueString": swapped}


def items_and_total(visit: Visit) -> Iterator[Resource]:
    """Twelve Observations and a thirteenth with the sum."""
    for name, score in visit.items.items():
        yield scored(visit, name[:2], item_code(name), {"valueInteger": score})
    yield scored(visit, "total", TOTAL, {"valueInteger": visit.total})


def panel_of_members(visit: Visit) -> Iterator[Resource]:
    """Write a panel that points to its items; every second visit it points to a total as well."""
    in_utc = visit.key == EVENING
    if in_utc:
        visit = replace(visit, when=at(visit.subject, visit.day, "20:40"))
    members = [
        scored(visit, name[:2], item_code(name), {"valueQuantity": quantity(score, "{score}", "score")})
        for name, score in visit.items.items()
        if visit.key != MISSING_ITEM or name != "09_stairs"
    ]
    if visit.day % 2:
        total = {"valueQuantity": quantity(visit.total, "{score}", "score")}
        members.append(scored(visit, "total", TOTAL, total))
    references = [{"reference": f"Observation/{member['id']}"} for member in members]
    for member in [scored(visit, "panel", PANEL, {"hasMember": references}), *members]:
        yield member | {"effectiveDateTime": written(visit.subject, visit.when, utc=in_utc)}


def panel_of_components(visit: Visit) -> Iterator[Resource]:
    """Write one Observation with twelve components in "1" or a blank unit; some carry the total too."""
    unit = {"system": UCUM, "code": "1"} if visit.day % 2 else {"unit": " "}
    components = [
        {"code": item_code(name), "valueQuantity": {"value": score} | unit}
        for name, score in visit.items.items()
    ]
    if visit.day in (0, WRONG_TOTAL[1], 270):
        reported = visit.total + (visit.key == WRONG_TOTAL)
        components.append({"code": TOTAL, "valueQuantity": {"value": reported} | unit})
    panel = scored(visit, "panel", PANEL, {"component": components})
    if visit.key == DATE_ONLY:
        panel["effectiveDateTime"] = visit.when.date().isoformat()
    yield panel


def questionnaire(visit: Visit) -> Iterator[Resource]:
    """Write a form that only linkId explains; answers are integers, or choices at later visits."""
    questions = [
        {
            "linkId": f"alsfrsr.{int(name[:2])}",
            "text": CODES[name][1],
            "answer": [{"valueInteger": score} if visit.day < 200 else {"valueCoding": choice(score)}],
        }
        for name, score in visit.items.items()
    ]
    if visit.day % 2:
        questions.append(
            {"linkId": "alsfrsr.total", "text": "Sum", "answer": [{"valueInteger": visit.total}]}
        )
    subject = visit.subject
    name = f"{subject.id}-day-{visit.day}-alsfrs-r"
    yield resource("QuestionnaireResponse", name, later(visit.when, 3)) | {
        "questionnaire": QUESTIONNAIRE + ("|1.2" if visit.key == VERSIONED_FORM else ""),
        "status": "completed",
        "subject": patient_of(subject),
        "authored": written(subject, visit.when),
        "item": [{"linkId": "alsfrsr", "text": "ALSFRS-R", "item": questions}],
    }


def coded_items(visit: Visit) -> Iterator[Resource]:
    """Items as choices of an answer list; nobody reports the sum."""
    for name, score in visit.items.items():
        item = "05b_cutting" if name == "05_cutting" and visit.day >= GASTROSTOMY[1] else name
        yield scored(visit, name[:2], item_code(item), {"valueCodeableConcept": {"coding": [choice(score)]}})


SHAPES: dict[str, Callable[[Visit], Iterator[Resource]]] = {
    "als-treg-01": items_and_total,
    "als-treg-02": panel_of_members,
    "als-treg-03": panel_of_components,
    "als-treg-04": questionnaire,
    "als-treg-05": coded_items,
    "als-treg-06": bare_total,
}


def assessments(subject: Subject, visits: dict[int, dict[str, int]]) -> Iterator[Resource]:
    """Every visit's score: bare totals from the referring clinic before treatment, then the site's shape."""
    for day, items in visits.items():
        shape = SHAPES[subject.id] if day >= 0 else bare_total
        yield from shape(Visit(subject, day, items, at(subject, day, "08:40" if day % 2 else "09:10")))
