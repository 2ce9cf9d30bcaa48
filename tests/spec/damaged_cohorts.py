"""Synthetic cohorts whose rows are shuffled, doubled and damaged: no person, fixed seeds."""

import random
from datetime import timedelta
from typing import Any

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.settings import Study
from tests.benchmarks.cohorts import STUDY, synthetic_cohort

SUBJECTS = 200
VISITS = 6
SHARE = 0.08  # of the rows are damaged

Row = dict[str, Any]


def damaged_cohort(seed: int, *, share: float = SHARE) -> Cohort:
    """Return the cohort of the benchmarks with some rows as they should not be, in any order."""
    draw = random.Random(seed)
    clean = synthetic_cohort(SUBJECTS, VISITS)
    tables: dict[str, list[Row]] = {}
    for name in SCHEMAS:
        rows: list[Row] = []
        for row in clean.arrow(name).to_pylist():
            damaged = draw.random() < share
            rows += damage(draw, name, row) if damaged else [row]
        draw.shuffle(rows)
        tables[name] = rows
    tables["subjects"] += [{"row_id": "old", "subject_id": "S-old", "replaced_by": "Patient/S0000003"}]
    return Cohort.from_rows(tables)


def damaged_study(seed: int) -> Study:
    """Return a study of that cohort with policies of its own; every second one names its subjects."""
    draw = random.Random(seed)
    named = [f"S{number:07d}" for number in draw.sample(range(SUBJECTS), 40)]
    visit = {"label": "Month 6", "day": 183, "early_days": 60, "late_days": 60}
    return Study.model_validate(
        {
            **STUDY,
            "treatment": STUDY["treatment"] if seed % 3 else None,
            "subjects": {
                "ids": named if seed % 2 else [],
                "arms": {subject: draw.choice(["high", "low"]) for subject in named},
            },
            "progression": {
                "same_day": draw.choice(["mean", "first", "all"]),
                "before_start": draw.choice(["first_score", "onset"]),
                "both_cutting_items": draw.choice(["flag_and_exclude_total", "prefer_5a", "max"]),
                "provisional_status": draw.choice([True, False]),
            },
            "biomarkers": {
                "concepts": ["nfl_serum_plasma", "never_measured"],
                "compare": draw.choice(["last", "last_on_treatment"]),
                "visits": draw.choice([[], [visit]]),
            },
            "vital_capacity": {"same_day": draw.choice(["highest", "mean"]), "visits": [visit]},
            "survival": {
                "event": draw.choice(["death", "death_ventilation_tracheostomy"]),
                "event_terms": ["Fall"],
                "origin": draw.choice(["first_dose", "index", "onset"]),
            },
            "statistics": {"bootstrap_samples": 50},
        }
    )


def damage(draw: random.Random, table: str, row: Row) -> list[Row]:
    """Return what a source may make of a row: nothing, another one, or several."""
    another = f"S{draw.randrange(SUBJECTS):07d}"
    changes: list[Row] = [{"subject_id": None}, {"subject_id": another}, {"row_id": f"{row['row_id']}-b"}]
    times = {"measurements": "measured", "exposures": "started", "events": "started"}
    if table in times:
        name = times[table]
        at = row[f"{name}_at"] + timedelta(hours=draw.randrange(1, 20))
        changes += [
            {f"{name}_at": None, f"{name}_on": None, f"{name}_precision": None},
            {f"{name}_on": None, f"{name}_precision": draw.choice(["year", "month"])},
            {f"{name}_at": at, f"{name}_precision": "second"},
            {"status": draw.choice(["entered-in-error", "preliminary", "unknown"])},
        ]
    if table == "measurements":
        changes += [
            {"value": draw.choice([None, -1.0, 0.0, 2.5, 3.0, 1e6])},
            {"comparator": draw.choice(["<", "<=", ">"])},
            {"unit": draw.choice([None, "L", "ng/L"])},
            {"specimen": draw.choice([None, "csf", "serum"])},
            {"method": draw.choice([None, "supine", "ELISA"])},
            {"performer": draw.choice(["one", "two"])},
            {"parent_id": draw.choice([None, "panel-1", "panel-2"])},
        ]
    if table == "events":
        changes += [
            {"kind": "condition", "concept": draw.choice(["als", "tracheostomy"]), "status": "active"},
            {"kind": "death"},
            {"term": "fall "},
            {"grade": None, "serious": None},
        ]
    if table == "subjects":
        changes += [
            {"death_on": None, "death_precision": "month"} if row["death_on"] else {"deceased": True},
            {"death_at": None, "death_on": None, "death_precision": None},
            {"sex": None, "birth_at": None, "birth_on": None},
        ]
        return [{**row, **draw.choice(changes[2:])}] if draw.random() < 0.8 else []
    change = draw.choice(changes)
    kept = [row] if draw.random() < 0.5 else []
    return [*kept, {**row, "row_id": f"{row['row_id']}-damaged", **change}]
