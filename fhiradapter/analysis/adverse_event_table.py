"""The adverse events that count, each with its grade, its flags and whether it is treatment-emergent."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from fhiradapter.analysis.data_cut import AFTER_CUT, after_cut
from fhiradapter.analysis.days import earliest_day, is_partial, latest_day
from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.population import members, of_subject, places
from fhiradapter.analysis.treatment_emergence import treatment_emergent
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

# entered-in-error and refuted did not happen; a potential one (AdverseEvent.actuality) was only a near miss.
NOT_EVENTS = ("entered-in-error", "refuted", "potential")
SEVERITY_GRADES = {"mild": 1, "moderate": 2, "severe": 3}
FATAL = frozenset({"fatal", "death", "died"})
# "Drug withdrawn" as CDISC ACN, ICH E2B and plain English write it.
WITHDRAWN = frozenset(
    {
        "drug withdrawn",
        "drug-withdrawn",
        "withdrawn",
        "discontinued",
        "drug discontinued",
        "treatment stopped",
    }
)
# Terms of CTCAE and MedDRA, compared whole and without regard to case, hyphens and the width of blanks.
INFUSION_REACTIONS = frozenset({"infusion related reaction", "infusion reaction"})
CYTOKINE_RELEASE = frozenset({"cytokine release syndrome", "cytokine release syndrome (crs)"})

# What is read of the table of events.
READ = (
    "row_id",
    "subject_id",
    "status",
    "term",
    "source_display",
    "source_code",
    "system_organ_class",
    "severity",
    "grade",
    "outcome",
    "serious",
    "related",
    "action",
    "started_at",
    "started_on",
    "started_precision",
    "ended_at",
    "ended_on",
    "ended_precision",
)

NO_TERM = "(no term)"
FROM_SEVERITY = "grade taken from severity"
FROM_OUTCOME = "grade 5 taken from the fatal outcome"
FATAL_LATER = "fatal after the data cut: not counted as fatal"
NO_GRADE = "grade and severity not stated"
NO_SERIOUSNESS = "seriousness not stated"
NO_CAUSALITY = "relation to the product not stated"
NO_ACTION = "action taken with the product not stated"
NO_SUBJECT = "without a subject of the study"
UNTREATED = "in subjects without a dose"


EventTable = tuple[pd.DataFrame, Counter[str]]


def adverse_event_table(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> EventTable:
    """Return the adverse events of the subjects of `timeline`, and counts of what could not be said or used.

    Subjects are in the order of `timeline`, the events of one as they came. Columns: `row_id`, `subject_id`,
    `system`, `term`, `key` (term as it is compared), `grade` (Int64: as reported, else 5 where fatal,
    else mild, moderate, severe as 1, 2, 3), `fatal` (outcome fatal or grade 5), `severe` (grade >= 3, and
    every fatal one), `serious` (as the source says, and every fatal one), `withdrawn`, `special`, `reaction`
    (infusion reaction), `cytokine_release`: bool, False where the source does not say; `related`,
    `treatment_emergent` (nullable) and `flag` (a sentence on how it was decided, None where it was plain);
    `started_at`, `started_on` (local day; missing when the date has no day), `started_precision`.

    Events that begin after the data cut are left out. One that began before it and ended in death after it is
    not fatal yet: a grade of 5 is then no grade.
    """
    rows, notes = _events(cohort, study, timeline)
    grades, told = _grades(rows, study)
    term = rows["term"].fillna(rows["source_display"]).fillna(rows["source_code"]).fillna(NO_TERM).str.strip()
    spelling = _by_word(term, _spelling)
    special = {_spelling(name) for name in study.safety.special_interest}
    table = grades.assign(
        row_id=rows["row_id"],
        subject_id=rows["subject_id"],
        system=rows["system_organ_class"],
        term=term,
        key=_by_word(term, str.casefold),
        severe=grades["grade"].ge(3).fillna(False).astype(bool) | grades["fatal"],
        serious=(rows["serious"].fillna(False) | grades["fatal"]).astype(bool),
        related=rows["related"].astype("boolean"),
        withdrawn=_by_word(rows["action"], _code).isin(WITHDRAWN),
        reaction=spelling.isin(INFUSION_REACTIONS),
        cytokine_release=spelling.isin(CYTOKINE_RELEASE),
        special=spelling.isin(special | INFUSION_REACTIONS | CYTOKINE_RELEASE),
        started_at=rows["started_at"],
        started_on=rows["started_on"].mask(is_partial(rows["started_precision"])),
        started_precision=rows["started_precision"],
    )
    table = table.join(_emergence(rows, table, study, timeline))
    notes |= told | {NO_SERIOUSNESS: int((rows["serious"].isna() & ~table["fatal"]).sum())}
    if study.treatment is not None:
        notes |= {
            NO_CAUSALITY: int(rows["related"].isna().sum()),
            NO_ACTION: int(rows["action"].isna().sum()),
            UNTREATED: int(of_subject(timeline["first_dose_on"], rows["subject_id"]).isna().sum()),
        }
    return table.reset_index(drop=True), Counter(notes)


def _events(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the events of the study's subjects until the data cut, and counts of the other rows."""
    rows = cohort.select("events", READ, kinds=["adverse_event"])
    status = rows["status"].str.strip().str.casefold()
    notes = {f"excluded: {name}": int(status.eq(name).sum()) for name in NOT_EVENTS}
    rows = rows.loc[~status.isin(NOT_EVENTS)]
    received = len(rows)
    rows = members(rows, timeline.index)
    notes[NO_SUBJECT] = received - len(rows)
    late = after_cut(rows, study.follow_up.data_cut)
    notes[f"excluded: {AFTER_CUT}"] = int(late.sum())
    rows = rows.loc[~late]
    return in_order(rows, ["subject_id", "row_id"]), notes


