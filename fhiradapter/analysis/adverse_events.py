"""Adverse events: overview, terms at worst grade, dose-limiting toxicities."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.adverse_event_table import adverse_event_table, rows_by_term, worst_grades
from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.dose_limiting import derive_dose_limiting
from fhiradapter.analysis.incidence import incidence
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.population import places
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import DoseLimiting, Incidence, Term
from fhiradapter.settings import Study

DAYS_PER_YEAR = 365.25  # UCUM a: a Julian year

ANY_EMERGENT = "any treatment-emergent adverse event"
ANY = "any adverse event"
DEATH_WITHOUT_EVENT = "deaths recorded without an adverse event"
UNKNOWN_EMERGENCE = "adverse event not known to be treatment-emergent"
GRADES = ("1", "2", "3", "4", "5", "unknown")

# Line of the overview -> column of the table of events. Severe (a grade) is not serious (a consequence).
LINES = {
    "related": "related",
    "grade 3 or more": "severe",
    "serious": "serious",
    "leading to discontinuation": "withdrawn",
    "fatal": "fatal",
    "of special interest": "special",
}
NEEDS_TREATMENT = ("related", "leading to discontinuation")


@dataclass(frozen=True)
class AdverseEvents:
    """The adverse-event parts of the safety results."""

    overview: dict[str, Incidence]
    terms: tuple[Term, ...]
    dose_limiting: DoseLimiting | None
    notes: dict[str, int]
    table: pd.DataFrame  # every event that counts, as from `adverse_event_table`


def derive_adverse_events(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> AdverseEvents:
    """Return the adverse events of the study's subjects.

    `timeline` is indexed by subject_id with `doses`, `first_dose_at`, `first_dose_on`,
    `first_dose_precision`, `last_dose_on`, `last_contact_on` and `died`. Events and infusions after the data
    cut do not count. Subjects who died and have no fatal event are counted in the notes.

    With treatment, the overview and the terms count treatment-emergent events among the subjects with a
    dose, and events per 100 person-years from the first dose to the last contact, or to the end of the
    window after the last dose when that is earlier. The events of which it is not known (no dose, no dated
    dose) have a line of their own among all subjects. Without treatment there is no such thing: all events
    count, among all.
    """
    table, notes = adverse_event_table(cohort, study, timeline)
    dead = timeline.index[timeline["died"].astype(bool)]
    if unexplained := len(dead.difference(pd.Index(table.loc[table["fatal"], "subject_id"]))):
        notes[DEATH_WITHOUT_EVENT] = unexplained
    confidence = study.statistics.confidence
    if study.treatment is None:
        overview = _overview(table, n=len(timeline), first_line=ANY, confidence=confidence, years=None)
        return AdverseEvents(
            overview=overview, terms=_terms(table), dose_limiting=None, notes=notes, table=table
        )
    treated = timeline.index[timeline["doses"].gt(0)]
    emergent = table.loc[
        table["treatment_emergent"].fillna(False).astype(bool) & (places(table["subject_id"], treated) >= 0)
    ]
    years = person_years(timeline.loc[treated], window_days=study.safety.window_days)
    overview = _overview(
        emergent, n=len(treated), first_line=ANY_EMERGENT, confidence=confidence, years=years
    )
    unknown = table.loc[table["treatment_emergent"].isna()]
    overview[UNKNOWN_EMERGENCE] = _line(unknown, n=len(timeline), confidence=confidence, years=None)
    infusions = given_infusions(cohort, study)
    infusions = infusions.loc[~after_cut(infusions, study.follow_up.data_cut)]
    dose_limiting, undecided = derive_dose_limiting(table, infusions, study, treated=treated)
    return AdverseEvents(
        overview=overview,
        terms=_terms(emergent),
        dose_limiting=dose_limiting,
        notes=notes | undecided,
        table=table,
    )


def person_years(timeline: pd.DataFrame, *, window_days: int | None) -> float:
    """Return the years at risk, first and last day included, summed over subjects; unknown ones add nothing.

    >>> days = pd.to_datetime(pd.Series(["2024-01-01"]))
    >>> timeline = pd.DataFrame({"first_dose_on": days, "last_dose_on": days,
    ...                          "last_contact_on": days + pd.Timedelta(days=500)})
    >>> round(365.25 * person_years(timeline, window_days=30), 6)
    31.0
    """
    until = timeline["last_contact_on"]
    if window_days is not None:
        end = timeline["last_dose_on"] + np.timedelta64(window_days, "D")
        until = until.mask(end.lt(until), end)
    days = days_between(until, timeline["first_dose_on"]) + 1
    return float(np.nansum(np.maximum(days, 0))) / DAYS_PER_YEAR


def _overview(
    table: pd.DataFrame, *, n: int, first_line: str, confidence: float, years: float | None
) -> dict[str, Incidence]:
    """Return a line for all events of the table and one for each kind."""
    lines = {first_line: _line(table, n=n, confidence=confidence, years=years)}
    for name, column in LINES.items():
        if years is not None or name not in NEEDS_TREATMENT:
            chosen = table.loc[table[column].fillna(False).astype(bool)]
            lines[name] = _line(chosen, n=n, confidence=confidence, years=years)
    return lines


def _line(table: pd.DataFrame, *, n: int, confidence: float, years: float | None) -> Incidence:
    """Return the incidence of the table's events."""
    return incidence(
        int(table["subject_id"].nunique()), n, events=len(table), confidence=confidence, person_years=years
    )


def _terms(table: pd.DataFrame) -> tuple[Term, ...]:
    """Return the terms by system, most frequent first, each subject once at the worst grade."""
    worst = worst_grades(table)
    groups = worst.groupby(["system_key", "key"], sort=True)
    summary = pd.DataFrame(
        {
            "system": groups["system"].first(),
            "term": groups["term"].first(),
            "subjects": groups.size(),
            "events": groups["events"].sum(),
            "row_ids": rows_by_term(table),
        }
    )
    grades = pd.crosstab([worst["system_key"], worst["key"]], worst["label"]).reindex(columns=list(GRADES))
    counts = grades.reindex(summary.index).fillna(0).astype(int).to_numpy()
    terms = [
        Term(
            system=None if pd.isna(system) else str(system),
            term=str(term),
            subjects=int(subjects),
            events=int(events),
            by_worst_grade={name: number for name, number in zip(GRADES, row, strict=True) if number},
            row_ids=row_ids,
        )
        for system, term, subjects, events, row_ids, row in zip(
            summary["system"],
            summary["term"],
            summary["subjects"],
            summary["events"],
            summary["row_ids"],
            counts.tolist(),
            strict=True,
        )
    ]
    return tuple(sorted(terms, key=lambda term: (term.system or "", -term.subjects, term.term)))
