"""Cohorts of a few rows for exposure and safety, written as tables of text."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

NUMBERS = ("dose_cells", "dose_value", "value", "range_low", "range_high")
DATES = {"start": "started", "end": "ended", "measured": "measured"}
WORDS = ("term", "system_organ_class")


def rows(text: str, **same: Any) -> list[dict[str, Any]]:
    """Read a table: a line of column names, then one row a line; '-' is missing; `same` is in every row.

    The columns start, end and measured hold 2024, 2024-03, 2024-03-01 or 2024-03-01T09:30; the zone is UTC.
    """
    header, *lines = [line.split() for line in text.splitlines() if line.strip()]
    read = []
    for number, cells in enumerate(lines):
        row: dict[str, Any] = {"row_id": f"row-{number}", **same}
        for name, cell in zip(header, cells, strict=True):
            if cell != "-":
                row |= when(DATES[name], cell) if name in DATES else {name: _cell(name, cell)}
        read.append(row)
    return read


def when(name: str, text: str) -> dict[str, Any]:
    """Return the four columns of a date; a date without a day has no local day."""
    precision = {4: "year", 7: "month", 10: "day"}.get(len(text), "second")
    at = datetime.fromisoformat(text if len(text) > 10 else (text + "-01-01")[:10]).replace(tzinfo=UTC)
    on = at.date() if precision in ("day", "second") else None
    return {
        f"{name}_at": at,
        f"{name}_on": on,
        f"{name}_precision": precision,
        f"{name}_text": text,
    }


def timeline(text: str) -> pd.DataFrame:
    """Read subject, first dose, last dose and last contact (days); doses start at 09:00."""
    frame = pd.DataFrame(
        [line.split() for line in text.strip().splitlines()],
        columns=["subject_id", "first", "last", "contact"],
    ).set_index("subject_id")
    days = frame.replace("-", None).apply(pd.to_datetime).astype("datetime64[s]")
    return pd.DataFrame(
        {
            "first_dose_on": days["first"],
            "first_dose_at": days["first"].astype("datetime64[us]").dt.tz_localize("UTC")
            + timedelta(hours=9),
            "first_dose_precision": "second",
            "last_dose_on": days["last"],
            "last_contact_on": days["contact"],
            "died": False,
            "doses": days["first"].notna().astype("int64"),
        }
    )


def study(**sections: Any) -> Study:
    """Return a study of the product `cells`; `treatment=None` makes one without treatment."""
    sections = {"treatment": {"concept": "cells"}, **sections}
    return Study.model_validate({"study": {"id": "small", "title": "Small"}, **sections})


def cohort(**tables: list[dict[str, Any]]) -> Cohort:
    """Return a cohort of these rows."""
    return Cohort.from_rows(tables)


def day(text: str) -> date:
    """Return a day."""
    return date.fromisoformat(text)


def _cell(name: str, cell: str) -> Any:
    if name in NUMBERS:
        return float(cell)
    if name == "grade":
        return int(cell)
    return {"yes": True, "no": False}.get(cell, cell.replace("_", " ") if name in WORDS else cell)
