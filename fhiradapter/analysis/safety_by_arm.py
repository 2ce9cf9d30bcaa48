"""The overview of adverse events for each arm."""

from collections.abc import Iterable

import pandas as pd

from fhiradapter.analysis.adverse_events import derive_adverse_events
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Incidence
from fhiradapter.settings import Study


def overview_by_arm(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, arms: Iterable[str]
) -> dict[str, dict[str, Incidence]]:
    """Return the lines of the overview, each arm counted as a study of its own.

    `timeline` is indexed by subject_id with `arm` and the columns that `derive_adverse_events` needs; the
    denominators are the arm's treated subjects. Where AdverseEvent was never read there is no overview:
    nought of so many would be a statement about subjects.

    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"},
    ...                               "subjects": {"arms": {"a": "x", "b": "y"}}})
    >>> event = {"subject_id": "a", "kind": "adverse_event", "term": "Fall", "row_id": "r"}
    >>> cohort = Cohort.from_rows({"events": [event], "subjects": [{"subject_id": "a"}, {"subject_id": "b"}]})
    >>> found = overview_by_arm(cohort, study, derive_timeline(cohort, study), ["x", "y"])
    >>> [(lines["any adverse event"].count, lines["any adverse event"].n) for lines in found.values()]
    [(1, 1), (0, 1)]
    """
    if cohort.accounting and "AdverseEvent" not in cohort.accounting:
        return {}
    return {
        arm: derive_adverse_events(cohort, study, timeline.loc[timeline["arm"].eq(arm)]).overview
        for arm in arms
    }
