"""Weights: a dose per kilogram to a dose, with the body weight nearest before it."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from fhiradapter.cohort.model import Precision

BODY_WEIGHT = "body_weight"  # the concept
OLDEST_WEIGHT = timedelta(days=30)  # a weight older than this says too little about today's
FINAL = frozenset({"final", "amended", "corrected", "appended"})
EXACT = frozenset({Precision.DAY, Precision.SECOND})


class Weight(NamedTuple):
    """One body weight, on a local day."""

    subject: str | None
    on: date
    at: datetime
    kilograms: float


class RelativeDose(NamedTuple):
    """An exposure dosed by body weight, on a local day; None when the day is not known."""

    row_id: str
    subject: str | None
    on: date | None
    cells_per_kilogram: float


def usable_weight(
    row: Mapping[str, Any], *, subject: str | None, low: Decimal | None, high: Decimal | None
) -> Weight | None:
    """Return the weight of a measurement that a dose may rest on, None of any other.

    Usable: final or amended, corrected or appended after that; a number and no bound; of a known day; from
    `low` to `high` kilograms. A slip of the pen, 7000 kg, is kept as a measurement and multiplies no dose.

    >>> row = {"status": "final", "comparator": None, "measured_precision": "day", "value": 70.0,
    ...        "measured_on": date(2024, 3, 1), "measured_at": datetime(2024, 3, 1)}
    >>> usable_weight(row, subject="s", low=Decimal(1), high=Decimal(400)).kilograms
    70.0
    >>> usable_weight({**row, "value": 7000.0}, subject="s", low=Decimal(1), high=Decimal(400)) is None
    True
    """
    kilograms, on, at = row["value"], row["measured_on"], row["measured_at"]
    if row["status"] not in FINAL or row["comparator"] is not None or row["measured_precision"] not in EXACT:
        return None
    if kilograms is None or on is None or at is None:
        return None
    if (low is not None and kilograms < low) or (high is not None and kilograms > high):
        return None
    return Weight(subject, on, at, kilograms)


def absolute_doses(
    doses: Iterable[RelativeDose], weights: Iterable[Weight]
) -> tuple[dict[str, float], list[str]]:
    """Return row_id to dose in cells, and the rows for which there is no weight in the 30 days before.

    Days are those of the site: a weight of the dose's own day counts, whatever the hour that was written
    down, and one of the next day does not. The latest of those that count is taken.

    >>> days = [datetime(2024, 3, day) for day in (1, 10, 12)]
    >>> weights = [Weight("s", at.date(), at, 70.0 + at.day) for at in days]
    >>> absolute_doses([RelativeDose("r", "s", date(2024, 3, 11), 1e6)], weights)
    ({'r': 80000000.0}, [])
    """
    by_subject: dict[str, list[tuple[date, datetime, float]]] = {}
    for weight in weights:
        if weight.subject is not None:
            by_subject.setdefault(weight.subject, []).append((weight.on, weight.at, weight.kilograms))
    found: dict[str, float] = {}
    missing: list[str] = []
    for dose in doses:
        candidates = [
            candidate
            for candidate in by_subject.get(dose.subject or "", ())
            if dose.on is not None and timedelta(0) <= dose.on - candidate[0] <= OLDEST_WEIGHT
        ]
        if candidates:
            found[dose.row_id] = max(candidates)[-1] * dose.cells_per_kilogram
        else:
            missing.append(dose.row_id)
    return found, missing
