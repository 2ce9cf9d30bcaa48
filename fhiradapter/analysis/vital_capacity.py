"""Vital capacity as change from each subject's baseline, and as slope by period."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.baseline_values import choose_values, explain_exclusions, side
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.means import FloatArray, estimate_mean, why_no_interval
from fhiradapter.analysis.measured_series import MeasuredSeries, split_series
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.period_model import CONTRASTS
from fhiradapter.analysis.period_slopes import paired_contrast, slope_rows, subject_slopes, summarise_periods
from fhiradapter.analysis.periods import lies_in, months_from_origin
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.population import of_subject
from fhiradapter.analysis.usable_measurements import (
    COMPARATOR,
    count_reasons,
    split_off,
    usable_measurements,
)
from fhiradapter.analysis.visits import VisitPlan, assign_visits, count_unplaced, plan_visits, visit_labels
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import (
    Change,
    VitalCapacity,
    VitalCapacityValue,
    VitalCapacityVisit,
)
from fhiradapter.settings import Study

CONCEPTS = ("svc_percent_predicted", "svc_litres", "fvc_percent_predicted", "fvc_litres")
NOT_POSITIVE, AFTER_DEATH, SAME_DAY = "not_positive", "after_death", "same_day"
NOBODY = "no subject with a baseline and a later value"
NOBODY_HERE = "no value at this visit"
NO_BASELINE = "no subject with a value at this visit has a baseline"


def derive_vital_capacity(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> dict[str, VitalCapacity]:
    """Derive each series of vital capacity, by concept, or by "concept:method" for further methods of it.

    Litres and percent predicted, slow and forced are concepts of their own; values by different methods
    (upright and supine, where the source says so as the method) are never mixed either. Without
    `vital_capacity.concepts` those of `CONCEPTS` are derived that the cohort has.

    Of several values of a subject on one day, on the same side of the first dose, the highest is taken, as
    spirometry is reported (Graham and others 2019, doi 10.1164/rccm.201908-1590ST), or their mean
    (`vital_capacity.same_day`). Baseline is the last value at or before the first dose (without treatment:
    the first value). Changes y - y0 (litres, or percentage points) and 100 (y / y0 - 1) (percent of baseline)
    are arithmetic means over subjects with mean -+ t(n - 1) sd / sqrt(n). Slopes are least squares per
    subject and period (`period_slopes.subject_slopes`, under the policies of `progression`; no value is
    assumed at onset). Values with a comparator, zero or negative values and values after death are left out.

    >>> from datetime import date
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> row = {"subject_id": "s1", "concept": "svc_percent_predicted", "status": "final", "unit": "%"}
    >>> rows = [{**row, "value": 80.0, "measured_on": date(2023, 1, 1)},
    ...         {**row, "value": 60.0, "measured_on": date(2024, 1, 1)}]
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> [result] = derive_vital_capacity(cohort, study, derive_timeline(cohort, study)).values()
    >>> result.change.change, result.change.relative_change  # 20 points of 80
    (-20.0, -25.0)
    """
    concepts = study.vital_capacity.concepts
    if concepts is None:
        measured = set(cohort.codes("measurements", "concept").words.to_pylist())
        concepts = [concept for concept in CONCEPTS if concept in measured]
    if not concepts:
        return {}
    visits = plan_visits(study, timeline, configured=study.vital_capacity.visits)
    derived = {}
    for concept in dict.fromkeys(concepts):
        rows, left_out = usable_measurements(
            cohort, study, [concept], timeline.index, columns=["unit", "comparator"]
        )
        rows, left_out = split_off(rows, left_out, rows["comparator"].notna(), COMPARATOR)
        rows, left_out = split_off(rows, left_out, rows["value"].le(0), NOT_POSITIVE)
        late = rows["on"].gt(of_subject(timeline["death_latest_on"], rows["subject_id"]))
        rows, left_out = split_off(rows, left_out, late, AFTER_DEATH)
        for series in split_series(rows, left_out, concept=concept, by_matrix=False):
            derived[series.key] = _derive_one(series, visits, study, timeline, concept=concept)
    return derived


def _derive_one(
    series: MeasuredSeries, visits: VisitPlan, study: Study, timeline: pd.DataFrame, *, concept: str
) -> VitalCapacity:
    unit, rows, left_out = series.in_one_unit()
    values = _one_a_day(rows, timeline, study)
    compare, confidence = study.vital_capacity.compare, study.statistics.confidence
    chosen = choose_values(values, timeline, study, compare=compare)
    baseline = chosen.baseline["value"]
    at_baseline = estimate_mean(baseline.to_numpy(dtype=np.float64), confidence=confidence)
    before = of_subject(baseline, values["subject_id"])
    months, _ = months_from_origin(values, timeline, study)
    places = assign_visits(
        values["subject_id"], values["on"], visits, timeline, until_baseline=chosen.until_baseline
    )
    values = values.assign(
        change=values["value"] - before,
        relative=100 * (values["value"] / before - 1),
        months=months,
        is_baseline=chosen.is_baseline,
    )
    compared = values.loc[values["place"].isin(chosen.compared["place"])]
    lines = _lines(values, timeline, study)
    # The t interval says it all here; thousands of resamples would cost more than everything else.
    plain = study.statistics.model_copy(update={"bootstrap_samples": 0})
    notes = (
        count_reasons(left_out)
        | {SAME_DAY: len(rows) - len(values)}
        | count_unplaced(places, visits, is_baseline=chosen.is_baseline)
    )
    return VitalCapacity(
        concept=concept,
        method=series.method,
        unit=unit,
        baseline_n=at_baseline.n,
        baseline_mean=at_baseline.mean,
        baseline_sd=at_baseline.sd,
        compared=compare,
        change=_change(compared, confidence=confidence, nobody=NOBODY),
        visits=_by_visit(values, places, visits, confidence=confidence),
        periods=summarise_periods(lines, study.model_copy(update={"statistics": plain})),
        contrasts={
            name: paired_contrast(lines, later, earlier, confidence=confidence)
            for name, (later, earlier) in CONTRASTS.items()
            if study.treatment is not None
        },
        by_subject_rows=slope_rows(lines),
        excluded=explain_exclusions(
            chosen, timeline, study, compare=compare, valued=values["subject_id"], left_out=left_out
        ),
        series=_series(values, visit_labels(places, visits)),
        notes={reason: count for reason, count in notes.items() if count},
    )


def _one_a_day(rows: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one value per subject, local day and side of the first dose, in order of time."""
    rows = rows.rename(columns={"measured_precision": "precision"})
    # The day of the first dose may have a value before it and one after.
    rows = rows.assign(after=side(rows, timeline).gt(0))
    key = ["subject_id", "on", "after"]
    highest = study.vital_capacity.same_day == "highest"
    rows = in_order(rows, ["subject_id", "on", "after", "at", "row_id"])
    groups = rows.groupby(key, sort=False)["value"]
    if highest:
        best = rows.loc[rows["value"].eq(groups.transform("max"))].drop_duplicates(key)
    else:
        best = rows.assign(value=groups.transform("mean")).drop_duplicates(key)
    columns = ["subject_id", "row_id", "on", "at", "precision", "value"]
    return best[columns].reset_index(drop=True).assign(place=np.arange(len(best)))


