"""The overview of adverse events for each arm."""

from collections.abc import Iterable, Mapping

import pandas as pd

from fhiradapter.analysis.adverse_event_table import EventTable, adverse_event_table
from fhiradapter.analysis.adverse_events import Counts, count_lines, summarise_overview
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.population import of_subject
from fhiradapter.cohort.accounting import TypeAccount
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
    names = tuple(arms)
    rows = over_parts(overview_rows, cohort, study, timeline, names)
    return summarise_overviews(rows, study, timeline, names, cohort.accounting)


def summarise_overviews(
    rows: Mapping[str, Counts],
    study: Study,
    timeline: pd.DataFrame,
    arms: tuple[str, ...],
    accounting: Mapping[str, TypeAccount],
) -> dict[str, dict[str, Incidence]]:
    """Return the overview of each arm; `accounting` tells which types were read."""
    if accounting and "AdverseEvent" not in accounting:
        return {}
    return {arm: summarise_overview(rows[arm], study, timeline.loc[timeline["arm"].eq(arm)]) for arm in arms}


def overview_rows(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    arms: tuple[str, ...],
    *,
    events: EventTable | None = None,
) -> dict[str, Counts]:
    """Count the lines of the overview of each arm among some whole subjects.

    events: the result of `adverse_event_table`, when it is already there.
    """
    table, _ = events or adverse_event_table(cohort, study, timeline)
    arm_of_event = of_subject(timeline["arm"], table["subject_id"])
    return {
        arm: count_lines(table.loc[arm_of_event.eq(arm)], study, timeline.loc[timeline["arm"].eq(arm)])
        for arm in arms
    }
