"""Adverse events of special interest, with their distance from the last infusion."""

import math
from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import is_partial
from fhiradapter.analysis.dose_limiting import CYTOKINE, REACTION
from fhiradapter.analysis.infusion_proximity import days_of
from fhiradapter.results import SpecialEvent
from fhiradapter.settings import Study

NAMED = "named by the study"
HOURS_PER_DAY = 24


def special_interest_rows(table: pd.DataFrame, infusions: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the events of special interest: infusion reactions, cytokine release, and the study's own terms.

    `table` is as from `with_hours`, `infusions` as from `given_infusions`, both of some whole subjects.
    Columns: `subject_id`, `row_id`, `term`, `kind`, `grade`, `started_at`, `started_on`, `hours` (the fewest
    that can lie between the start of an infusion and the event) and `inside` (nullable). An infusion reaction
    has the window of `safety.infusion_reaction_hours`, a cytokine release syndrome of
    `safety.cytokine_release_days`; an event that can be inside is inside. Without a start of the event, or
    where an infusion of the subject has no day and none other is close enough, it is not known.
    """
    rows = table.loc[table["special"]]
    limit = np.select(
        [rows["reaction"], rows["cytokine_release"]],
        [study.safety.infusion_reaction_hours, HOURS_PER_DAY * study.safety.cytokine_release_days],
        np.nan,
    )
    kind = np.select([rows["reaction"], rows["cytokine_release"]], [REACTION, CYTOKINE], NAMED)
    vague = infusions.loc[infusions["started_at"].isna() | is_partial(infusions["started_precision"])]
    within = rows["hours"].le(limit)
    without_start = rows["started_at"].isna() | is_partial(rows["started_precision"])
    unknown = np.isnan(limit) | (~within & (without_start | rows["subject_id"].isin(vague["subject_id"])))
    chosen = ["subject_id", "row_id", "term", "grade", "started_at", "started_on", "hours"]
    return rows[chosen].assign(kind=kind, inside=within.astype("boolean").mask(unknown))


def summarise_special_interest(rows: pd.DataFrame, study: Study) -> tuple[SpecialEvent, ...]:
    """Return the events of special interest of all subjects, by subject and start."""
    rows = rows.sort_values(["subject_id", "started_at", "row_id"], kind="stable")
    windows = {
        REACTION: f"{study.safety.infusion_reaction_hours:g} hours",
        CYTOKINE: f"{study.safety.cytokine_release_days:g} days",
    }
    treated = study.treatment is not None
    return tuple(
        SpecialEvent(
            subject_id=subject,
            row_id=row_id,
            term=term,
            kind=named,
            grade=None if pd.isna(grade) else int(grade),
            started_on=on,
            hours=None if math.isnan(since) else since,
            window=windows.get(named) if treated else None,
            inside=None if pd.isna(inside) or not treated else bool(inside),
        )
        for subject, row_id, term, named, grade, on, since, inside in zip(
            rows["subject_id"],
            rows["row_id"],
            rows["term"],
            rows["kind"],
            rows["grade"],
            cast("list[date | None]", days_of(rows["started_on"])),
            rows["hours"].tolist(),
            rows["inside"],
            strict=True,
        )
    )
