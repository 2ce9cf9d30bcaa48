"""Cohorts and studies written out as text."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.model import TABLES, Precision
from fhiradapter.settings import Study

CELLS = "treg_cells"
# A column that a person writes, and what the mapper would write for each date.
TIMES = {"measured": "measurements", "started": "", "ended": "", "birth": "", "death": ""}
LENGTH = {4: Precision.YEAR, 7: Precision.MONTH, 10: Precision.DAY}


def table(text: str) -> list[dict[str, Any]]:
    """Read an ASCII table; an empty cell is null, a date column fills instant, day, precision and text."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip("\n").splitlines()]
    header, *rows = lines
    read = []
    for number, cells in enumerate(rows):
        row: dict[str, Any] = {"row_id": f"r{number + 1}"}
        for name, cell in zip(header, cells, strict=True):
            if cell:
                row |= moments(name, cell) if name in TIMES else {name: scalar(name, cell)}
        read.append(row)
    return read


def scalar(name: str, cell: str) -> Any:
    if name in {"value", "dose_cells", "dose_value"}:
        return float(cell)
    if name in {"deceased", "interrupted"}:
        return cell == "yes"
    if name == "last_updated":
        return datetime.fromisoformat(cell).replace(tzinfo=UTC)
    return cell


def moments(name: str, text: str) -> dict[str, Any]:
    """The four columns of a date, as for a source in UTC; a partial date has no local day."""
    precision = LENGTH.get(len(text), Precision.SECOND)
    padded = text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text
    at = datetime.fromisoformat(padded).replace(tzinfo=UTC)
    on = None if precision in {Precision.YEAR, Precision.MONTH} else date.fromisoformat(text[:10])
    return {f"{name}_at": at, f"{name}_on": on, f"{name}_precision": precision.value, f"{name}_text": text}


def cohort_of(**tables: str) -> Cohort:
    """A cohort of the tables; measurements are final totals and exposures completed doses by default."""
    usual: Mapping[str, Mapping[str, Any]] = {
        "measurements": {"concept": "alsfrs_r_total", "status": "final"},
        "exposures": {"concept": CELLS, "status": "completed", "dose_cells": 1e8},
        "events": {"kind": "condition", "concept": "als"},
    }
    assert set(tables) <= set(TABLES)
    return Cohort.from_rows(
        {name: [{**usual.get(name, {}), **row} for row in table(text)] for name, text in tables.items()}
    )


def study_of(*, treated: bool = True, **sections: Mapping[str, Any]) -> Study:
    """A study with the default policies but for those given."""
    content: dict[str, Any] = {"study": {"id": "claim", "title": "A claim"}, **sections}
    if treated:
        content["treatment"] = {"concept": CELLS}
    return Study.model_validate(content)
