"""The arms of a study beside each other."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.arm_model import fit_arm_model
from fhiradapter.analysis.baseline import summarise_cohort
from fhiradapter.analysis.baseline_table import spread
from fhiradapter.analysis.means import estimate_mean
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.periods import ALL, DURING, lies_in, months_since
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.analysis.safety_by_arm import overview_by_arm
from fhiradapter.analysis.score_units import score_units
from fhiradapter.analysis.scores import Scores
from fhiradapter.analysis.welch import welch
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import (
    ArmDifference,
    Arms,
    ArmSlope,
    ArmSummary,
    Biomarker,
    CharacteristicRow,
    Exposure,
    Incidence,
    Progression,
)
from fhiradapter.settings import Study

NO_REFERENCE = "No subject is in the reference arm of the study file, {!r}: {!r} is taken instead."
PER_PROTOCOL = (
    "Arms are those that were followed where they are told, which need not be those that were assigned: the "
    "comparison is not one of all randomised."
)
UNADJUSTED = (
    "The slopes are compared without adjustment, over the subjects with an adequate period: who died or left "
    "too early for one is not among them. The mixed model uses the scores of all, and it too takes a course "
    "that a death cut short for one that could have gone on."
)
WITHOUT_ARM = "No arm is told of {}: not in any comparison of arms."
UNDOSED = "{} of an arm had no dose: without slope during treatment and without treatment-emergent events."


def arm_names(timeline: pd.DataFrame, study: Study) -> tuple[str, ...]:
    """Return the arms that have subjects, the reference arm last.

    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}, "subjects": {"reference_arm": "A"}})
    >>> arm_names(pd.DataFrame({"arm": ["B", "A", "C", None]}), study)
    ('B', 'C', 'A')
    """
    names = sorted(timeline["arm"].dropna().unique())
    return tuple(sorted(names, key=lambda name: name == study.subjects.reference_arm))


def derive_by_arm(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    *,
    scores: Scores,
    progression: Progression,
    exposure: Exposure | None,
    biomarkers: dict[str, Biomarker],
) -> Arms | None:
    """Return what the arms show beside each other; None when there are fewer than two.

    timeline, scores, progression, exposure and biomarkers are the results of their modules. Slopes are those
    of the period during treatment, or of the whole follow-up in a study without treatment: mean by arm with
    its Student t interval, and difference from the reference arm by Welch, in points per month. The mixed
    model is fitted to all scores of that period, in months from the first dose, or from the first score; the
    score of the day of the first dose is its first point.
    """
    names = arm_names(timeline, study)
    if len(names) < 2:
        return None
    return summarise_by_arm(
        study,
        timeline,
        scores=scores,
        progression=progression,
        exposure=exposure,
        biomarkers=biomarkers,
        units=over_parts(score_units, cohort, study),
        overview=overview_by_arm(cohort, study, timeline, names),
    )


def summarise_by_arm(
    study: Study,
    timeline: pd.DataFrame,
    *,
    scores: Scores,
    progression: Progression,
    exposure: Exposure | None,
    biomarkers: dict[str, Biomarker],
    units: Counter[str],
    overview: dict[str, dict[str, Incidence]],
) -> Arms | None:
    """Return what the arms show; `units` as from `score_units`, `overview` as from `overview_by_arm`."""
    names = arm_names(timeline, study)
    if len(names) < 2:
        return None
    reference = names[-1]
    period = DURING if study.treatment else ALL
    lines = progression.by_subject
    lines = lines.loc[lines["period"].eq(period)]
    lines = lines.assign(arm=of_subject(timeline["arm"], lines["subject_id"]))
    confidence = study.statistics.confidence
    model, model_note = fit_arm_model(
        _scores_of_period(scores, timeline, study, period),
        reference=reference,
        arms=names,
        confidence=confidence,
    )
    return Arms(
        reference=reference,
        arms={
            name: _summary(
                timeline.loc[timeline["arm"].eq(name)],
                exposure,
                _baseline(name, study, timeline, scores, biomarkers, units=units),
            )
            for name in names
        },
        without_arm=tuple(timeline.index[timeline["arm"].isna()]),
        period=period,
        slopes=tuple(_slope(lines, name, confidence=confidence) for name in names),
        differences=tuple(_difference(lines, name, reference, confidence=confidence) for name in names[:-1]),
        model=model,
        model_note=model_note,
        overview=overview,
        cautions=_cautions(timeline, study, reference),
    )


def _baseline(
    name: str,
    study: Study,
    timeline: pd.DataFrame,
    scores: Scores,
    biomarkers: dict[str, Biomarker],
    *,
    units: Counter[str],
) -> tuple[CharacteristicRow, ...]:
    """Return the baseline table of one arm, without the line that says which arm it is."""
    people = timeline.loc[timeline["arm"].eq(name)]
    table = summarise_cohort(study, people, scores, biomarkers=biomarkers, units=units).baseline_table
    return tuple(row for row in table if row.name != "arm")


def _summary(
    people: pd.DataFrame, exposure: Exposure | None, baseline_table: tuple[CharacteristicRow, ...]
) -> ArmSummary:
    infusions = None
    if exposure is not None:
        given = pd.Series({row.subject_id: row.infusions for row in exposure.subjects}, dtype=float)
        given = given.reindex(people.index)
        infusions = spread(given[given.gt(0)])
    return ArmSummary(
        n=len(people),
        treated=int(people["doses"].gt(0).sum()),
        infusions=infusions,
        deaths=int(people["died"].sum()),
        baseline_table=baseline_table,
    )


def _adequate(lines: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    slopes = lines.loc[lines["arm"].eq(name) & lines["adequate"].astype(bool), "slope"]
    adequate: npt.NDArray[np.float64] = slopes.to_numpy(dtype=np.float64)
    return adequate


def _slope(lines: pd.DataFrame, name: str, *, confidence: float) -> ArmSlope:
    slopes = _adequate(lines, name)
    mean = estimate_mean(slopes, confidence=confidence)
    return ArmSlope(
        arm=name,
        n=mean.n,
        mean_slope=mean.mean,
        sd=mean.sd,
        se=mean.se,
        ci95=mean.interval,
        excluded=int(lines["arm"].eq(name).sum()) - mean.n,
    )


def _difference(lines: pd.DataFrame, name: str, reference: str, *, confidence: float) -> ArmDifference:
    slopes, others = _adequate(lines, name), _adequate(lines, reference)
    found = welch(slopes, others, confidence=confidence)
    return ArmDifference(
        arm=name,
        n=len(slopes),
        reference_n=len(others),
        estimate=found.estimate,
        se=found.se,
        degrees_of_freedom=found.degrees_of_freedom,
        ci95=found.interval,
        p=found.p,
    )


def _scores_of_period(scores: Scores, timeline: pd.DataFrame, study: Study, period: str) -> pd.DataFrame:
    """Return the scores of the period with `arm` and `months` from its start."""
    table = members(scores.table, timeline.index)
    late = table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))
    table = table.loc[~late]
    event = "first_dose" if study.treatment else "first_score"
    table = table.assign(
        arm=of_subject(timeline["arm"], table["subject_id"]),
        months=months_since(table, timeline, study, event=event),
    )
    inside = lies_in(table, timeline, study)[period]
    return table.loc[inside & table["arm"].notna() & table["months"].notna()]


def _cautions(timeline: pd.DataFrame, study: Study, reference: str) -> tuple[str, ...]:
    told = [UNADJUSTED]
    if study.subjects.arm_by == "actual":
        told.append(PER_PROTOCOL)
    wanted = study.subjects.reference_arm
    if wanted is not None and wanted != reference:
        told.append(NO_REFERENCE.format(wanted, reference))
    if unknown := int(timeline["arm"].isna().sum()):
        told.append(WITHOUT_ARM.format(_subjects(unknown)))
    undosed = int((timeline["arm"].notna() & timeline["doses"].eq(0)).sum())
    if study.treatment is not None and undosed:
        told.append(UNDOSED.format(_subjects(undosed)))
    return tuple(told)


def _subjects(count: int) -> str:
    return f"{count} subject" if count == 1 else f"{count} subjects"
