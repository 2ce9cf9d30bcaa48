"""The measurements that may enter an analysis."""

from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.days import INSTANT, earliest_instant, is_partial
from fhiradapter.analysis.population import members
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

FINAL = ("final", "amended", "corrected", "appended", "completed")
PROVISIONAL = ("registered", "preliminary")

NO_SUBJECT = "no_subject"
STATUS = "status_not_used"
PROVISIONAL_LEFT_OUT = "provisional_left_out"
NO_VALUE = "no_value"
NO_DATE = "no_date"
IMPRECISE_DATE = "imprecise_date"
AFTER_DATA_CUT = "after_data_cut"
AFTER_RECORDING = "dated_after_recording"
COMPARATOR = "comparator"

LEFT_OUT = ("subject_id", "row_id", "reason")
# What decides whether a row may be used, and what every analysis needs of it.
ALWAYS = (
    "subject_id",
    "row_id",
    "concept",
    "status",
    "value",
    "specimen",
    "method",
    "measured_at",
    "measured_on",
    "measured_precision",
    "last_updated",
)
# Of these no analysis asks again, once it is decided which rows may be used.
DECIDED = ["status", "measured_at", "measured_on", "last_updated"]
# A server's clock and a visit's time zone may differ by this much; more, and the date lies in the future.
CLOCK_TOLERANCE = pd.Timedelta(days=1)


def usable_measurements(
    cohort: Cohort,
    study: Study,
    concepts: Collection[str],
    population: pd.Index,
    *,
    columns: Iterable[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the usable rows of some concepts, and one row per measurement that is left out, with its reason.

    The second frame has `subject_id`, `row_id`, `reason`, `specimen` and `method`.
    Usable: status final, amended, corrected, appended or completed (registered and preliminary when
    `progression.provisional_status` says so), a finite value, a date with at least the day, not after the
    data cut and not dated after it was recorded. Comparators are left to the caller. The usable rows have two
    columns more: `at` (UTC) and `on` (local day). Rows of subjects outside the population are in neither
    frame. `columns` are those wanted beside `ALWAYS` (without `DECIDED`); None gives all.

    >>> row = {"subject_id": "s1", "concept": "alt", "value": 20.0}
    >>> rows = [{**row, "status": "cancelled"}, {**row, "status": "final"}]
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> rows, left_out = usable_measurements(cohort, study, ["alt"], pd.Index(["s1"]))
    >>> len(rows), left_out["reason"].tolist()
    (0, ['status_not_used', 'no_date'])
    """
    wanted = cohort.arrow("measurements").column_names if columns is None else [*ALWAYS, *columns]
    rows = cohort.select("measurements", list(dict.fromkeys(wanted)), concepts=concepts)
    nobody = _where(rows, rows["subject_id"].isna().to_numpy(dtype=bool))
    rows = members(rows, population)
    at, on = rows["measured_at"].astype(INSTANT), rows["measured_on"]
    if on.isna().any():
        on = on.fillna(at.dt.tz_localize(None).dt.floor("D"))
    on = on.astype("datetime64[s]")
    rows = rows.assign(at=earliest_instant(at, on), on=on, provisional=rows["status"].isin(PROVISIONAL))
    cut = study.follow_up.data_cut
    accepted = FINAL + (PROVISIONAL if study.progression.provisional_status else ())
    reasons = {
        PROVISIONAL_LEFT_OUT: rows["provisional"] & (not study.progression.provisional_status),
        STATUS: ~rows["status"].isin(accepted),
        NO_VALUE: ~np.isfinite(rows["value"]),
        NO_DATE: on.isna(),
        IMPRECISE_DATE: is_partial(rows["measured_precision"]),
        AFTER_DATA_CUT: on.gt(pd.Timestamp(cut)) if cut else np.zeros(len(rows), dtype=bool),
        AFTER_RECORDING: at.gt(rows["last_updated"] + CLOCK_TOLERANCE),
    }
    held = [np.asarray(holds, dtype=bool) for holds in reasons.values()]
    unusable = np.logical_or.reduce(held)
    reason = np.select([holds[unusable] for holds in held], list(reasons), default="")
    told = [*LEFT_OUT, "specimen", "method"]
    nobody = nobody.assign(
        reason=NO_SUBJECT, subject_id=nobody["subject_id"].astype(rows["subject_id"].dtype)
    )
    refused = _where(rows[[name for name in told if name != "reason"]], unusable).assign(reason=reason)
    left_out = pd.concat([nobody[told], refused[told]], ignore_index=True)
    if columns is not None:
        rows = rows.drop(columns=DECIDED)
    return (rows.loc[~unusable] if unusable.any() else rows), left_out


def _where(rows: pd.DataFrame, chosen: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return the rows that were chosen; mostly there are none, and to look for them takes long."""
    return rows.loc[chosen] if chosen.any() else rows.iloc[:0]


def split_off(
    rows: pd.DataFrame, left_out: pd.DataFrame, condition: "pd.Series[bool]", reason: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move the rows where the condition holds to those left out."""
    if not condition.any():
        return rows, left_out
    moved = rows.loc[condition].assign(reason=reason)[list(left_out.columns)]
    return rows.loc[~condition], pd.concat([left_out, moved], ignore_index=True)


def count_reasons(left_out: pd.DataFrame) -> dict[str, int]:
    """Count the rows left out by reason, in alphabetical order."""
    counts = left_out["reason"].value_counts().sort_index()
    return {str(reason): int(count) for reason, count in counts.items()}
