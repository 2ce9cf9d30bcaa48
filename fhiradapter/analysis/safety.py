"""The safety results."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from fhiradapter.analysis.adverse_event_table import EventTable, adverse_event_table
from fhiradapter.analysis.adverse_events import AdverseEventRows, rows_of_events, summarise_adverse_events
from fhiradapter.analysis.coverage import CoverageRows, coverage_rows, summarise_coverage
from fhiradapter.analysis.dose_limiting import with_hours
from fhiradapter.analysis.hys_law import THRESHOLDS, HysLawRows, rows_of_liver, summarise_hys_law
from fhiradapter.analysis.infusion_proximity import infusion_starts
from fhiradapter.analysis.infusions import infusions_until_cut
from fhiradapter.analysis.lab_abnormalities import derive_lab_abnormalities
from fhiradapter.analysis.laboratory import (
    NEEDED,
    LaboratoryRows,
    derive_lab_shifts,
    graded_concepts,
    rows_of_laboratory,
)
from fhiradapter.analysis.numbered_measurements import SERIES, number_measurements
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.reaction_candidates import ReactionRows, summarise_reactions, triggers_after
from fhiradapter.analysis.special_interest import special_interest_rows, summarise_special_interest
from fhiradapter.analysis.usable_measurements import usable_measurements
from fhiradapter.analysis.vital_signs import VitalSignRows, readings_after, summarise_vital_signs
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Safety
from fhiradapter.settings import Study

NO_KINDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class TreatedRows:
    """What is derived of some subjects in a study with treatment only."""

    laboratory: LaboratoryRows
    hys_law: HysLawRows
    vital_signs: VitalSignRows
    reactions: ReactionRows


@dataclass(frozen=True)
class SafetyRows:
    """What is derived of some subjects, part by part; `special` is as from `special_interest_rows`."""

    events: AdverseEventRows
    special: pd.DataFrame
    coverage: CoverageRows
    treated: TreatedRows | None


def derive_safety(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, *, kinds: Mapping[str, str] = NO_KINDS
) -> Safety:
    """Return adverse events, laboratory values, vital signs and the sources that they rest on.

    `timeline` has one row per subject as `timeline.derive_timeline` makes it; `kinds` gives the kind of each
    concept and is needed to find medication that may treat a reaction. Where a resource type was never read,
    what rests on it is empty or None: nought of so many would be a statement about subjects.
    """
    rows = over_parts(safety_rows, cohort, study, timeline, dict(kinds))
    return summarise_safety(rows, study, timeline, cohort.accounting)


def safety_rows(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    kinds: Mapping[str, str],
    *,
    given: pd.DataFrame | None = None,
    events: EventTable | None = None,
) -> SafetyRows:
    """Derive what `summarise_safety` needs of some whole subjects.

    given, events: the results of `given_infusions` and `adverse_event_table`, when they are already there.
    """
    infusions = infusions_until_cut(cohort, study, timeline.index, given=given)
    table, notes = events or adverse_event_table(cohort, study, timeline)
    table = with_hours(table, infusions)
    treated = None
    if study.treatment is not None:
        treated = _treated_rows(cohort, study, timeline, infusions, table, kinds)
    return SafetyRows(
        events=rows_of_events(table, notes, study, timeline),
        special=special_interest_rows(table, infusions, study),
        coverage=coverage_rows(cohort, timeline),
        treated=treated,
    )


def _treated_rows(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    infusions: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Mapping[str, str],
) -> TreatedRows:
    concepts = {*graded_concepts(study), *THRESHOLDS}
    rows, _ = usable_measurements(cohort, study, concepts, timeline.index, columns=NEEDED)
    rows = in_order(rows, SERIES)
    measured, row_ids = number_measurements(rows, timeline, columns=NEEDED), rows["row_id"]
    starts = infusion_starts(infusions)
    vitals = readings_after(cohort, study, timeline, starts)
    return TreatedRows(
        laboratory=rows_of_laboratory(measured, row_ids, timeline.index, study),
        hys_law=rows_of_liver(measured, row_ids, timeline.index),
        vital_signs=vitals.rows,
        reactions=triggers_after(
            cohort,
            study,
            timeline,
            starts,
            vitals.found,
            events,
            kinds,
            without_day=len(infusions) - len(starts),
        ),
    )


def summarise_safety(
    rows: SafetyRows, study: Study, timeline: pd.DataFrame, accounting: Mapping[str, TypeAccount]
) -> Safety:
    """Return the safety results of all subjects; `accounting` tells which types were read."""
    events, treated = summarise_adverse_events(rows.events, study, timeline), rows.treated
    laboratory = None if treated is None else treated.laboratory
    unread = bool(accounting) and "AdverseEvent" not in accounting
    measured = treated if not accounting or "Observation" in accounting else None
    return Safety(
        overview={} if unread else events.overview,
        terms=events.terms,
        labs=derive_lab_shifts(laboratory),
        ctcae_version=study.safety.ctcae_version,
        dose_limiting=None if unread else events.dose_limiting,
        notes=events.notes,
        sources=summarise_coverage(rows.coverage, timeline, accounting),
        laboratory=None
        if measured is None
        else derive_lab_abnormalities(measured.laboratory, confidence=study.statistics.confidence),
        hys_law=None if measured is None else summarise_hys_law(measured.hys_law, timeline),
        vital_signs=None if measured is None else summarise_vital_signs(measured.vital_signs, study),
        reactions=None if treated is None else summarise_reactions(treated.reactions, study, accounting),
        special_interest=summarise_special_interest(rows.special, study),
    )
