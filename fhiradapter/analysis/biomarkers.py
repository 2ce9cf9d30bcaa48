"""Log-normal biomarkers as ratios to each subject's baseline."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.means import estimate_mean
from fhiradapter.analysis.periods import months_from_origin, washout_end
from fhiradapter.analysis.population import of_subject
from fhiradapter.analysis.usable_measurements import (
    count_reasons,
    split_off,
    usable_measurements,
)
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Biomarker, BiomarkerValue, Exclusion
from fhiradapter.settings import Study

BELOW = ("<", "<=")
ABOVE_LIMIT, BELOW_LIMIT, NOT_POSITIVE = "above_limit", "below_limit", "not_positive"
HALF_LIMIT, OTHER_UNIT, SEVERAL_METHODS = "half_limit", "other_unit", "several_methods"
UNSPECIFIED = "unspecified"

NO_VALUE = "no usable value"
NO_DOSE = "no dose of the study's product is dated"
NO_BASELINE = "no value at or before the first dose"
NO_FIRST = "only one time with a value"
NO_LATER = "no value after the first dose"
NO_LATER_ON_TREATMENT = "no value between the first dose and the end of treatment"


def derive_biomarkers(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> dict[str, Biomarker]:
    """Derive each configured biomarker in each matrix, by concept, or by "concept:matrix".

    The matrix with a value in most subjects (of several, the first in the alphabet) has the concept itself as
    its key and comes first; `Biomarker.matrix` names it. The others are at "concept:matrix".

    Baseline is the last value at or before the first dose (without treatment: the first value). It is
    compared with the last value after it (`biomarkers.compare = last`) or the last one until the end of
    treatment (`last_on_treatment`). With y0 and y of n subjects, the geometric mean ratio is exp(mean ln(y /
    y0)), its interval exp(mean -+ t(n - 1) se), and the change in percent 100 (ratio - 1) (Julious & Debarnot
    2000, doi 10.1081/bip-100101017). `baseline_geometric_mean` is over the same subjects. Values "<limit" are
    taken as half of the limit and flagged, or left out (`biomarkers.below_limit`); ">limit", zero and
    negative values are left out. Values of one subject at one instant are combined by their geometric mean.

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
    return {
        key: _derive_one(rows, left_out, study, timeline, concept=concept, matrix=matrix)
        for concept in dict.fromkeys(study.biomarkers.concepts)
        for key, matrix, rows, left_out in _matrices(cohort, study, timeline.index, concept)
    }


def _matrices(
    cohort: Cohort, study: Study, population: pd.Index, concept: str
) -> Iterator[tuple[str, str | None, pd.DataFrame, pd.DataFrame]]:
    """Yield the positive values of each matrix of a concept; once without rows where there are none."""
    rows, left_out = usable_measurements(cohort, study, [concept], population)
    rows, left_out = _apply_limits(rows, left_out, study)
    known = rows["specimen"] if len(rows) else left_out["specimen"]
    choices: list[str | None] = sorted(known.dropna().unique())
    if known.isna().any() or not choices:
        choices.append(None)
    subjects = rows.groupby(rows["specimen"].astype(object).fillna(""))["subject_id"].nunique().to_dict()
    choices.sort(key=lambda matrix: -subjects.get(matrix or "", 0))
    # What was left out of a matrix that has no value at all is told with the first one.
    placed = left_out["specimen"].where(left_out["specimen"].isin(choices), choices[0])
    for matrix in choices:
        key = concept if matrix == choices[0] else f"{concept}:{matrix or UNSPECIFIED}"
        mine = rows["specimen"].isna() if matrix is None else rows["specimen"].eq(matrix)
        theirs = placed.isna() if matrix is None else placed.eq(matrix)
        yield key, matrix, rows.loc[mine], left_out.loc[theirs]


def _apply_limits(
    rows: pd.DataFrame, left_out: pd.DataFrame, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame]:
    below = rows["comparator"].isin(BELOW)
    rows = rows.assign(below=below, value=rows["value"].where(~below, rows["value"] / 2))
    rows, left_out = split_off(rows, left_out, rows["comparator"].notna() & ~rows["below"], ABOVE_LIMIT)
    if study.biomarkers.below_limit == "exclude":
        rows, left_out = split_off(rows, left_out, rows["below"], BELOW_LIMIT)
    return split_off(rows, left_out, rows["value"].le(0), NOT_POSITIVE)


