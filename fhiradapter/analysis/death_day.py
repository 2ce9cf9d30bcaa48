"""The day on which a death is counted."""

import pandas as pd

from fhiradapter.settings import Study

UNDATED = "died, date not known: counted on the day of the last contact"
UNDATED_UNUSED = "died, date not known"
PARTIAL = (
    "death not given to the day: counted on the earliest day that fits and on which the subject was alive"
)


def death_days(timeline: pd.DataFrame, study: Study) -> pd.Series:
    """Return the day on which each death counts, by subject id; missing for who did not die.

    timeline: the result of `derive_timeline`. A partial date stands for its earliest possible day, moved to
    the last score or dose where that is later and still possible. A death without any date counts on the day
    of the last contact, the first day that is not excluded; with the policy `survival.undated_death =
    "exclude"` it has no day.

    >>> days = {"death_on": "2024-01-01", "death_latest_on": "2024-12-31", "last_score_on": "2024-05-06",
    ...         "last_dose_on": None, "last_contact_on": "2024-01-01"}  # died in 2024, scored in May
    >>> timeline = pd.DataFrame({name: pd.to_datetime(pd.Series([on])) for name, on in days.items()})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> death_days(timeline.assign(died=True), study).dt.strftime("%Y-%m-%d").tolist()
    ['2024-05-06']
    """
    alive = timeline[["last_score_on", "last_dose_on"]].max(axis=1)
    later = alive.gt(timeline["death_on"]) & alive.le(timeline["death_latest_on"])
    on = timeline["death_on"].mask(later, alive)
    if study.survival.undated_death == "at_last_contact":
        on = on.fillna(timeline["last_contact_on"])
    return on.where(timeline["died"])


def notes_on_deaths(timeline: pd.DataFrame) -> pd.Series:
    """Return what each subject's day of death rests on, by subject id; missing where it was given."""
    said = pd.Series(None, index=timeline.index, dtype=object)
    vague = timeline["death_on"].lt(timeline["death_latest_on"])
    said = said.mask(timeline["died"] & vague, PARTIAL)
    return said.mask(timeline["died"] & timeline["death_on"].isna(), UNDATED)
