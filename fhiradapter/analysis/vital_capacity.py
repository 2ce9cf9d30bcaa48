"""Vital capacity as change from each subject's baseline, and as slope by period."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhiradapter.analysis.baseline_values import explain_exclusions
from fhiradapter.analysis.capacity_rows import (
    CONCEPTS,
    CapacityRows,
    lines_of_everyone,
    vital_capacity_rows,
)
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.means import FloatArray, estimate_mean, why_no_interval
from fhiradapter.analysis.measured_series import MeasuredSeries, split_series
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.period_model import CONTRASTS
from fhiradapter.analysis.period_slopes import paired_contrast, slope_rows, summarise_periods
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.visits import VisitPlan, count_unplaced, plan_visits, visit_labels
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Change, VitalCapacity, VitalCapacityValue, VitalCapacityVisit
from fhiradapter.settings import Study

SAME_DAY = "same_day"
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
    rows = over_parts(vital_capacity_rows, cohort, study, timeline)
    return summarise_vital_capacity(rows, study, timeline)


def summarise_vital_capacity(
    rows: Mapping[str, CapacityRows], study: Study, timeline: pd.DataFrame
) -> dict[str, VitalCapacity]:
    """Return what the rows of all subjects show; timeline: that of all."""
    visits = plan_visits(study, timeline, configured=study.vital_capacity.visits)
    derived = {}
    for concept in dict.fromkeys(study.vital_capacity.concepts or CONCEPTS):
        if concept in rows:
            for series in split_series(rows[concept].measured, concept=concept, by_matrix=False):
                lines = rows[concept].lines.get((series.matrix, series.method, series.unit))
                lines = lines_of_everyone(lines, series.values, timeline, study)
                derived[series.key] = _summarise_one(series, lines, visits, study, timeline, concept=concept)
    return derived


def _summarise_one(
    series: MeasuredSeries,
    lines: pd.DataFrame,
    visits: VisitPlan,
    study: Study,
    timeline: pd.DataFrame,
    *,
    concept: str,
) -> VitalCapacity:
    values, compare, confidence = series.values, study.vital_capacity.compare, study.statistics.confidence
    at_baseline = estimate_mean(_numbers(values.loc[values["is_baseline"], "value"]), confidence=confidence)
    # The t interval says it all here; thousands of resamples would cost more than everything else.
    plain = study.statistics.model_copy(update={"bootstrap_samples": 0})
    notes = (
        series.reasons
        | {SAME_DAY: int(values["rows"].sum()) - len(values)}
        | count_unplaced(values, visits, is_baseline=values["is_baseline"].to_numpy(dtype=bool))
    )
    return VitalCapacity(
        concept=concept,
        method=series.method,
        unit=series.unit,
        baseline_n=at_baseline.n,
        baseline_mean=at_baseline.mean,
        baseline_sd=at_baseline.sd,
        compared=compare,
        change=_change(values.loc[values["is_compared"]], confidence=confidence, nobody=NOBODY),
        visits=_by_visit(values, visits, confidence=confidence),
        periods=summarise_periods(lines, study.model_copy(update={"statistics": plain})),
        contrasts={
            name: paired_contrast(lines, later, earlier, confidence=confidence)
            for name, (later, earlier) in CONTRASTS.items()
            if study.treatment is not None
        },
        by_subject_rows=slope_rows(lines),
        excluded=explain_exclusions(values, timeline, study, compare=compare, left_out=series.left_out),
        series=_series(values, visit_labels(values, visits)),
        notes={reason: count for reason, count in notes.items() if count},
    )


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
    values: pd.DataFrame, visits: VisitPlan, *, confidence: float
) -> tuple[VitalCapacityVisit, ...]:
    standing = values.loc[values["chosen"]]
    rows = []
    for number, (label, day, early, late) in enumerate(visits.typical()):
        here = standing.loc[standing["visit"].eq(number)]
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
