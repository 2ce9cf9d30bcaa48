"""Adverse events: overview, terms at worst grade, dose-limiting toxicities."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.adverse_event_table import adverse_event_table
from fhiradapter.analysis.adverse_event_terms import summarise_terms, term_rows
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.dose_limiting import (
    DoseLimitingRows,
    dose_limiting_rows,
    summarise_dose_limiting,
    with_hours,
)
from fhiradapter.analysis.incidence import incidence
from fhiradapter.analysis.infusions import infusions_until_cut
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.population import places
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import DoseLimiting, Incidence, Term
from fhiradapter.settings import Study

DAYS_PER_YEAR = 365.25  # UCUM a: a Julian year

ANY_EMERGENT = "any treatment-emergent adverse event"
ANY = "any adverse event"
DEATH_WITHOUT_EVENT = "deaths recorded without an adverse event"
UNKNOWN_EMERGENCE = "adverse event not known to be treatment-emergent"

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
class Counts:
    """How many subjects and events of some subjects each line of the overview has."""

    subjects: Counter[str]
    events: Counter[str]


@dataclass(frozen=True)
class AdverseEventRows:
    """What is derived of the adverse events of some subjects.

    terms: one row per event that counts, as from `term_rows`. fatal: subjects with a fatal event. notes and
    flags: events of which something could not be said, and how it was decided whether they are emergent.
    """

    overview: Counts
    terms: pd.DataFrame
    dose_limiting: DoseLimitingRows | None
    fatal: frozenset[str]
    notes: Counter[str]
    flags: Counter[str]


@dataclass(frozen=True)
class AdverseEvents:
    """The adverse-event parts of the safety results."""

    overview: dict[str, Incidence]
    terms: tuple[Term, ...]
    dose_limiting: DoseLimiting | None
    notes: dict[str, int]


def derive_adverse_events(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> AdverseEvents:
    """Return the adverse events of the study's subjects.

    `timeline` is indexed by subject_id with `doses`, `first_dose_at`, `first_dose_on`,
    `first_dose_precision`, `last_dose_on`, `last_contact_on` and `died`. Events and infusions after the data
    cut do not count. Subjects who died and have no fatal event are counted in the notes.

    With treatment, the overview and the terms count treatment-emergent events among the subjects with a
    dose, and events per 100 person-years from the first dose to the last contact, or to the end of the
    window after the last dose when that is earlier. The events of which it is not known (no dose, no dated
    dose) have a line of their own among all subjects. Without treatment there is no such thing: all events
    count, among all. The row_ids of a term are in order of subjects.
    """
    return summarise_adverse_events(over_parts(adverse_event_rows, cohort, study, timeline), study, timeline)


def adverse_event_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> AdverseEventRows:
    """Derive what `summarise_adverse_events` needs of some whole subjects."""
    table, notes = adverse_event_table(cohort, study, timeline)
    infusions = infusions_until_cut(cohort, study, timeline.index)
    return rows_of_events(with_hours(table, infusions), notes, study, timeline)


def rows_of_events(
    table: pd.DataFrame, notes: Counter[str], study: Study, timeline: pd.DataFrame
) -> AdverseEventRows:
    """Return what the summary needs of some subjects' events, a table as from `with_hours`."""
    return AdverseEventRows(
        overview=count_lines(table, study, timeline),
        terms=term_rows(table if study.treatment is None else _emergent(table, timeline)),
        dose_limiting=None if study.treatment is None else dose_limiting_rows(table, study),
        fatal=frozenset(table.loc[table["fatal"], "subject_id"]),
        notes=notes,
        flags=Counter(table["flag"].dropna().tolist()),
    )


def summarise_adverse_events(rows: AdverseEventRows, study: Study, timeline: pd.DataFrame) -> AdverseEvents:
    """Return the adverse events that the rows of all subjects show."""
    dead = timeline.index[timeline["died"].astype(bool)]
    notes = {**rows.notes, **dict(sorted(rows.flags.items()))}
    notes[DEATH_WITHOUT_EVENT] = int((~dead.isin(rows.fatal)).sum())
    dose_limiting = None
    if rows.dose_limiting is not None:
        treated = timeline.index[timeline["doses"].gt(0)]
        dose_limiting = summarise_dose_limiting(rows.dose_limiting, study, treated=treated)
        notes |= rows.dose_limiting.undecided
    return AdverseEvents(
        overview=summarise_overview(rows.overview, study, timeline),
        terms=summarise_terms(rows.terms),
        dose_limiting=dose_limiting,
        notes={name: count for name, count in notes.items() if count},
    )


def count_lines(table: pd.DataFrame, study: Study, timeline: pd.DataFrame) -> Counts:
    """Count the subjects and events of each line of the overview, of a table of some subjects' events."""
    treated = study.treatment is not None
    first = _emergent(table, timeline) if treated else table
    lines = {ANY_EMERGENT if treated else ANY: first}
    for name, column in LINES.items():
        if treated or name not in NEEDS_TREATMENT:
            lines[name] = first.loc[first[column].fillna(False).astype(bool)]
    if treated:
        lines[UNKNOWN_EMERGENCE] = table.loc[table["treatment_emergent"].isna()]
    return Counts(
        subjects=Counter({name: int(rows["subject_id"].nunique()) for name, rows in lines.items()}),
        events=Counter({name: len(rows) for name, rows in lines.items()}),
    )


def summarise_overview(counts: Counts, study: Study, timeline: pd.DataFrame) -> dict[str, Incidence]:
    """Return the incidence of each line among the subjects of the timeline, or those of them with a dose."""
    confidence = study.statistics.confidence
    n, years = len(timeline), None
    if study.treatment is not None:
        treated = timeline.loc[timeline["doses"].gt(0)]
        n, years = len(treated), person_years(treated, window_days=study.safety.window_days)
    overview = {
        name: incidence(subjects, n, events=counts.events[name], confidence=confidence, person_years=years)
        for name, subjects in counts.subjects.items()
        if name != UNKNOWN_EMERGENCE
    }
    if UNKNOWN_EMERGENCE in counts.subjects:
        unknown, events = counts.subjects[UNKNOWN_EMERGENCE], counts.events[UNKNOWN_EMERGENCE]
        overview[UNKNOWN_EMERGENCE] = incidence(unknown, len(timeline), events=events, confidence=confidence)
    return overview


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


def _emergent(table: pd.DataFrame, timeline: pd.DataFrame) -> pd.DataFrame:
    """Return the treatment-emergent events of the subjects with a dose."""
    treated = timeline.index[timeline["doses"].gt(0)]
    emergent = table["treatment_emergent"].fillna(False).astype(bool)
    return table.loc[emergent & (places(table["subject_id"], treated) >= 0)]
