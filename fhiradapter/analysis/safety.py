"""The safety results."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from fhiradapter.analysis.adverse_events import derive_adverse_events
from fhiradapter.analysis.coverage import derive_coverage
from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.hys_law import derive_hys_law
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.lab_abnormalities import derive_lab_abnormalities
from fhiradapter.analysis.laboratory import derive_lab_shifts, grade_laboratory
from fhiradapter.analysis.population import members
from fhiradapter.analysis.reaction_candidates import derive_reaction_candidates
from fhiradapter.analysis.special_interest import derive_special_interest
from fhiradapter.analysis.vital_signs import derive_vital_signs
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Safety
from fhiradapter.settings import Study

NO_KINDS: Mapping[str, str] = MappingProxyType({})


def derive_safety(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, *, kinds: Mapping[str, str] = NO_KINDS
) -> Safety:
    """Return adverse events, laboratory values, vital signs and the sources that they rest on.

    `timeline` has one row per subject as `timeline.derive_timeline` makes it; `kinds` gives the kind of each
    concept and is needed to find medication that may treat a reaction. Where a resource type was never read,
    what rests on it is empty or None: nought of so many would be a statement about subjects.
    """
    events = derive_adverse_events(cohort, study, timeline)
    unread = _unread(cohort, "AdverseEvent")
    unmeasured = _unread(cohort, "Observation")
    infusions = members(given_infusions(cohort, study), timeline.index)
    infusions = infusions.loc[~after_cut(infusions, study.follow_up.data_cut)].reset_index(drop=True)
    graded = grade_laboratory(cohort, study, timeline)
    abnormalities = derive_lab_abnormalities(graded, confidence=study.statistics.confidence)
    vitals = derive_vital_signs(cohort, study, timeline, infusions)
    reactions = None
    if vitals is not None:
        reactions = derive_reaction_candidates(
            cohort,
            study,
            timeline,
            infusions=infusions,
            vitals=vitals.found,
            events=events.table,
            kinds=kinds,
        )
    return Safety(
        overview={} if unread else events.overview,
        terms=events.terms,
        labs=derive_lab_shifts(graded),
        ctcae_version=study.safety.ctcae_version,
        dose_limiting=None if unread else events.dose_limiting,
        notes=events.notes,
        sources=derive_coverage(cohort, timeline),
        laboratory=None if unmeasured else abnormalities,
        hys_law=None if unmeasured else derive_hys_law(cohort, study, timeline),
        vital_signs=None if unmeasured or vitals is None else vitals.results,
        reactions=reactions,
        special_interest=derive_special_interest(events.table, infusions, study),
    )


def _unread(cohort: Cohort, kind: str) -> bool:
    """Return True when the cohort knows what it was read from, and this type was not among it."""
    return bool(cohort.accounting) and kind not in cohort.accounting
