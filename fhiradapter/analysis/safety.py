"""The safety results."""

import pandas as pd

from fhiradapter.analysis.adverse_events import derive_adverse_events
from fhiradapter.analysis.coverage import derive_coverage
from fhiradapter.analysis.laboratory import derive_lab_shifts
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Safety
from fhiradapter.settings import Study


def derive_safety(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> Safety:
    """Return adverse events, laboratory shifts and the sources that they rest on.

    `timeline` has one row per subject as `timeline.derive_timeline` makes it. Where AdverseEvent was never
    read, the overview is empty: nought of so many would be a statement about subjects.
    """
    events = derive_adverse_events(cohort, study, timeline)
    unread = bool(cohort.accounting) and "AdverseEvent" not in cohort.accounting
    return Safety(
        overview={} if unread else events.overview,
        terms=events.terms,
        labs=derive_lab_shifts(cohort, study, timeline),
        ctcae_version=study.safety.ctcae_version,
        dose_limiting=None if unread else events.dose_limiting,
        notes=events.notes,
        sources=derive_coverage(cohort, timeline),
    )
