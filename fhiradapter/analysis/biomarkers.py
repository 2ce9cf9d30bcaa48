"""Log-normal biomarkers as ratios to each subject's baseline."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fhiradapter.analysis.baseline_values import baseline_of_subject, choose_values, explain_exclusions
from fhiradapter.analysis.biomarker_visits import ratios_by_visit
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.means import estimate_mean
from fhiradapter.analysis.measured_series import (
    ConceptRows,
    MeasuredSeries,
    by_kind,
    count_left_out,
    split_series,
)
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.periods import months_from_origin
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.usable_measurements import split_off, usable_measurements
from fhiradapter.analysis.visits import VisitPlan, assign_visits, count_unplaced, plan_visits, visit_labels
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Biomarker, BiomarkerValue
from fhiradapter.settings import Study

BELOW = ("<", "<=")
ABOVE_LIMIT, BELOW_LIMIT = "above_limit", "below_limit"
NOT_POSITIVE, HALF_LIMIT = "not_positive", "half_limit"


def derive_biomarkers(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> dict[str, Biomarker]:
    """Derive each configured biomarker in each matrix and by each assay method.

    The matrix with a value in most subjects, and of its methods the one with most, has the concept itself as
    its key and comes first; `Biomarker.matrix` and `method` name them. The others are at "concept:matrix", or
    "concept:matrix:method" where a matrix has several methods (`measured_series.split_series`).

    Baseline is the last value at or before the first dose (without treatment: the first value). It is
    compared with the last value after it (`biomarkers.compare = last`) or the last one until the end of
    treatment (`last_on_treatment`), and at each visit (`biomarkers.visits`, else the planned infusions) with
    the value nearest to the planned day. With y0 and y of n subjects, the geometric mean ratio is exp(mean
    ln(y / y0)), its interval exp(mean -+ t(n - 1) se), and the change in percent 100 (ratio - 1) (Julious &
    Debarnot 2000, doi 10.1081/bip-100101017). `baseline_geometric_mean` is over the same subjects. Values
    "<limit" are taken as half of the limit and flagged, or left out (`biomarkers.below_limit`); ">limit",
    zero and negative values are left out. Values of one subject at one instant are combined by their
    geometric mean.

    >>> from datetime import date
    >>> row = {"subject_id": "s1", "concept": "nfl_serum_plasma", "status": "final", "specimen": "plasma"}
    >>> rows = [{**row, "value": 40.0, "measured_on": date(2023, 1, 1)},
    ...         {**row, "value": 30.0, "measured_on": date(2024, 1, 1)}]
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> result = derive_biomarkers(cohort, study, derive_timeline(cohort, study))["nfl_serum_plasma"]
    >>> result.matrix, round(result.gmr, 6), round(result.percent_change, 6)
    ('plasma', 0.75, -25.0)
    """
    return summarise_biomarkers(over_parts(biomarker_rows, cohort, study, timeline), study, timeline)


def biomarker_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> dict[str, ConceptRows]:
    """Derive each biomarker's values, by concept, of some whole subjects; timeline: theirs.

    Columns of the values: `subject_id`, `row_id`, `on`, `months` from the time origin, `value`, `below` (half
    of a limit), `before` (the subject's baseline), `ratio` to it, `is_baseline`, `is_compared`; `visit`,
    `chosen` and `dated` as from `assign_visits`; `rows`, the measurements that were combined.
    """
    visits = plan_visits(study, timeline, configured=study.biomarkers.visits)
    derived = {}
    for concept in dict.fromkeys(study.biomarkers.concepts):
        rows, left_out = usable_measurements(
            cohort, study, [concept], timeline.index, columns=["unit", "comparator"]
        )
        rows, left_out = _apply_limits(rows, left_out, study)
        values = {kind: _values(mine, visits, study, timeline) for kind, mine in by_kind(rows)}
        derived[concept] = ConceptRows(values, count_left_out(left_out))
    return derived


def summarise_biomarkers(
    rows: Mapping[str, ConceptRows], study: Study, timeline: pd.DataFrame
) -> dict[str, Biomarker]:
    """Return what the rows of all subjects show; timeline: that of all."""
    visits = plan_visits(study, timeline, configured=study.biomarkers.visits)
    return {
        series.key: _summarise_one(series, visits, study, timeline, concept=concept)
        for concept, derived in rows.items()
        for series in split_series(derived, concept=concept)
    }


def _apply_limits(
    rows: pd.DataFrame, left_out: pd.DataFrame, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame]:
    below = rows["comparator"].isin(BELOW)
    rows = rows.assign(below=below, value=rows["value"].where(~below, rows["value"] / 2))
    rows, left_out = split_off(rows, left_out, rows["comparator"].notna() & ~rows["below"], ABOVE_LIMIT)
    if study.biomarkers.below_limit == "exclude":
        rows, left_out = split_off(rows, left_out, rows["below"], BELOW_LIMIT)
    return split_off(rows, left_out, rows["value"].le(0), NOT_POSITIVE)


def _values(rows: pd.DataFrame, visits: VisitPlan, study: Study, timeline: pd.DataFrame) -> pd.DataFrame:
    values = _one_at_a_time(rows)
    chosen = choose_values(values, timeline, study, compare=study.biomarkers.compare)
    before = baseline_of_subject(values, chosen.is_baseline)
    months, _ = months_from_origin(values, timeline, study)
    found = assign_visits(
        values["subject_id"], values["on"], visits, timeline, until_baseline=chosen.until_baseline
    )
    return values[["subject_id", "row_id", "on", "value", "below", "rows"]].assign(
        months=months,
        before=before,
        ratio=values["value"] / before,
        is_baseline=chosen.is_baseline,
        is_compared=chosen.is_compared,
        **found,
    )


def _summarise_one(
    series: MeasuredSeries, visits: VisitPlan, study: Study, timeline: pd.DataFrame, *, concept: str
) -> Biomarker:
    values, compare, confidence = series.values, study.biomarkers.compare, study.statistics.confidence
    compared = values.loc[values["is_compared"], ["value", "before"]]
    at_baseline = np.log(compared["before"])
    mean = estimate_mean(
        (np.log(compared["value"]) - at_baseline).to_numpy(dtype=np.float64), confidence=confidence
    )
    ratio = float(np.exp(mean.mean)) if mean.mean is not None else None
    interval = mean.interval
    notes = (
        series.reasons
        | {HALF_LIMIT: int(values["below"].sum())}
        | count_unplaced(values, visits, is_baseline=values["is_baseline"].to_numpy(dtype=bool))
    )
    return Biomarker(
        concept=concept,
        matrix=series.matrix,
        method=series.method,
        unit=series.unit,
        n=mean.n,
        baseline_geometric_mean=float(np.exp(at_baseline.mean())) if mean.n else None,
        gmr=ratio,
        ci95=(float(np.exp(interval[0])), float(np.exp(interval[1]))) if interval else None,
        percent_change=100 * (ratio - 1) if ratio is not None else None,
        compared=compare,
        excluded=explain_exclusions(values, timeline, study, compare=compare, left_out=series.left_out),
        visits=ratios_by_visit(values, visits, confidence=confidence),
        series=_series(values, visit_labels(values, visits)),
        notes={reason: count for reason, count in notes.items() if count},
    )


def _one_at_a_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one value per subject and instant, in order of time."""
    rows = in_order(rows, ["subject_id", "on", "at", "row_id"])
    rows = rows.rename(columns={"measured_precision": "precision"})
    key = ["subject_id", "on", "at"]
    shared, first = rows.duplicated(key, keep=False), ~rows.duplicated(key)
    values = rows.loc[first, [*key, "value", "below", "row_id", "precision"]].assign(rows=1)
    groups = rows.loc[shared].groupby(key, sort=False, dropna=False)
    logs = np.log(rows["value"]).loc[shared].groupby([rows.loc[shared, name] for name in key], sort=False)
    # A value on its own keeps every digit that was sent.
    several = shared[first].to_numpy()
    values.loc[several, "value"] = np.exp(logs.mean()).to_numpy()
    values.loc[several, "below"] = groups["below"].max().to_numpy()
    values.loc[several, "precision"] = groups["precision"].first().to_numpy()
    values.loc[several, "rows"] = groups.size().to_numpy()
    return values.reset_index(drop=True)


def _series(values: pd.DataFrame, labels: list[str | None]) -> tuple[BiomarkerValue, ...]:
    return tuple(
        BiomarkerValue(
            subject_id=subject,
            row_id=row,
            on=on,
            months=month,
            value=value,
            ratio=ratio,
            below_limit=below,
            is_baseline=first,
            visit=visit,
        )
        for subject, row, on, month, value, ratio, below, first, visit in zip(
            as_words(values["subject_id"]),
            values["row_id"].tolist(),
            as_dates(values["on"]),
            values["months"].tolist(),
            values["value"].tolist(),
            as_numbers(values["ratio"]),
            values["below"].tolist(),
            values["is_baseline"].tolist(),
            labels,
            strict=True,
        )
    )