def _change(rows: pd.DataFrame, *, confidence: float, nobody: str) -> Change:
    known = rows.loc[rows["change"].notna()]
    absolute = estimate_mean(_numbers(known["change"]), confidence=confidence)
    relative = estimate_mean(_numbers(known["relative"]), confidence=confidence)
    return Change(
        n=absolute.n,
        change=absolute.mean,
        ci95=absolute.interval,
        relative_change=relative.mean,
        relative_ci95=relative.interval,
        note=why_no_interval(absolute.n, nobody=nobody),
    )


def _by_visit(
    values: pd.DataFrame, places: pd.DataFrame, visits: VisitPlan, *, confidence: float
) -> tuple[VitalCapacityVisit, ...]:
    standing = values.loc[places["chosen"]].assign(number=places.loc[places["chosen"], "visit"])
    rows = []
    for number, (label, day, early, late) in enumerate(visits.typical()):
        here = standing.loc[standing["number"].eq(number)]
        nobody = NO_BASELINE if len(here) else NOBODY_HERE
        rows.append(
            VitalCapacityVisit(
                label=label,
                day=day,
                early_days=early,
                late_days=late,
                subjects=len(here),
                mean=float(here["value"].mean()) if len(here) else None,
                change=_change(here, confidence=confidence, nobody=nobody),
            )
        )
    return tuple(rows)


def _lines(values: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return each subject's slope in each period; the maximum that a score has at onset is not assumed."""
    policy = study.progression
    if policy.before_start == "onset":
        policy = policy.model_copy(update={"before_start": "first_score"})
    study = study.model_copy(update={"progression": policy})
    lines = subject_slopes(values.assign(**lies_in(values, timeline, study)), timeline, study)
    reason = lines["reason"].str.replace("score", "value", regex=False)
    return lines.assign(reason=reason.astype(object).where(reason.notna(), None))


def _series(values: pd.DataFrame, labels: list[str | None]) -> tuple[VitalCapacityValue, ...]:
    return tuple(
        VitalCapacityValue(
            subject_id=subject,
            row_id=row,
            on=on,
            months=month,
            value=value,
            change=change,
            relative_change=relative,
            is_baseline=is_baseline,
            visit=visit,
        )
        for subject, row, on, month, value, change, relative, is_baseline, visit in zip(
            as_words(values["subject_id"]),
            values["row_id"].tolist(),
            as_dates(values["on"]),
            values["months"].tolist(),
            values["value"].tolist(),
            as_numbers(values["change"]),
            as_numbers(values["relative"]),
            values["is_baseline"].tolist(),
            labels,
            strict=True,
        )
    )


def _numbers(values: pd.Series) -> FloatArray:
    return values.to_numpy(dtype=np.float64)
