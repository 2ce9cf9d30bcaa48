"""Synthetic cohorts of any size, made column by column: no FHIR, no person, a fixed seed."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.analysis.assessments import ITEMS, OTHER_ITEMS
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.settings import Study

SEED = 20251123
VISITS = 20
DAYS_BETWEEN_VISITS = 60
VISITS_BEFORE_DOSE = 4
INFUSIONS = 10
DAYS_BETWEEN_INFUSIONS = 28
ITEM_SHARE = 5  # one in so many subjects has the twelve items
ITEM_VISITS = 5
CAPACITY_VISITS = 10
NFL_VISITS = 5
LAB_VISITS = 4
LABS = {"alt": ("U/L", 0.0, 40.0, 25.0), "creatinine": ("mg/dL", 0.6, 1.2, 0.9)}
TERMS = ("Fatigue", "Fall", "Infusion related reaction", "Nausea")
MOST_POINTS = 48.0

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

STUDY = {
    "study": {"id": "synthetic", "title": "SYNTHETIC cohort for benchmarks", "synthetic": True},
    "treatment": {
        "concept": "ck0801",
        "dose_cells": 100e6,
        "schedule": [{"count": INFUSIONS, "every": "week", "interval": 4, "early_days": 7, "late_days": 7}],
    },
    "biomarkers": {"concepts": ["nfl_serum_plasma"]},
}


def study() -> Study:
    """Return the study that the cohort is of."""
    return Study.model_validate(STUDY)


def synthetic_cohort(subjects: int, visits: int = VISITS) -> Cohort:
    """Return a cohort of whole tables.

    Everyone has `visits` totals of the ALSFRS-R, slow vital capacity at ten visits, laboratory values with
    limits of normal, neurofilament light at five visits and ten infusions; one in five has the twelve items
    at five visits, every second an adverse event, one in ten a death after the last visit.
    """
    random = np.random.default_rng(SEED)
    names = pa.array([f"S{number:07d}" for number in range(subjects)])
    start = 15_000 + random.integers(0, 1_500, subjects)  # days since 1970
    dose = start + VISITS_BEFORE_DOSE * DAYS_BETWEEN_VISITS
    end = start + visits * DAYS_BETWEEN_VISITS + 30
    _constant.cache_clear()
    return Cohort(
        {
            "subjects": _subjects(random, names, start, end),
            "exposures": _exposures(names, dose),
            "measurements": pa.concat_tables(_measurements(random, names, start, visits)),
            "events": _events(random, names, dose),
            "encounters": SCHEMAS["encounters"].empty_table(),
            "issues": SCHEMAS["issues"].empty_table(),
        }
    )


def _subjects(random: np.random.Generator, names: pa.Array, start: IntArray, end: IntArray) -> pa.Table:
    count = len(names)
    died = random.random(count) < 0.1
    return _table(
        "subjects",
        names,
        np.arange(count),
        sex=pa.array(np.where(random.random(count) < 0.5, "female", "male")),
        **_time("birth", start - random.integers(40 * 365, 75 * 365, count)),
        deceased=pa.array(died),
        **_time("death", end, known=died),
    )


def _exposures(names: pa.Array, dose: IntArray) -> pa.Table:
    who, number = _grid(len(names), INFUSIONS)
    return _table(
        "exposures",
        names,
        who,
        concept="ck0801",
        status="completed",
        dose_cells=pa.array(np.full(len(who), 100e6)),
        **_time("started", dose[who] + number * DAYS_BETWEEN_INFUSIONS),
    )


def _measurements(
    random: np.random.Generator, names: pa.Array, start: IntArray, visits: int
) -> list[pa.Table]:
    count = len(names)
    level, slope = random.normal(40, 4, count), random.normal(-0.03, 0.015, count)

    def rows(who: IntArray, visit: IntArray, concept: str, value: FloatArray, **more: Any) -> pa.Table:
        jitter = random.integers(-3, 4, len(who))
        on = start[who] + visit * DAYS_BETWEEN_VISITS + np.where(visit == VISITS_BEFORE_DOSE, 0, jitter)
        return _measured(names, who, concept, value, on, **more)

    def on_course(who: IntArray, visit: IntArray) -> FloatArray:
        return level[who] + slope[who] * visit * DAYS_BETWEEN_VISITS / 2

    who, visit = _grid(count, visits)
    points = np.clip(np.round(on_course(who, visit) + random.normal(0, 1, len(who))), 0, MOST_POINTS)
    tables = [rows(who, visit, "alsfrs_r_total", points, kind="score", unit="{score}")]
    who, visit = _grid(count, CAPACITY_VISITS)
    capacity = np.clip(2 * on_course(who, visit) + random.normal(0, 4, len(who)), 5, 150)
    tables.append(rows(who, visit * 2, "svc_percent_predicted", capacity, kind="vital_capacity", unit="%"))
    who, visit = _grid(count // ITEM_SHARE, ITEM_VISITS)
    answers = np.clip(
        np.round(on_course(who, visit)[:, None] / 12 + random.normal(0, 0.6, (len(who), 12))), 0, 4
    )
    on = start[who] + visit * 2 * DAYS_BETWEEN_VISITS
    panel = pa.array([f"panel-{number}" for number in range(len(who))])
    for place, concept in enumerate((ITEMS[0], *OTHER_ITEMS)):
        tables.append(
            _measured(names, who, concept, answers[:, place], on, kind="score_item", parent_id=panel)
        )
    who, visit = _grid(count, LAB_VISITS)
    for concept, (unit, low, high, middle) in LABS.items():
        value = middle * np.exp(random.normal(0, 0.4, len(who)))
        tables.append(
            rows(
                who,
                visit * 2,
                concept,
                value,
                kind="lab",
                unit=unit,
                range_low=pa.array(np.full(len(who), low)),
                range_high=pa.array(np.full(len(who), high)),
            )
        )
    who, visit = _grid(count, NFL_VISITS)
    value = np.exp(random.normal(3.5, 0.5, count)[who] + random.normal(0, 0.2, len(who)))
    tables.append(
        rows(who, visit * 3, "nfl_serum_plasma", value, kind="biomarker", unit="pg/mL", specimen="plasma")
    )
    return tables


def _measured(
    names: pa.Array, who: IntArray, concept: str, value: FloatArray, on: IntArray, **more: Any
) -> pa.Table:
    more |= {"concept": concept, "status": "final", "value": value, **_time("measured", on)}
    return _table("measurements", names, who, prefix=concept, **more)


def _events(random: np.random.Generator, names: pa.Array, dose: IntArray) -> pa.Table:
    count = len(names)
    who = np.sort(random.choice(count, count // 2, replace=False))
    return _table(
        "events",
        names,
        who,
        kind="adverse_event",
        status="actual",
        term=pa.array(np.array(TERMS)[random.integers(0, len(TERMS), len(who))]),
        grade=pa.array(random.integers(1, 4, len(who)), pa.int32()),
        serious=pa.array(random.random(len(who)) < 0.1),
        related=pa.array(random.random(len(who)) < 0.3),
        **_time("started", dose[who] + random.integers(-60, 300, len(who))),
    )


@lru_cache(maxsize=64)
def _constant(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    """Return a column of one value; the empty columns of a table share their memory."""
    return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value, kind), count)


def _grid(subjects: int, visits: int) -> tuple[IntArray, IntArray]:
    """Return subject and visit of each row."""
    return np.repeat(np.arange(subjects), visits), np.tile(np.arange(visits), subjects)


def _time(name: str, day: IntArray, *, known: npt.NDArray[np.bool_] | None = None) -> dict[str, pa.Array]:
    """Return the columns of a time given to the day."""
    unknown = None if known is None else ~known
    on = pa.array(day.astype(np.int32), pa.int32(), mask=unknown).cast(pa.date32())
    at = on.cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    precision = pa.array(np.full(len(day), "day"), mask=unknown)
    return {f"{name}_at": at, f"{name}_on": on, f"{name}_precision": precision}


def _table(table: str, names: pa.Array, who: IntArray, *, prefix: str = "", **given: Any) -> pa.Table:
    """Return one table of the model; what is not given is null, or empty where it must be something."""
    count = len(who)
    number = pa.array(np.arange(count)).cast(pa.string())
    columns: dict[str, Any] = {
        "row_id": pc.binary_join_element_wise(prefix or table, number, "-"),
        "subject_id": names.take(pa.array(who)),
        **given,
    }
    arrays = []
    for column in SCHEMAS[table]:
        missing = None if column.nullable else False if pa.types.is_boolean(column.type) else ""
        value = columns.pop(column.name, missing)
        if isinstance(value, np.ndarray):
            value = pa.array(value, column.type)
        elif not isinstance(value, pa.Array):
            value = _constant(value, column.type, count)
        arrays.append(value.cast(column.type))
    assert not columns, f"no such column: {', '.join(columns)}"
    return pa.table(arrays, schema=SCHEMAS[table])
