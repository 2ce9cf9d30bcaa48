"""Blood results, neurofilament with its specimens, and body weight, in the units of six laboratories."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from design import Subject
from elements import (
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

NEUROFILAMENT = concept(LOINC, "101281-4", "Neurofilament light chain in Serum or Plasma by Immunoassay")
PLASMA = concept(SNOMED, "119361006", "Plasma specimen")
SERUM = concept(SNOMED, "119364003", "Serum specimen")


@dataclass(frozen=True)
class Test:
    """A blood test in its first unit, and the second unit that some laboratories use."""

    name: str
    code: str
    display: str
    usual: dict[str, float]  # female, male
    spread: float
    normal: dict[str, tuple[float | None, float | None]]
    unit: tuple[str, str]  # UCUM code, unit as shown
    other_unit: tuple[str, str] | None = None
    factor: float = 1.0  # from the first unit to the second
    other_at: frozenset[str] = frozenset()
    digits: int = 0


def both(value: float) -> dict[str, float]:
    return {"female": value, "male": value}


def both_ranges(low: float | None, high: float | None) -> dict[str, tuple[float | None, float | None]]:
    return {"female": (low, high), "male": (low, high)}


TESTS = (
    Test("alt", "1742-6", "ALT", both(27), 7, both_ranges(7, 55), ("U/L", "U/L")),
    Test("ast", "1920-8", "AST", both(24), 5, both_ranges(8, 40), ("U/L", "IU/L")),
    Test(
        "bilirubin",
        "1975-2",
        "Bilirubin total",
        both(0.6),
        0.15,
        both_ranges(0.1, 1.2),
        ("mg/dL", "mg/dL"),
        ("umol/L", "umol/L"),
        17.104,
        frozenset({"als-treg-04", "als-treg-05"}),
        2,
    ),
    Test(
        "creatinine",
        "2160-0",
        "Creatinine",
        {"female": 0.66, "male": 0.82},
        0.05,
        {"female": (0.5, 1.1), "male": (0.6, 1.3)},
        ("mg/dL", "mg/dl"),
        ("umol/L", "\u00b5mol/L"),
        88.42,
        frozenset({"als-treg-03", "als-treg-04"}),
        2,
    ),
    Test(
        "hemoglobin",
        "718-7",
        "Hemoglobin",
        {"female": 13.4, "male": 14.6},
        0.4,
        {"female": (12.0, 15.5), "male": (13.5, 17.5)},
        ("g/dL", "g/dL"),
        ("g/L", "g/L"),
        10,
        frozenset({"als-treg-04", "als-treg-06"}),
        1,
    ),
    Test(
        "platelets",
        "777-3",
        "Platelets",
        both(238),
        22,
        both_ranges(150, 400),
        ("10*3/uL", "K/uL"),
        ("10*9/L", "10*9/L"),
        1,
        frozenset({"als-treg-03", "als-treg-05"}),
    ),
    Test(
        "leukocytes",
        "6690-2",
        "Leukocytes",
        both(6.6),
        0.8,
        both_ranges(4.0, 11.0),
        ("10*9/L", "10^9/L"),
        digits=1,
    ),
)

# What happens to people: mild, passing changes, all below grade 3; values are in the first unit.
FINDINGS = {
    ("als-treg-03", 21, "alt"): 74.0,  # above 55
    ("als-treg-03", 21, "ast"): 51.0,
    ("als-treg-02", 49, "platelets"): 142.0,  # below 150
    ("als-treg-05", 189, "hemoglobin"): 12.9,  # below 13.5
}

# Traps, by subject and day
AMENDED = ("als-treg-01", 105, "alt", 412.0)  # first sent with this value, which would be grade 3
VOIDED = ("als-treg-04", 105, "platelets", 11.0)  # a clotted sample, entered in error, which would be grade 4
REPEATED = ("als-treg-01", 21, "hemoglobin")  # the same line twice
UNIT_SWITCH = ("als-treg-02", "bilirubin", 161)  # from this day on the laboratory reports the other unit
TEXT_UNIT = ("als-treg-06", "platelets")  # a text and no UCUM code
POUNDS = frozenset({"als-treg-01", "als-treg-02"})


def result(subject: Subject, day: int, test: Test, value: float) -> Resource:
    """One blood test before the day's infusion, with the laboratory's own range."""
    switched = (subject.id, test.name) == UNIT_SWITCH[:2] and day >= UNIT_SWITCH[2]
    other = test.other_unit is not None and (subject.id in test.other_at or switched)
    code, shown = test.other_unit if other and test.other_unit else test.unit
    factor, digits = (test.factor, 0 if test.factor >= 10 else test.digits) if other else (1.0, test.digits)

    def sent(amount: float) -> Resource:
        number = round(amount * factor, digits)
        whole = int(number) if number == int(number) else number
        if (subject.id, test.name) == TEXT_UNIT:
            return quantity(whole, unit="thou/mcL")
        return quantity(whole, code, shown)

    low, high = test.normal[subject.sex]
    bounds = ({"low": sent(low)} if low is not None else {}) | (
        {"high": sent(high)} if high is not None else {}
    )
    label = f"day-{day}-{test.name}"
    value_and_range = {"valueQuantity": sent(value), "referenceRange": [bounds]}
    when = at(subject, day, "07:50")
    code_of_test = concept(LOINC, test.code, test.display)
    return observation(
        subject, label, value_and_range, category="laboratory", code=code_of_test, measured=when
    )


def results(subject: Subject, chance: random.Random) -> Iterator[Resource]:
    """Every blood test of every laboratory day, with the amended, voided and repeated ones."""
    for day in subject.lab_days:
        for test in TESTS:
            scatter = sum(chance.random() for _ in range(4)) - 2
            usual = test.usual[subject.sex] + scatter * test.spread
            value = FINDINGS.get((subject.id, day, test.name), usual)
            sent = result(subject, day, test, value)
            if (subject.id, day, test.name) == AMENDED[:3]:
                yield result(subject, day, test, AMENDED[3])
                stored = later(at(subject, day, "07:50"), 27)
                sent |= {
                    "meta": resource("Observation", sent["id"], stored, version=2)["meta"],
                    "status": "amended",
                }
            yield sent
            if (subject.id, day, test.name) == REPEATED:
                yield sent
            if (subject.id, day, test.name) == VOIDED[:3]:
                clotted = result(subject, day, test, VOIDED[3])
                yield clotted | {"id": f"{clotted['id']}-first", "status": "entered-in-error"}
        yield reactive_protein(subject, day, chance)


def reactive_protein(subject: Subject, day: int, chance: random.Random) -> Resource:
    """C reactive protein: often below the limit, and one laboratory sends no unit."""
    value = round(0.4 + 2.2 * chance.random(), 1)
    below = value < 1
    shown = quantity(1 if below else value, None if subject.id == "als-treg-06" else "mg/L")
    if below:
        shown = {"value": shown.pop("value"), "comparator": "<"} | shown
    code = concept(LOINC, "1988-5", "C reactive protein")
    name = f"day-{day}-reactive-protein"
    when = at(subject, day, "07:50")
    return observation(
        subject, name, {"valueQuantity": shown}, category="laboratory", code=code, measured=when
    )


def neurofilament(subject: Subject) -> Iterator[tuple[Resource, Resource]]:
    """Specimen and result: plasma at the site, and once serum from another laboratory before treatment."""
    series = [(day, value, "plasma", PLASMA) for day, value in subject.neurofilament]
    if subject.id == "als-treg-02":
        series.insert(0, (-30, 58.6, "serum", SERUM))
    unit = "ng/L" if subject.id in ("als-treg-04", "als-treg-06") else "pg/mL"
    for day, value, matrix, kind in series:
        drawn = at(subject, day, "07:55")
        label = f"day-{day}-{matrix}-neurofilament"
        tube = resource("Specimen", f"{subject.id}-day-{day}-{matrix}", later(drawn, 2)) | {
            "status": "available",
            "type": kind,
            "subject": patient_of(subject),
            "collection": {"collectedDateTime": written(subject, drawn)},
        }
        sent = {
            "method": {"text": "Single molecule array"},
            "specimen": {"reference": f"Specimen/{tube['id']}"},
            "valueQuantity": quantity(value, unit),
        }
        yield (
            tube,
            observation(subject, label, sent, category="laboratory", code=NEUROFILAMENT, measured=drawn),
        )


def weights(subject: Subject, chance: random.Random) -> Iterator[Resource]:
    """Kilograms or pounds; one clinic sends a bare number, which its overlay says is in kilograms."""
    kilograms = {"female": 64.0, "male": 80.0}[subject.sex] + chance.randrange(-6, 7)
    for day in subject.lab_days:
        kilograms -= chance.randrange(0, 9) / 10
        value = quantity(round(kilograms, 1), "kg")
        if subject.id in POUNDS:
            value = quantity(round(kilograms / 0.45359237, 1), "[lb_av]", "lbs")
        if subject.id == "als-treg-06":
            value = quantity(round(kilograms, 1))
        code = concept(LOINC, "29463-7", "Body weight")
        when = at(subject, day, "08:05")
        sent = {"valueQuantity": value}
        name = f"day-{day}-weight"
        yield observation(subject, name, sent, category="vital-signs", code=code, measured=when)
