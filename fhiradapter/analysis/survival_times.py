"""Each subject's time until the event, or until it was last known not to have happened."""

from dataclasses import dataclass

import pandas as pd

from fhiradapter.analysis.days import DAY, days_between
from fhiradapter.analysis.death_day import UNDATED_UNUSED, death_days, notes_on_deaths
from fhiradapter.analysis.survival_events import survival_events
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import DAYS_PER_MONTH, Study

DEATH = "death"
NO_ORIGIN = {
    "first_dose": 'no dated dose: no time origin (`survival.origin = "index"` would take the first score)',
    "index": "neither a dose nor a score: no time origin",
    "first_score": "no score: no time origin",
    "onset": "no date of symptom onset: no time origin",
}
DEATH_FIRST = "died before the time origin"
EVENT_FIRST = "the event was before the time origin"
NOT_SEEN = "no contact on or after the time origin"


@dataclass(frozen=True, eq=False)
class SurvivalRows:
    """The times of some subjects, and how many of their events have no day.

    people: one row per subject, by subject id: `arm`, `origin_on`, `end_on` (local days), `months` between
        them, `event` (True where it ended the time), `cause`, `note` (on the day of death), and `excluded`,
        why the subject has no time at risk, missing for who has.
    """

    people: pd.DataFrame
    undated_events: int


def survival_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> SurvivalRows:
    """Derive the times of some whole subjects; timeline: theirs, as from `derive_timeline`."""
    origin = survival_origin(study)
    people = timeline[["arm", "last_contact_on", "died"]].assign(
        origin_on=timeline[f"{origin}_on"].astype(DAY),
        death_on=death_days(timeline, study),
        note=notes_on_deaths(timeline),
    )
    undated = 0
    people = people.assign(event_on=people["death_on"], cause=DEATH)
    if study.survival.event != DEATH:
        others, undated = survival_events(cohort, study, people.index, origin_on=people["origin_on"])
        earlier = others["event_on"].lt(people["event_on"]) | people["event_on"].isna()
        earlier &= others["event_on"].notna()
        people["event_on"] = people["event_on"].mask(earlier, others["event_on"])
        people["cause"] = people["cause"].mask(earlier, others["cause"])
    people = people.assign(event=people["event_on"].notna())
    people["end_on"] = people["event_on"].fillna(_censored_on(people, study))
    people["months"] = days_between(people["end_on"], people["origin_on"]) / DAYS_PER_MONTH
    people["excluded"] = _excluded(people, origin)
    kept = ["arm", "origin_on", "end_on", "months", "event", "cause", "note", "excluded"]
    return SurvivalRows(people[kept], undated)


def survival_origin(study: Study) -> str:
    """Return the event that survival is counted from: the first score where a study has no doses."""
    origin = study.survival.origin
    return "first_score" if study.treatment is None and origin == "first_dose" else origin


def _censored_on(people: pd.DataFrame, study: Study) -> pd.Series:
    cut = study.follow_up.data_cut
    if study.survival.censoring == "data_cut" and cut is not None:
        return pd.Series(pd.Timestamp(cut), index=people.index, dtype=DAY)
    return people["last_contact_on"].astype(DAY)


def _excluded(people: pd.DataFrame, origin: str) -> pd.Series:
    """Return why a subject has no time at risk, by subject id; missing for who has."""
    reasons = {
        NO_ORIGIN[origin]: people["origin_on"].isna(),
        UNDATED_UNUSED: people["died"] & people["death_on"].isna(),
        DEATH_FIRST: people["death_on"].lt(people["origin_on"]),
        EVENT_FIRST: people["event_on"].lt(people["origin_on"]),
        NOT_SEEN: people["end_on"].isna() | people["end_on"].lt(people["origin_on"]),
    }
    said = pd.Series(None, index=people.index, dtype=object)
    for reason, holds in reversed(reasons.items()):
        said = said.mask(holds, reason)
    return said
