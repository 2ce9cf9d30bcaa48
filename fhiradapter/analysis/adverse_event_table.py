"""The adverse events that count, each with its grade, its flags and whether it is treatment-emergent."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import earliest_day, latest_day
from fhiradapter.analysis.treatment_emergence import treatment_emergent
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.model import Precision
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
# Terms of CTCAE and MedDRA, compared whole and without regard to case.
INFUSION_REACTIONS = frozenset(
    {"infusion related reaction", "infusion-related reaction", "infusion reaction"}
)
CYTOKINE_RELEASE = frozenset({"cytokine release syndrome"})

NO_TERM = "(no term)"
FROM_SEVERITY = "grade taken from severity"
NO_GRADE = "grade and severity not stated"
NO_SERIOUSNESS = "seriousness not stated"
NO_CAUSALITY = "relation to the product not stated"
NO_ACTION = "action taken with the product not stated"
NO_SUBJECT = "without a subject of the study"
UNTREATED = "in subjects without a dose"


def adverse_event_table(
    cohort: Cohort, study: Study, timeline: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the adverse events of the subjects of `timeline`, and counts of what could not be said or used.

    Columns: `row_id`, `subject_id`, `system`, `term`, `key` (term as it is compared), `grade` (Int64: as
    reported, else mild, moderate, severe as 1, 2, 3), `severe` (grade >= 3), `serious` (as the source says,
    and every fatal one), `fatal` (outcome fatal or grade 5), `related`, `withdrawn`, `special`: bool, False
    where the source does not say; `treatment_emergent` (nullable) and `flag`; `started_at`,
    `started_precision`.
    """
    rows = cohort.events
    rows = rows.loc[rows["kind"].eq("adverse_event")]
    status = rows["status"].str.strip().str.casefold()
    notes = {f"excluded: {name}": int(status.eq(name).sum()) for name in NOT_EVENTS}
    rows = rows.loc[~status.isin(NOT_EVENTS)]
    known = rows["subject_id"].isin(timeline.index)
    notes[NO_SUBJECT] = int((~known).sum())
    rows = rows.loc[known]
    severity = rows["severity"].str.strip().str.casefold().map(SEVERITY_GRADES).astype("Int64")
    reported = rows["grade"].astype("Int64")
    reported = reported.where(reported.between(1, 5).fillna(False))
    grade = reported.fillna(severity)
    term = rows["term"].fillna(rows["source_display"]).fillna(rows["source_code"]).fillna(NO_TERM).str.strip()
    key = term.str.casefold()
    fatal = rows["outcome"].map(_code).isin(FATAL) | grade.eq(5).fillna(False)
    special = {name.strip().casefold() for name in study.safety.special_interest}
    table = pd.DataFrame(
        {
            "row_id": rows["row_id"],
            "subject_id": rows["subject_id"],
            "system": rows["system_organ_class"],
            "term": term,
            "key": key,
            "grade": grade,
            "severe": grade.ge(3).fillna(False).astype(bool),
            "fatal": fatal.astype(bool),
            "serious": (rows["serious"].fillna(False) | fatal).astype(bool),
            "related": rows["related"].fillna(False).astype(bool),
            "withdrawn": rows["action"].map(_code).isin(WITHDRAWN),
            "special": key.isin(special | INFUSION_REACTIONS | CYTOKINE_RELEASE),
            "started_at": rows["started_at"],
            "started_precision": rows["started_precision"],
        }
    ).join(_emergence(rows, study, timeline))
    notes |= {
        FROM_SEVERITY: int((reported.isna() & severity.notna()).sum()),
        NO_GRADE: int(grade.isna().sum()),
        NO_SERIOUSNESS: int((rows["serious"].isna() & ~fatal).sum()),
    }
    if study.treatment is not None:
        notes |= {
            NO_CAUSALITY: int(rows["related"].isna().sum()),
            NO_ACTION: int(rows["action"].isna().sum()),
            UNTREATED: int(timeline["first_dose_on"].reindex(rows["subject_id"]).isna().sum()),
        }
        flags = table["flag"].dropna().value_counts().sort_index()
        notes |= {str(flag): int(count) for flag, count in flags.items()}
    return table.reset_index(drop=True), {name: count for name, count in notes.items() if count}


def _code(text: object) -> str:
    """Return the code of 'system|code', else the text, as it is compared."""
    return text.rsplit("|", 1)[-1].strip().casefold() if isinstance(text, str) else ""


def _emergence(rows: pd.DataFrame, study: Study, timeline: pd.DataFrame) -> pd.DataFrame:
    """Return whether each event is treatment-emergent; missing in a study without treatment."""
    if study.treatment is None:
        missing = pd.array([pd.NA] * len(rows), dtype="boolean")
        return pd.DataFrame({"treatment_emergent": missing, "flag": None}, index=rows.index)
    doses = timeline.reindex(rows["subject_id"]).set_index(rows.index)
    starts = rows["started_at"], rows["started_on"], rows["started_precision"]
    earliest = earliest_day(*starts)
    exact = rows["started_precision"].eq(Precision.SECOND.value) & doses["first_dose_precision"].eq(
        Precision.SECOND.value
    )
    days = pd.DataFrame(
        {
            "start_earliest": earliest,
            "start_latest": latest_day(*starts),
            "end_latest": latest_day(rows["ended_at"], rows["ended_on"], rows["ended_precision"]),
            "before_first_dose": exact
            & earliest.eq(doses["first_dose_on"])
            & rows["started_at"].lt(doses["first_dose_at"]),
        },
        index=rows.index,
    )
    return treatment_emergent(
        days,
        first_dose=doses["first_dose_on"],
        last_dose=doses["last_dose_on"],
        window_days=study.safety.window_days,
    )


def worst_grades(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per system, term and subject: `grade` (worst; missing when none is known), `events`."""
    keyed = table.assign(system_key=table["system"].fillna("").str.strip().str.casefold())
    groups = keyed.groupby(["system_key", "key", "subject_id"], sort=True)
    grade = groups["grade"].max()
    return pd.DataFrame(
        {
            "system": groups["system"].first(),
            "term": groups["term"].first(),
            "grade": grade,
            "label": np.where(grade.isna(), "unknown", grade.astype("Int64").astype(str)),
            "events": groups.size(),
        }
    ).reset_index()
