"""The rows of all endpoints: what is derived of some whole subjects in one go, and what it shows together."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import pandas as pd

from fhiradapter.analysis.adverse_event_table import adverse_event_table
from fhiradapter.analysis.adverse_events import Counts
from fhiradapter.analysis.baseline import summarise_cohort
from fhiradapter.analysis.biomarkers import biomarker_rows, summarise_biomarkers
from fhiradapter.analysis.by_arm import arm_names, summarise_by_arm
from fhiradapter.analysis.capacity_rows import CapacityRows, vital_capacity_rows
from fhiradapter.analysis.composite import derive_composite
from fhiradapter.analysis.exposure import ExposureRows, exposure_rows, summarise_exposure
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.measured_series import ConceptRows
from fhiradapter.analysis.progression import ProgressionRows, progression_rows, summarise_progression
from fhiradapter.analysis.quality import QualityRows, quality_rows, summarise_quality
from fhiradapter.analysis.safety import SafetyRows, safety_rows, summarise_safety
from fhiradapter.analysis.safety_by_arm import overview_rows, summarise_overviews
from fhiradapter.analysis.score_units import score_units
from fhiradapter.analysis.scores import Scores, score_rows
from fhiradapter.analysis.staging import StagingRows, staging_rows, summarise_staging
from fhiradapter.analysis.survival import summarise_survival
from fhiradapter.analysis.survival_times import SurvivalRows, survival_rows
from fhiradapter.analysis.timeline import timeline_rows
from fhiradapter.analysis.vital_capacity import summarise_vital_capacity
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import (
    Arms,
    Biomarker,
    CohortSummary,
    DataQuality,
    Exposure,
    Progression,
    Safety,
    Staging,
    Survival,
    VitalCapacity,
)
from fhiradapter.results.composite import Composite
from fhiradapter.settings import Study


@dataclass(frozen=True)
class StudyRows:
    """What is derived of some subjects, endpoint by endpoint; `overviews` are of adverse events by arm.

    Of the scores it is what `Scores.reduced` leaves.
    """

    scores: Scores
    timeline: pd.DataFrame
    units: Counter[str]
    progression: ProgressionRows
    exposure: ExposureRows | None
    biomarkers: dict[str, ConceptRows]
    staging: StagingRows
    vital_capacity: dict[str, CapacityRows]
    survival: SurvivalRows
    safety: SafetyRows
    overviews: dict[str, Counts]
    quality: QualityRows


class Endpoints(TypedDict):
    """The results of all endpoints, by the names that `results.Results` has for them."""

    cohort: CohortSummary
    exposure: Exposure | None
    progression: Progression
    biomarkers: dict[str, Biomarker]
    safety: Safety
    quality: DataQuality
    staging: Staging | None
    staging_note: str | None
    vital_capacity: dict[str, VitalCapacity]
    arms: Arms | None
    survival: Survival
    composite: Composite


def study_rows(cohort: Cohort, study: Study, kinds: Mapping[str, str]) -> StudyRows:
    """Derive the rows of every endpoint of some whole subjects; `kinds` gives the kind of each concept."""
    scores, given = score_rows(cohort, study), given_infusions(cohort, study)
    timeline = timeline_rows(cohort, study, scores, given=given)
    arms = tuple(sorted(timeline["arm"].dropna().unique()))
    events = adverse_event_table(cohort, study, timeline)
    return StudyRows(
        scores=scores.reduced(),
        timeline=timeline,
        units=score_units(cohort, study),
        progression=progression_rows(cohort, study, timeline, scores),
        exposure=exposure_rows(cohort, study, timeline, kinds, given=given) if study.treatment else None,
        biomarkers=biomarker_rows(cohort, study, timeline),
        staging=staging_rows(cohort, study, timeline),
        vital_capacity=vital_capacity_rows(cohort, study, timeline),
        survival=survival_rows(cohort, study, timeline),
        safety=safety_rows(cohort, study, timeline, kinds, given=given, events=events),
        overviews=overview_rows(cohort, study, timeline, arms, events=events) if arms else {},
        quality=quality_rows(cohort),
    )


def summarise_study(
    rows: StudyRows,
    study: Study,
    *,
    kinds: Mapping[str, str],
    accounting: Mapping[str, TypeAccount],
    unmatched: tuple[str, ...] = (),
) -> Endpoints:
    """Return what the rows of all subjects show.

    accounting: of the whole cohort; it says which types were read. unmatched: sentences on names of the study
    file that mean nobody, as from `unmatched_names`.
    """
    timeline, scores = rows.timeline, rows.scores
    biomarkers = summarise_biomarkers(rows.biomarkers, study, timeline)
    staging, staging_note = summarise_staging(rows.staging, study)
    exposure = None
    if rows.exposure is not None and study.treatment is not None:
        exposure = summarise_exposure(rows.exposure, study.treatment, timeline, kinds=kinds)
    progression = summarise_progression(rows.progression, study, timeline, scores=scores, unmatched=unmatched)
    return Endpoints(
        cohort=summarise_cohort(study, timeline, scores, biomarkers=biomarkers, units=rows.units),
        exposure=exposure,
        progression=progression,
        biomarkers=biomarkers,
        safety=summarise_safety(rows.safety, study, timeline, accounting),
        quality=summarise_quality(rows.quality),
        staging=staging,
        staging_note=staging_note,
        vital_capacity=summarise_vital_capacity(rows.vital_capacity, study, timeline),
        arms=summarise_by_arm(
            study,
            timeline,
            scores=scores,
            progression=progression,
            exposure=exposure,
            biomarkers=biomarkers,
            units=rows.units,
            overview=summarise_overviews(
                rows.overviews, study, timeline, arm_names(timeline, study), accounting
            ),
        ),
        survival=summarise_survival(rows.survival, study),
        composite=derive_composite(study, timeline, scores),
    )
