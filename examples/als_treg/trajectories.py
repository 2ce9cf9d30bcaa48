"""ALSFRS-R scores that fall at the published mean rates, found by a seeded search."""

import random
from collections.abc import Sequence

import numpy as np
from design import Subject

DAYS_PER_MONTH = 30.4375  # UCUM mo
MAXIMUM = 48
FASTEST = 6.0  # points a month between two visits; more would be a typing error in real data
PUBLISHED = {"before": -1.66, "during": -0.41, "after": -0.60}  # doi 10.1056/EVIDoa2400249
TOLERANCE = 0.001  # well inside the second decimal, also with time counted in hours

ITEMS = (
    "01_speech",
    "02_salivation",
    "03_swallowing",
    "04_handwriting",
    "05_cutting",
    "06_dressing",
    "07_turning",
    "08_walking",
    "09_stairs",
    "10_dyspnea",
    "11_orthopnea",
    "12_respiratory",
)
# How readily each item loses its next point. Limb onset spares speech for long, bulbar onset the stairs.
FRAILTY = {
    "spinal": (1, 1, 1, 6, 6, 6, 5, 7, 9, 2, 1, 0.5),
    "bulbar": (8, 7, 7, 4, 4, 4, 3, 3, 4, 2, 2, 0.5),
}


def slope(days: Sequence[int], scores: Sequence[int]) -> float:
    """Ordinary least squares, points per month."""
    months = np.asarray(days, dtype=float) / DAYS_PER_MONTH
    centred = months - months.mean()
    return float(centred @ np.asarray(scores, dtype=float) / (centred @ centred))


def drawn(days: Sequence[int], anchor: tuple[int, int], aim: float, chance: random.Random) -> list[int]:
    """Whole scores near the line of slope `aim` through the anchor (day, score), with a rater's scatter."""
    start, level = anchor
    scatter = [sum(chance.random() for _ in range(4)) - 2 for _ in days]  # about normal, SD 0.58 points
    line = [level + aim * (day - start) / DAYS_PER_MONTH for day in days]
    return [
        max(0, min(MAXIMUM - 1, round(value + noise))) for value, noise in zip(line, scatter, strict=True)
    ]


def believable(days: Sequence[int], scores: Sequence[int]) -> bool:
    """No two visits in a row further apart than a person can fall or a rater can err."""
    months = np.maximum(np.diff(days), 15) / DAYS_PER_MONTH
    change = np.diff(scores)
    return bool(np.all(np.abs(change) <= FASTEST * months) and np.all(change <= 2))


def period(
    subjects: Sequence[Subject], name: str, knots: list[tuple[int, int]], chance: random.Random
) -> list[list[int]]:
    """Scores of one period for every subject, drawn again until their mean slope is the published one.

    `knots` holds each subject's (day, score) where the period begins or ends. Before and during treatment the
    knot is the score on the day of the first dose and belongs to the period's line; after treatment it only
    sets the level.
    """
    place = list(PUBLISHED).index(name)
    while True:
        found, slopes = [], []
        for subject, (day, score) in zip(subjects, knots, strict=True):
            days = (subject.before_days[:-1], subject.during_days, subject.after_days)[place]
            aim = subject.slopes[place]
            scores = drawn(days, (day, score), -0.5 if aim is None else aim, chance)
            line_days, line = (
                ((*days, day), [*scores, score]) if name == "before" else ((day, *days), [score, *scores])
            )
            if not believable(line_days, line):
                break
            found.append(scores)
            if aim is not None:
                slopes.append(slope(days, scores) if name == "after" else slope(line_days, line))
        else:
            if abs(float(np.mean(slopes)) - PUBLISHED[name]) < TOLERANCE:
                return found


def totals(subjects: Sequence[Subject], seed: int) -> dict[str, dict[int, int]]:
    """Subject id -> day -> total score."""
    chance = random.Random(seed)
    first = [(0, subject.baseline_score) for subject in subjects]
    before = period(subjects, "before", first, chance)
    during = period(subjects, "during", first, chance)
    last = [(subject.during_days[-1], scores[-1]) for subject, scores in zip(subjects, during, strict=True)]
    after = period(subjects, "after", last, chance)
    return {
        subject.id: dict(
            zip(subject.score_days, [*head, subject.baseline_score, *middle, *tail], strict=True)
        )
        for subject, head, middle, tail in zip(subjects, before, during, after, strict=True)
    }


def items(subject: Subject, scores: dict[int, int], seed: int) -> dict[int, dict[str, int]]:
    """Day -> item -> 0-4, summing to that day's total; points are lost and won back one at a time."""
    chance = random.Random(f"{seed} {subject.id}")
    frailty = dict(zip(ITEMS, FRAILTY[subject.region], strict=True))
    now = dict.fromkeys(ITEMS, 4)
    visits = {}
    for day, total in sorted(scores.items()):
        while sum(now.values()) != total:
            falling = sum(now.values()) > total
            # A point won back is won where most was lost; a point is lost where most is left.
            weights = [frailty[item] * (now[item] if falling else 4 - now[item]) for item in ITEMS]
            now[chance.choices(ITEMS, weights)[0]] += -1 if falling else 1
        visits[day] = dict(now)
    return visits
