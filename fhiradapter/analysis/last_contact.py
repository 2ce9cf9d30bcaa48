"""The last day on which a subject is known to have been seen."""

import pandas as pd

from fhiradapter.analysis.days import DAY
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.analysis.usable_measurements import CLOCK_TOLERANCE
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

DAYS = {
    "measurements": ("measured_on",),
    "exposures": ("started_on", "ended_on"),
    "encounters": ("started_on", "ended_on"),
    "events": ("started_on", "ended_on"),
}
# An appointment, a missed dose and a mistake are dated, but nobody was seen.
NOT_SEEN = ("planned", "cancelled", "noshow", "not-done", "entered-in-error", "proposed", "booked", "refuted")
OPEN_ENDED = pd.Timestamp("9999-01-01")


def derive_last_contact(
    cohort: Cohort, study: Study, population: pd.Index, *, death_on: pd.Series
) -> pd.Series:
    """Return the last day with a dated measurement, exposure, encounter or event, by subject id.

    An enrolment is an entry in a register and no contact. Days after the data cut, after the death
    (`death_on`, by subject id) and after the day they were recorded on do not count; where death is known,
    nothing later than its day is returned. Missing when there is no such day.
    """
    latest = pd.Series(pd.NaT, index=population, dtype=DAY)
    cut = pd.Timestamp(study.follow_up.data_cut) if study.follow_up.data_cut else OPEN_ENDED
    for table, columns in DAYS.items():
        rows = members(cohort.frame(table), population)
        rows = rows.loc[~rows["status"].isin(NOT_SEEN)]
        if table == "events":
            rows = rows.loc[~rows["kind"].eq("enrolment")]
        recorded = (rows["last_updated"] + CLOCK_TOLERANCE).dt.tz_localize(None)
        limit = of_subject(death_on, rows["subject_id"])
        for column in columns:
            on = rows[column].astype(DAY)
            seen = on.le(cut) & on.lt(OPEN_ENDED) & ~on.gt(recorded) & ~on.gt(limit)
            days = on[seen].groupby(rows["subject_id"]).max().reindex(population)
            latest = latest.where(latest.ge(days) | days.isna(), days)
    return latest
