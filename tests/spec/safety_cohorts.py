"""Synthetic rows of what safety looks at, for a cohort that lacks them: no person, fixed seeds."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from fhiradapter.cohort.cohort import Cohort

# Concept -> unit, limits of normal, usual value and its spread as a factor or, for vital signs, a distance.
LABORATORY = {
    "ast": ("U/L", 0.0, 35.0, 40.0, 3.0),
    "bilirubin_total": ("mg/dL", 0.1, 1.2, 1.0, 3.0),
    "alp": ("U/L", 30.0, 110.0, 100.0, 2.5),
    "hemoglobin": ("g/dL", 12.0, 16.0, 11.0, 1.4),
    "sodium": ("mmol/L", 135.0, 145.0, 138.0, 1.08),
}
VITAL_SIGNS = {
    "body_temperature": ("Cel", 37.6, 1.5),
    "systolic_bp": ("mm[Hg]", 130.0, 45.0),
    "diastolic_bp": ("mm[Hg]", 84.0, 20.0),
    "oxygen_saturation": ("%", 92.0, 6.0),
}
MOST = 300  # infusions that get rows
TERMS = ("Cytokine release syndrome", "infusion-related reaction", "FALL", None)

Row = dict[str, Any]


def with_safety_rows(cohort: Cohort, seed: int) -> Cohort:
    """Return the cohort with readings, values, events and medication around the infusions of its subjects."""
    draw = random.Random(seed)
    measurements: list[Row] = []
    events: list[Row] = []
    exposures: list[Row] = []
    infusions = [row for row in cohort.arrow("exposures").to_pylist() if row["started_at"] is not None]
    for number, infusion in enumerate(draw.sample(infusions, min(len(infusions), MOST))):
        subject, start = infusion["subject_id"], infusion["started_at"]
        for concept, (unit, low, high, usual, factor) in LABORATORY.items():
            value = round(usual * draw.uniform(1 / factor, factor), 2)
            measurements.append(
                {
                    **_measured(draw, f"{concept}-{number}", subject, start, days=40),
                    "kind": "lab",
                    "concept": concept,
                    "value": value,
                    "range_low": low,
                    "unit": draw.choice([unit] * 9 + [None]),
                    "range_high": draw.choice([high] * 9 + [None]),
                    "comparator": draw.choice([None] * 9 + ["<", ">"]),
                }
            )
        for concept, (unit, usual, distance) in VITAL_SIGNS.items():
            value = round(usual + draw.uniform(-distance, distance), 1)
            measurements.append(
                {
                    **_measured(draw, f"{concept}-{number}", subject, start, days=2),
                    "kind": "vital",
                    "concept": concept,
                    "value": value,
                    "unit": unit,
                }
            )
        event = {"kind": "adverse_event", "status": "actual", "term": draw.choice(TERMS)}
        event |= {
            "system_organ_class": draw.choice([None, "Immune system disorders", "immune system disorders "])
        }
        event |= {"grade": draw.choice([None, 1, 3, 5]), "related": draw.choice([None, True, False])}
        medication = {"concept": draw.choice(["epinephrine", "acetaminophen"]), "status": "completed"}
        events.append(
            {**_named(f"event-{number}", subject), **event, **_when(draw, "started", start, days=20)}
        )
        exposures.append(
            {**_named(f"drug-{number}", subject), **medication, **_when(draw, "started", start, days=2)}
        )
    for rows in (measurements, events, exposures):
        draw.shuffle(rows)
    return cohort.merge(
        Cohort.from_rows({"measurements": measurements, "events": events, "exposures": exposures})
    )


def _measured(draw: random.Random, name: str, subject: str | None, start: datetime, *, days: int) -> Row:
    return {**_named(name, subject), "status": "final", **_when(draw, "measured", start, days=days)}


def _named(name: str, subject: str | None) -> Row:
    return {"row_id": name, "subject_id": subject}


def _when(draw: random.Random, name: str, start: datetime, *, days: int) -> Row:
    """Return a time around the start, to the second or the day, rarely to the month or not at all."""
    at = start.astimezone(UTC) + timedelta(hours=draw.choice([-1, 1, 1]) * draw.uniform(0, 24 * days))
    precision = draw.choice(["second"] * 6 + ["day"] * 3 + ["month", None])
    if precision is None:
        return {}
    if precision != "second":
        at = at.replace(hour=0, minute=0, second=0, microsecond=0)
    on = None if precision == "month" else at.date()
    return {f"{name}_at": at, f"{name}_on": on, f"{name}_precision": precision}
