"""The events that may end survival beside death."""

import pandas as pd

from fhiradapter.analysis.days import DAY, earliest_day, latest_day
from fhiradapter.analysis.onset import NEGATED
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

# A diagnosis that somebody only considered is no event yet.
NOT_CERTAIN = (*NEGATED, "unconfirmed", "provisional", "differential")


def survival_events(
    cohort: Cohort, study: Study, population: pd.Index, *, origin_on: pd.Series
) -> tuple[pd.DataFrame, int]:
    """Return each subject's first event of the composite, and how many events have no day.

    What counts is in the study file: `survival.event_concepts`, and `survival.event_terms` as the event's
    term, exact but for case. The frame has `event_on` and `cause` (concept, else term) by subject id. A
    partial date stands for its earliest possible day, but not one before the origin where it could be after
    it. Events after the data cut do not count. origin_on: day by subject id.

    >>> row = {"subject_id": "s1", "kind": "condition", "concept": "tracheostomy", "status": "active"}
    >>> at = pd.Timestamp("2024-05-06", tz="UTC")
    >>> row |= {"started_at": at, "started_on": at.date(), "started_precision": "day"}
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> first = pd.Series({"s1": pd.Timestamp("2024-01-01")})
    >>> found, undated = survival_events(
    ...     Cohort.from_rows({"events": [row]}), study, pd.Index(["s1"]), origin_on=first)
    >>> found["cause"].to_dict(), undated
    ({'s1': 'tracheostomy'}, 0)
    """
    rows = members(cohort.events, population)
    terms = {term.strip().casefold() for term in study.survival.event_terms}
    named = rows["concept"].isin(study.survival.event_concepts)
    told = rows["term"].fillna("").str.strip().str.casefold().isin(terms)
    rows = rows.loc[
        ~rows["kind"].isin(("death", "enrolment")) & (named | told) & ~rows["status"].isin(NOT_CERTAIN)
    ]
    at, on, precision = rows["started_at"], rows["started_on"], rows["started_precision"]
    first, last = earliest_day(at, on, precision), latest_day(at, on, precision)
    origin = of_subject(origin_on, rows["subject_id"]).astype(DAY)
    first = first.mask(first.lt(origin) & last.ge(origin), origin)
    rows = rows.assign(event_on=first, cause=rows["concept"].where(named.loc[rows.index], rows["term"]))
    dated = rows.loc[first.notna()]
    cut = pd.Timestamp(study.follow_up.data_cut or "9999-12-31")
    dated = dated.loc[dated["event_on"].le(cut)].sort_values(["event_on", "row_id"], kind="stable")
    chosen = dated.drop_duplicates("subject_id").set_index("subject_id")[["event_on", "cause"]]
    return chosen.reindex(population), int(first.isna().sum())
