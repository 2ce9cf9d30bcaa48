"""Weights: a dose per kilogram to a dose, with the body weight nearest before it."""

from collections.abc import Iterable
from typing import NamedTuple

MICROSECONDS_PER_DAY = 86_400_000_000
OLDEST_WEIGHT_DAYS = 30  # a weight older than this says too little about today's


class Weight(NamedTuple):
    """One body weight."""

    subject: str | None
    at: int | None
    kilograms: float | None


class RelativeDose(NamedTuple):
    """An exposure dosed by body weight."""

    row_id: str
    subject: str | None
    at: int | None
    cells_per_kilogram: float


def absolute_doses(
    doses: Iterable[RelativeDose], weights: Iterable[Weight]
) -> tuple[dict[str, float], list[str]]:
    """Return row_id to dose in cells, and the rows for which there is no weight in the 30 days before.

    >>> day = MICROSECONDS_PER_DAY
    >>> weights = [Weight("s", 0, 70.0), Weight("s", 9 * day, 72.0), Weight("s", 11 * day, 99.0)]
    >>> absolute_doses([RelativeDose("r", "s", 10 * day, 1e6)], weights)
    ({'r': 72000000.0}, [])
    """
    by_subject: dict[str, list[tuple[int, float]]] = {}
    for weight in weights:
        if weight.subject is not None and weight.at is not None and weight.kilograms is not None:
            by_subject.setdefault(weight.subject, []).append((weight.at, weight.kilograms))
    found: dict[str, float] = {}
    missing: list[str] = []
    for dose in doses:
        # A weight of the same day counts, whatever the hour that was written down.
        candidates = [
            (at, kilograms)
            for at, kilograms in by_subject.get(dose.subject or "", ())
            if dose.at is not None
            and at // MICROSECONDS_PER_DAY <= dose.at // MICROSECONDS_PER_DAY
            and dose.at - at <= OLDEST_WEIGHT_DAYS * MICROSECONDS_PER_DAY
        ]
        if candidates:
            found[dose.row_id] = max(candidates)[1] * dose.cells_per_kilogram
        else:
            missing.append(dose.row_id)
    return found, missing
