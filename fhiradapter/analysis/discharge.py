"""Same-day discharge after an infusion."""

import pandas as pd

from fhiradapter.analysis.days import is_partial
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Discharge

# An encounter that was called off or entered by mistake shows nobody going home.
NO_ENCOUNTER = ("cancelled", "entered-in-error")


def same_day_discharge(infusions: pd.DataFrame, cohort: Cohort) -> pd.Series:
    """Return True where the infusion's encounter starts and ends on one local day, as a nullable boolean.

    Missing where the infusion names no encounter, the encounter was not read, its start or end has no day, or
    it ends before it starts.
    `infusions` (n rows) needs `subject_id` and `encounter_id`; the result has its index.
    """
    encounters = cohort.encounters
    encounters = encounters.loc[
        encounters["started_on"].notna()
        & encounters["ended_on"].notna()
        & ~is_partial(encounters["started_precision"])
        & ~is_partial(encounters["ended_precision"])
        & ~encounters["status"].isin(NO_ENCOUNTER)
        & encounters["encounter_id"].notna()
        & encounters["ended_on"].ge(encounters["started_on"])
    ]
    known = encounters.sort_values("row_id", kind="stable")
    known = known.drop_duplicates(["subject_id", "encounter_id"], keep="last")
    joined = infusions[["subject_id", "encounter_id"]].merge(
        known[["subject_id", "encounter_id", "started_on", "ended_on"]],
        on=["subject_id", "encounter_id"],
        how="left",
    )
    same = joined["started_on"].eq(joined["ended_on"]).astype("boolean").mask(joined["started_on"].isna())
    return same.set_axis(infusions.index)


def count_discharges(same_day: pd.Series) -> Discharge:
    """Count infusions by `same_day_discharge`: the percentage is of those whose encounter has both days.

    >>> count_discharges(pd.Series([True, False, pd.NA], dtype="boolean")).percent
    50.0
    """
    known, home = int(same_day.notna().sum()), int(same_day.sum())
    return Discharge(
        infusions=len(same_day),
        with_encounter=known,
        same_day=home,
        percent=100 * home / known if known else None,
    )
