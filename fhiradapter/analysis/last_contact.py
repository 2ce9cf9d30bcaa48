"""The last day on which a subject is known to have been seen."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import DAY
from fhiradapter.analysis.population import places
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
OPEN_ENDED = np.datetime64("9999-01-01", "D")
NEVER = np.iinfo(np.int64).min


def derive_last_contact(
    cohort: Cohort, study: Study, population: pd.Index, *, death_on: pd.Series
) -> pd.Series:
    """Return the last day with a dated measurement, exposure, encounter or event, by subject id.

    An enrolment is an entry in a register and no contact. Days after the data cut, after the death
    (`death_on`, by subject id) and after the day they were recorded on do not count; where death is known,
    nothing later than its day is returned. Missing when there is no such day.
    """
    latest = np.full(len(population), NEVER)
    cut = np.datetime64(study.follow_up.data_cut, "D") if study.follow_up.data_cut else OPEN_ENDED
    for table, columns in DAYS.items():
        more = ["kind"] if table == "events" else []
        rows = cohort.select(table, ["subject_id", "status", "last_updated", *columns, *more])
        counted = places(rows["subject_id"], population) >= 0
        if rows["status"].notna().any():
            counted &= ~rows["status"].isin(NOT_SEEN).to_numpy()
        if table == "events":
            counted &= ~rows["kind"].eq("enrolment").to_numpy(dtype=bool)
        rows = rows.loc[counted]
        place = places(rows["subject_id"], population)
        recorded = (rows["last_updated"] + CLOCK_TOLERANCE).to_numpy(dtype="datetime64[us]")
        limit = death_on.to_numpy(dtype="datetime64[D]")[place]
        for column in columns:
            on = rows[column].to_numpy(dtype="datetime64[D]")
            # A comparison with a time that is not known is False.
            seen = (on <= cut) & (on < OPEN_ENDED) & ~(on > recorded) & ~(on > limit)
            np.maximum.at(latest, place[seen], on[seen].astype(np.int64))
    days = latest.astype("datetime64[D]")
    days[latest == NEVER] = np.datetime64("NaT")
    return pd.Series(days, index=population).astype(DAY)