def _grades(rows: pd.DataFrame, study: Study) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return `grade` (Int64) and `fatal` (bool) of each row, and counts of where they come from."""
    severity = rows["severity"].str.strip().str.casefold().map(SEVERITY_GRADES).astype("Int64")
    reported = rows["grade"].astype("Int64")
    reported = reported.where(reported.between(1, 5).fillna(False))
    outcome = _by_word(rows["outcome"], _code).isin(FATAL)
    died = (outcome | reported.eq(5).fillna(False)).astype(bool)
    later = died & after_cut(rows, study.follow_up.data_cut, prefix="ended")
    fatal = died & ~later
    reported = reported.mask(later & reported.eq(5).fillna(False))
    from_outcome = fatal & reported.isna()
    grade = reported.mask(from_outcome, 5).fillna(severity)
    return pd.DataFrame({"grade": grade, "fatal": fatal}), {
        FATAL_LATER: int(later.sum()),
        FROM_OUTCOME: int(from_outcome.sum()),
        FROM_SEVERITY: int((reported.isna() & ~from_outcome & severity.notna()).sum()),
        NO_GRADE: int(grade.isna().sum()),
    }


def _by_word(column: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """Return the column with each different word changed; what is missing is the empty word."""
    codes, words = pd.factorize(column)
    changed = np.array([*map(change, words.tolist()), ""], dtype=object)
    return pd.Series(changed[codes], index=column.index, dtype=object)


def _spelling(term: str) -> str:
    """Return a term as terms of special interest are compared."""
    return " ".join(term.casefold().replace("-", " ").split())


def _code(text: str) -> str:
    """Return the code of 'system|code', else the text, as it is compared."""
    return text.rsplit("|", 1)[-1].strip().casefold()


def _emergence(rows: pd.DataFrame, table: pd.DataFrame, study: Study, timeline: pd.DataFrame) -> pd.DataFrame:
    """Return whether each event is treatment-emergent; missing in a study without treatment.

    Whether an earlier event worsened is asked of the others once these have been placed.
    """
    if study.treatment is None:
        missing = pd.array([pd.NA] * len(rows), dtype="boolean")
        return pd.DataFrame({"treatment_emergent": missing, "flag": None}, index=rows.index)
    doses = timeline.take(places(rows["subject_id"], timeline.index)).set_axis(rows.index)
    starts = rows["started_at"], rows["started_on"], rows["started_precision"]
    latest = latest_day(*starts)
    side = side_of_first_dose(
        rows["subject_id"],
        on=latest,
        at=rows["started_at"],
        precision=rows["started_precision"],
        timeline=timeline,
    )
    days = pd.DataFrame(
        {
            "start_earliest": earliest_day(*starts),
            "start_latest": latest,
            "end_latest": latest_day(rows["ended_at"], rows["ended_on"], rows["ended_precision"]),
            "before_first_dose": side.lt(0),
        },
        index=rows.index,
    )
    decide = partial(
        treatment_emergent,
        days,
        first_dose=doses["first_dose_on"],
        last_dose=doses["last_dose_on"],
        window_days=study.safety.window_days,
    )
    found = decide()
    later = found["treatment_emergent"].fillna(False).astype(bool) & latest.notna()
    worst = table["grade"].where(later).groupby([table["subject_id"], table["key"]]).transform("max")
    return decide(worsened=worst.gt(table["grade"]).fillna(False).astype(bool))