def _derive_one(
    rows: pd.DataFrame,
    left_out: pd.DataFrame,
    study: Study,
    timeline: pd.DataFrame,
    *,
    concept: str,
    matrix: str | None,
) -> Biomarker:
    units = rows["unit"].mode()
    unit = str(units.iloc[0]) if len(units) else None
    if unit is not None:
        rows, left_out = split_off(rows, left_out, rows["unit"].ne(unit), OTHER_UNIT)
    methods = rows["method"].nunique()
    values = _one_at_a_time(rows)
    baseline, compared = _baseline_and_compared(values, timeline, study)
    logs = np.log(compared["value"]) - np.log(baseline["value"].reindex(compared.index))
    mean = estimate_mean(logs.to_numpy(dtype=np.float64), confidence=study.statistics.confidence)
    at_baseline = np.log(baseline["value"].reindex(compared.index))
    ratio = float(np.exp(mean.mean)) if mean.mean is not None else None
    interval = mean.interval
    notes = count_reasons(left_out) | {
        HALF_LIMIT: int(values["below"].sum()),
        SEVERAL_METHODS: methods if methods > 1 else 0,
    }
    return Biomarker(
        concept=concept,
        matrix=matrix,
        unit=unit,
        n=mean.n,
        baseline_geometric_mean=float(np.exp(at_baseline.mean())) if mean.n else None,
        gmr=ratio,
        ci95=(float(np.exp(interval[0])), float(np.exp(interval[1]))) if interval else None,
        percent_change=100 * (ratio - 1) if ratio is not None else None,
        compared=study.biomarkers.compare,
        excluded=_exclusions(
            timeline.index.difference(compared.index),
            timeline,
            study,
            valued=values["subject_id"],
            baseline=baseline.index,
            left_out=left_out,
        ),
        series=_series(values, baseline, timeline, study),
        notes={reason: count for reason, count in notes.items() if count},
    )


def _one_at_a_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one value per subject and instant, in order of time."""
    rows = rows.sort_values(["subject_id", "on", "at", "row_id"], kind="stable")
    key = ["subject_id", "on", "at"]
    groups = rows.assign(value=np.log(rows["value"])).groupby(key, sort=False, dropna=False)
    merged = groups.agg(
        value=("value", "mean"),
        below=("below", "max"),
        row_id=("row_id", "first"),
        precision=("measured_precision", "first"),
        several=("value", "size"),
    ).reset_index()
    # A value on its own keeps every digit that was sent.
    sent = rows.drop_duplicates(key)["value"].to_numpy()
    value = np.where(merged["several"].gt(1), np.exp(merged["value"]), sent)
    return merged.assign(value=value, place=np.arange(len(merged)))


def _baseline_and_compared(
    values: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the baseline of each subject that has one, and the value set against it, by subject id."""
    if study.treatment is None:
        first = values.drop_duplicates("subject_id")
        return first.set_index("subject_id"), _last(values.drop(index=first.index))
    side = side_of_first_dose(
        values["subject_id"],
        on=values["on"],
        at=values["at"],
        precision=values["precision"],
        timeline=timeline,
    )
    baseline = _last(values.loc[side.le(0)])
    later = side.gt(0) & values["subject_id"].isin(baseline.index)
    if study.biomarkers.compare == "last_on_treatment":
        later &= values["on"].le(of_subject(washout_end(timeline, study), values["subject_id"]))
    return baseline, _last(values.loc[later])


def _last(values: pd.DataFrame) -> pd.DataFrame:
    return values.drop_duplicates("subject_id", keep="last").set_index("subject_id")


def _exclusions(
    ids: pd.Index,
    timeline: pd.DataFrame,
    study: Study,
    *,
    valued: pd.Series,
    baseline: pd.Index,
    left_out: pd.DataFrame,
) -> tuple[Exclusion, ...]:
    """Return why some subjects have no ratio, with what was left out of their values.

    valued, baseline: the subjects that have any value, and a baseline.
    """
    reason = pd.Series(NO_LATER, index=ids, dtype=object)
    if study.treatment is None:
        reason[:] = NO_FIRST
    else:
        if study.biomarkers.compare == "last_on_treatment":
            reason[:] = NO_LATER_ON_TREATMENT
        reason[~ids.isin(baseline)] = NO_BASELINE
        reason[timeline.loc[ids, "first_dose_on"].isna().to_numpy()] = NO_DOSE
    reason[~ids.isin(valued)] = NO_VALUE
    told = dict(zip(ids.tolist(), reason.tolist(), strict=True))
    counts = left_out.groupby(["subject_id", "reason"]).size().reset_index(name="count")
    for subject, cause, count in counts.itertuples(index=False):
        if subject in told:
            told[subject] += f"; {count} left out: {cause}"
    return tuple(Exclusion(subject_id=subject, reason=text) for subject, text in told.items())


def _series(
    values: pd.DataFrame, baseline: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> tuple[BiomarkerValue, ...]:
    months, _ = months_from_origin(values, timeline, study)
    ratios = values["value"] / of_subject(baseline["value"], values["subject_id"])
    first = values["place"].isin(baseline["place"])
    return tuple(
        BiomarkerValue(
            subject_id=subject,
            row_id=row,
            on=on,
            months=month,
            value=value,
            ratio=None if np.isnan(ratio) else ratio,
            below_limit=below,
            is_baseline=is_baseline,
        )
        for subject, row, on, month, value, ratio, below, is_baseline in zip(
            values["subject_id"].tolist(),
            values["row_id"].tolist(),
            as_dates(values["on"]),
            months.tolist(),
            values["value"].tolist(),
            ratios.tolist(),
            values["below"].tolist(),
            first.tolist(),
            strict=True,
        )
    )
