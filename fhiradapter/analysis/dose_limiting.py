"""Dose-limiting toxicities by the study's rule."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.adverse_event_table import CYTOKINE_RELEASE, INFUSION_REACTIONS
from fhiradapter.analysis.days import is_partial
from fhiradapter.analysis.incidence import incidence
from fhiradapter.analysis.moments import possible_moments
from fhiradapter.analysis.population import places
from fhiradapter.results import DoseLimiting
from fhiradapter.settings import Study

REACTION = "infusion reaction"
DEATH = "regimen-related death"
CYTOKINE = "cytokine release syndrome"

NO_START = "possibly dose-limiting, start missing"
NO_GRADE = "possibly dose-limiting, grade missing"
NO_CAUSALITY = "possibly dose-limiting, relation of the death to the product missing"


@dataclass(frozen=True)
class DoseLimitingRows:
    """The dose-limiting toxicities of some subjects, and how many events are undecided, by reason.

    found: `subject_id`, `row_id`, `term` and `criterion`.
    """

    found: pd.DataFrame
    undecided: Counter[str]


def dose_limiting_rows(table: pd.DataFrame, study: Study) -> DoseLimitingRows:
    """Return the dose-limiting toxicities among the events of some whole subjects.

    `table` is as from `with_hours`. Where a time is not exact, an event counts when it can be inside the
    window. Undecided, each under the first reason that holds, are: an infusion reaction or a cytokine release
    syndrome without a start; a cytokine release syndrome inside its window without a grade; a death of which
    it is not known whether it is related to the product.
    """
    hours, days = study.safety.infusion_reaction_hours, study.safety.cytokine_release_days
    reaction, release = table["reaction"], table["cytokine_release"]
    ungraded = release & table["grade"].isna()
    cytokine = release & table["severe"]
    since = table["hours"]
    criteria = [
        (table["fatal"] & table["related"].fillna(False).astype(bool), DEATH),
        (reaction & since.le(hours), REACTION),
        (cytokine & since.le(24 * days), CYTOKINE),
    ]
    named = np.select(
        [holds.to_numpy(dtype=bool) for holds, _ in criteria], [name for _, name in criteria], ""
    )
    doubts = [
        ((reaction | cytokine | ungraded) & table["started_at"].isna(), NO_START),
        (ungraded & since.le(24 * days), NO_GRADE),
        (table["fatal"] & table["related"].isna(), NO_CAUSALITY),
    ]
    doubt = np.select(
        [holds.to_numpy(dtype=bool) for holds, _ in doubts], [reason for _, reason in doubts], ""
    )
    found = table.loc[named != "", ["subject_id", "row_id", "term"]]
    return DoseLimitingRows(
        found=found.assign(criterion=named[named != ""]).reset_index(drop=True),
        undecided=Counter({reason: int(((doubt == reason) & (named == "")).sum()) for _, reason in doubts}),
    )


def summarise_dose_limiting(rows: DoseLimitingRows, study: Study, *, treated: pd.Index) -> DoseLimiting:
    """Return the dose-limiting toxicities of all subjects.

    `treated` are the ids of the subjects with a dose. `n` counts subjects, `incidence` those among the
    treated; an event is named by its row_id, term and criterion.
    """
    found = rows.found.sort_values(["subject_id", "row_id"], kind="stable")
    hours, days = study.safety.infusion_reaction_hours, study.safety.cytokine_release_days
    terms = ", ".join(sorted(INFUSION_REACTIONS | CYTOKINE_RELEASE))
    rule = (
        f"An infusion reaction of any grade that starts within {hours:g} hours of the start of an infusion; "
        f"or a death related to the product; or a cytokine release syndrome of grade 3 or more that "
        f"starts within {days:g} days of the start of an infusion. "
        f"Terms that count, compared whole, in any case, with or without hyphens: {terms}."
    )
    counted = found["subject_id"].isin(treated)
    return DoseLimiting(
        n=int(found["subject_id"].nunique()),
        events=tuple(
            f"{row}: {term} ({criterion})"
            for row, term, criterion in zip(found["row_id"], found["term"], found["criterion"], strict=True)
        ),
        rule=rule,
        incidence=incidence(
            int(found.loc[counted, "subject_id"].nunique()),
            len(treated),
            events=int(counted.sum()),
            confidence=study.statistics.confidence,
        ),
    )


def with_hours(table: pd.DataFrame, infusions: pd.DataFrame) -> pd.DataFrame:
    """Return a table as from `adverse_event_table` with `hours`, the `hours_since_infusion`.

    Only the events of special interest have them, among which infusion reactions and cytokine release are.
    """
    hours = hours_since_infusion(table.loc[table["special"]], infusions)
    return table.assign(hours=hours.reindex(table.index))


def hours_since_infusion(table: pd.DataFrame, infusions: pd.DataFrame) -> pd.Series:
    """Return the fewest hours (n,) that can lie between an infusion's start and the event; NaN without one.

    An event or infusion known to the day may be at any moment of it. Infusions known to the month or year
    only are left out. The latest infusion that can be before the event is the nearest one.
    """
    times = possible_moments(table["started_at"], table["started_precision"])
    people = pd.Index(table["subject_id"].unique())
    events = pd.DataFrame(
        {"person": places(table["subject_id"], people), "from": times["earliest"], "to": times["latest"]}
    )
    events = events.dropna(subset=["to"]).rename_axis("event").reset_index().sort_values("to", kind="stable")
    infusions = infusions.assign(person=places(infusions["subject_id"], people))
    infusions = infusions.loc[infusions["person"].ge(0)]
    dated = infusions.loc[infusions["started_at"].notna() & ~is_partial(infusions["started_precision"])]
    starts = possible_moments(dated["started_at"], dated["started_precision"])
    doses = pd.DataFrame(
        {
            "person": dated["person"],
            "at": starts["earliest"],
            "at_latest": starts["latest"],
        }
    ).sort_values("at", kind="stable")
    nearest = pd.merge_asof(events, doses, left_on="to", right_on="at", by="person")
    between = pd.Series(nearest["from"] - nearest["at_latest"])
    hours: pd.Series = (between.dt.total_seconds() / 3600).clip(lower=0)
    return hours.set_axis(pd.Index(nearest["event"])).reindex(table.index)
