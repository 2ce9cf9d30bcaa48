"""Slow vital capacity on the days of neurofilament: percent predicted, and litres from one clinic."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from design import Subject
from elements import LOINC, Resource, at, concept, observation, quantity

PERCENT = concept(LOINC, "98088-8", "Slow vital capacity % predicted")
LITRES = concept(LOINC, "19866-3", "Vital capacity by spirometry (slow)")
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True)
class Lung:
    """Percent predicted on day 0, points lost per month from then on, and the litres that 100 % stand for."""

    at_first_dose: float
    lost: float
    predicted: float


LUNGS = {
    "als-treg-01": Lung(84, 0.5, 3.4),
    "als-treg-02": Lung(92, 0.3, 4.6),
    "als-treg-03": Lung(68, 1.1, 4.1),
    "als-treg-04": Lung(97, 0.2, 3.9),
    "als-treg-05": Lung(61, 1.0, 4.3),
    "als-treg-06": Lung(76, 0.7, 3.6),
}
LITRES_AT = frozenset({"als-treg-04"})  # a second number from the same breath, not to be mixed with the first


def vital_capacity(subject: Subject, chance: random.Random) -> Iterator[Resource]:
    """One measurement before the day's infusion, scattered by up to three points."""
    lung = LUNGS[subject.id]
    for day, _ in subject.neurofilament:
        drawn = lung.at_first_dose - lung.lost * day / DAYS_PER_MONTH + 6 * chance.random() - 3
        percent = round(drawn)
        when = at(subject, day, "08:20")
        sent = {"valueQuantity": quantity(percent, "%")}
        yield observation(
            subject, f"day-{day}-svc-percent", sent, category="procedure", code=PERCENT, measured=when
        )
        if subject.id in LITRES_AT:
            sent = {"valueQuantity": quantity(round(percent * lung.predicted / 100, 2), "L")}
            yield observation(
                subject, f"day-{day}-svc-litres", sent, category="procedure", code=LITRES, measured=when
            )
