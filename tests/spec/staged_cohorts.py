"""ALSFRS-R assessments written out as text: one line per assessment, one digit per item."""

from datetime import date
from typing import Any

import pandas as pd
from small_cohorts import moments, study_of, table

from fhiradapter.analysis.assessments import CUTTING, NAMES, OTHER_ITEMS
from fhiradapter.analysis.staging import derive_staging
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Staging
from fhiradapter.settings import Study

UNTREATED = study_of(treated=False)


def answers(text: str) -> list[float | None]:
    """Items 1 to 12 in the order of the form; a point is an item that was not answered."""
    digits = text.replace(" ", "")
    assert len(digits) == len(NAMES)
    return [None if digit == "." else float(digit) for digit in digits]


def items_of(*lines: str) -> pd.DataFrame:
    """One row per line, columns as of `twelve_items`."""
    return pd.DataFrame([answers(line) for line in lines], columns=list(NAMES), dtype="float64")


def item_rows(text: str) -> list[dict[str, Any]]:
    """Measurements of a table with `subject_id`, `measured`, `items` and perhaps `form` and `performer`.

    form: 5a (when left out), 5b, or both.
    """
    rows = []
    for number, line in enumerate(table(text)):
        values = answers(line.pop("items"))
        forms = {"5a": CUTTING[:1], "5b": CUTTING[1:], "both": CUTTING}[line.pop("form", "5a")]
        others = [value for place, value in enumerate(values) if place != NAMES.index("cutting")]
        pairs = [*zip(OTHER_ITEMS, others, strict=True), *((form, values[4]) for form in forms)]
        shared = {**line, "status": "final", "parent_id": f"panel-{number}"}
        rows += [
            {**shared, "row_id": f"{number:03d}-{concept}", "concept": concept, "value": value}
            for concept, value in pairs
            if value is not None
        ]
    return rows


def staged(text: str, *, study: Study = UNTREATED, doses: str = "", deaths: str = "") -> Staging:
    """The staging of assessments, with first doses and deaths by subject."""
    found, note = staging_or_note(item_rows(text), study=study, doses=doses, deaths=deaths)
    assert found is not None, note
    return found


def staging_or_note(
    rows: list[dict[str, Any]], *, study: Study = UNTREATED, doses: str = "", deaths: str = ""
) -> tuple[Staging | None, str | None]:
    """What `derive_staging` returns; doses and deaths are lists such as "s1 2024-01-01, s2 2024-02-01"."""
    given = [part.split() for part in doses.split(",") if part]
    died = [part.split() for part in deaths.split(",") if part]
    cohort = Cohort.from_rows(
        {
            "measurements": rows,
            "subjects": [
                {"subject_id": subject, "deceased": True, **(moments("death", day[0]) if day else {})}
                for subject, *day in died
            ],
            "exposures": [
                {
                    "row_id": f"dose-{subject}",
                    "subject_id": subject,
                    "concept": "treg_cells",
                    "status": "completed",
                    "dose_cells": 1e8,
                    **moments("started", day),
                }
                for subject, day in given
            ],
        }
    )
    return derive_staging(cohort, study, derive_timeline(cohort, study))


def course(staging: Staging, system: str, subject: str = "s1") -> tuple[Any, ...]:
    """Baseline, last and worst stage and steps back of one subject."""
    [row] = [one for one in staging.subject_rows if (one.subject_id, one.system) == (subject, system)]
    return row.baseline, row.last, row.worst, row.steps_back


def days(first: str, second: str) -> int:
    """Days from one day to another."""
    return (date.fromisoformat(second) - date.fromisoformat(first)).days
