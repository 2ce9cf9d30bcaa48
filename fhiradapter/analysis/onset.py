"""The onset of symptoms."""

import pandas as pd

from fhiradapter.analysis.days import DAY, earliest_day, earliest_instant, is_partial
from fhiradapter.analysis.marks import note
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.analysis.usable_measurements import FINAL
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.model import Precision

DISEASE = "als"
ONSET = "symptom_onset"
NEGATED = ("refuted", "entered-in-error")
# EHRs write these for "not known" and "open-ended".
SENTINEL_DAY = pd.Timestamp("1900-01-01")
SENTINEL_YEAR = 9999

UNREADABLE = "onset answer not used: it is no date"
NOT_A_DATE = "onset date not used: it stands for an unknown date"
AFTER_FIRST = "onset date not used: it lies after the first score or dose"
BEFORE_BIRTH = "onset date not used: it lies before birth"
PARTIAL = "onset not given to the day: the earliest possible day is used"
DISAGREE = "several onset dates: the most direct and most precise one is used"
COLUMNS = ("onset_at", "onset_on", "onset_precision")


def derive_onset(
    cohort: Cohort, population: pd.Index, *, first_on: pd.Series, birth_on: pd.Series
) -> tuple[pd.DataFrame, list[pd.Series]]:
    """Return `onset_at` (UTC), `onset_on` (local day) and `onset_precision` per subject, and notes.

    An answer to the question for symptom onset goes before the onset of the condition, which may be a date of
    diagnosis; then the more precise date; then the earlier one. A partial date stands for its earliest day.
    Not an onset: 1900-01-01 and the year 9999, a day after `first_on` (the first score or dose), a day before
    birth. first_on, birth_on: days by subject id, missing where not known.
    """
    found = pd.concat([_answers(cohort, population), _conditions(cohort, population)], ignore_index=True)
    unreadable = found["on"].isna() & found["rank"].eq(0)
    nameless = note(found.loc[unreadable, "subject_id"], UNREADABLE)
    found = found.loc[found["on"].notna()]
    sentinel = found["on"].eq(SENTINEL_DAY) | found["on"].dt.year.eq(SENTINEL_YEAR)
    late = ~sentinel & found["on"].gt(of_subject(first_on, found["subject_id"]))
    early = (
        ~sentinel
        & found["on"].lt(of_subject(birth_on, found["subject_id"]))
        & ~is_partial(found["precision"])
    )
    notes = [nameless] + [
        note(found.loc[holds, "subject_id"], sentence)
        for holds, sentence in ((sentinel, NOT_A_DATE), (late, AFTER_FIRST), (early, BEFORE_BIRTH))
    ]
    usable = found.loc[~(sentinel | late | early)].assign(
        vagueness=found["precision"].map({Precision.YEAR.value: 2, Precision.MONTH.value: 1}).fillna(0)
    )
    usable = usable.sort_values(["subject_id", "rank", "vagueness", "on", "at"], kind="stable")
    chosen = usable.drop_duplicates("subject_id").set_index("subject_id")
    distinct = usable.groupby("subject_id")["on"].nunique()
    notes.append(note(chosen.index[is_partial(chosen["precision"])], PARTIAL))
    notes.append(note(distinct.index[distinct.gt(1)], DISAGREE))
    onset = chosen[["at", "on", "precision"]].set_axis(list(COLUMNS), axis=1)
    return onset.reindex(population), notes


def _conditions(cohort: Cohort, population: pd.Index) -> pd.DataFrame:
    wanted = ["subject_id", "kind", "status", "started_at", "started_on", "started_precision"]
    rows = members(cohort.select("events", wanted, concepts=[DISEASE]), population)
    rows = rows.loc[rows["kind"].eq("condition")]
    rows = rows.loc[~rows["status"].isin(NEGATED)]
    on = earliest_day(rows["started_at"], rows["started_on"], rows["started_precision"])
    return pd.DataFrame(
        {
            "subject_id": rows["subject_id"],
            "at": earliest_instant(rows["started_at"], on),
            "on": on,
            "precision": rows["started_precision"],
            "rank": 1,
        }
    )


def _answers(cohort: Cohort, population: pd.Index) -> pd.DataFrame:
    rows = cohort.select("measurements", ["subject_id", "status", "value_text"], concepts=[ONSET])
    rows = members(rows, population)
    rows = rows.loc[rows["status"].isin(FINAL)]
    text = rows["value_text"].astype("str").str.strip()
    parts = text.str.extract(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:T.*)?$")
    written = parts[0] + "-" + parts[1].fillna("01") + "-" + parts[2].fillna("01")
    on = pd.to_datetime(written, format="%Y-%m-%d", errors="coerce").astype(DAY)
    precision = pd.Series(Precision.DAY.value, index=rows.index, dtype="str")
    precision = precision.mask(parts[2].isna(), Precision.MONTH.value)
    precision = precision.mask(parts[1].isna(), Precision.YEAR.value)
    instant = pd.to_datetime(
        text.where(text.str.contains("T", na=False)), format="ISO8601", utc=True, errors="coerce"
    )
    at = earliest_instant(instant, on)
    return pd.DataFrame(
        {"subject_id": rows["subject_id"], "at": at, "on": on, "precision": precision, "rank": 0}
    )
