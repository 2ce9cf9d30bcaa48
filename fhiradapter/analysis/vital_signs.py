"""Vital signs after the first dose, against limits and baseline."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.infusion_proximity import days_of, hours_between, infusion_starts, last_infusion
from fhiradapter.analysis.numbered_measurements import SERIES, names_of, number_measurements
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.usable_measurements import COMPARATOR, count_reasons, split_off, usable_measurements
from fhiradapter.analysis.vital_limits import GRADE, Limit, limits
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.model import Precision
from fhiradapter.results import VitalFinding, VitalSign, VitalSigns
from fhiradapter.settings import Study


@dataclass(frozen=True)
class Vitals:
    """The results, and every reading that shows a sign, with `sign` and `grade` (1 for a screening flag).

    found: by subject, also `subject_id`, `row_id`, `concept`, `value`, `unit`, `at`, `on`, `precision`,
        `baseline`, `baseline_row_id`, `before` (the baseline's grade), `infusion`, `infusion_on` and `hours`.
    """

    results: VitalSigns
    found: pd.DataFrame


def derive_vital_signs(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, infusions: pd.DataFrame
) -> Vitals | None:
    """Return the vital signs that stand out after the first dose; None in a study without treatment.

    `timeline` is indexed by subject_id with `first_dose_on`, `first_dose_at` and `first_dose_precision`;
    `infusions` is as from `given_infusions`. The signs and their numbers are those of
    `vital_limits.limits`. Baseline of a reading within `safety.infusion_reaction_hours` after the start of an
    infusion is the last reading at or before that start on its local day; without one, and of every other
    reading, the last one at or before the first dose. A reading or infusion without a time of day counts as
    the reading before the infusion of its day. Readings with a comparator are left out.

    Treatment-emergent counts subjects whose worst grade exceeds the grade of the known baseline that the
    reading was set against. A subject without the sign who has a reading that could only be judged by a
    missing baseline is not assessable and counted as such.

    Source of the numbers: US National Cancer Institute, Common Terminology Criteria for Adverse Events 4.03
    and 5.0; see `vital_limits`. These are single readings and no adverse events.
    """
    readings = over_parts(vital_sign_rows, cohort, study, timeline, infusions)
    if readings is None:
        return None
    return Vitals(results=summarise_vital_signs(readings.rows, study), found=readings.found)


@dataclass(frozen=True)
class VitalSignRows:
    """What the readings of some subjects show.

    worst: one row per subject and sign, with the columns of `found`. counts: by sign and what is counted
    (fields of `VitalSign`). grades: subjects by sign and worst grade. left_out: readings, by reason.
    """

    worst: pd.DataFrame
    counts: Counter[tuple[str, str]]
    grades: Counter[tuple[str, int]]
    left_out: Counter[str]


@dataclass(frozen=True)
class VitalReadings:
    """What the readings of some subjects show, and all that show a sign, as in `Vitals`."""

    rows: VitalSignRows
    found: pd.DataFrame


def vital_sign_rows(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, infusions: pd.DataFrame
) -> VitalReadings | None:
    """Hold the readings of some whole subjects against the limits."""
    if study.treatment is None:
        return None
    return readings_after(cohort, study, timeline, infusion_starts(infusions))


def readings_after(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, starts: pd.DataFrame
) -> VitalReadings:
    """Hold the readings after the first dose against the limits; `starts` are as from `infusion_starts`."""
    signs = limits(study.safety.ctcae_version)
    concepts = {concept for sign in signs for concept in sign.concepts}
    rows, left_out = usable_measurements(
        cohort, study, concepts, timeline.index, columns=["unit", "comparator"]
    )
    rows, left_out = split_off(rows, left_out, rows["comparator"].notna(), COMPARATOR)
    rows = in_order(rows, SERIES)
    readings = _with_baseline(rows, timeline, starts, hours=study.safety.infusion_reaction_hours)
    counts: Counter[tuple[str, str]] = Counter()
    grades: Counter[tuple[str, int]] = Counter()
    found, worst = [], []
    for sign in signs:
        judged = _judged(readings, sign)
        shown = judged.loc[judged["grade"].gt(0)]
        extreme = _worst(shown, lower_is_worse=sign.lower_is_worse)
        counts.update(_counts(judged, shown, extreme, sign))
        grades.update((sign.sign, int(number)) for number in extreme["grade"])
        found.append(shown)
        worst.append(extreme)
    return VitalReadings(
        rows=VitalSignRows(
            worst=_named(worst, rows, starts, timeline),
            counts=counts,
            grades=grades,
            left_out=Counter(count_reasons(left_out)),
        ),
        found=_named(found, rows, starts, timeline),
    )


def summarise_vital_signs(rows: VitalSignRows, study: Study) -> VitalSigns:
    """Return the signs of all subjects."""
    signs = limits(study.safety.ctcae_version)
    hours = study.safety.infusion_reaction_hours
    return VitalSigns(
        signs=tuple(_summary(rows, sign) for sign in signs),
        findings=tuple(
            row for sign in signs for row in _findings(rows.worst.loc[rows.worst["sign"].eq(sign.sign)], sign)
        ),
        baseline_rule=f"within {hours:g} hours after the start of an infusion: the last reading at or "
        "before that start on its local day; else the last reading at or before the first dose",
        left_out=dict(sorted(rows.left_out.items())),
    )


def _with_baseline(
    rows: pd.DataFrame, timeline: pd.DataFrame, starts: pd.DataFrame, *, hours: float
) -> pd.DataFrame:
    """Return the readings after the first dose with `baseline`, `infusion`, `infusion_on` and `hours`.

    Subjects, rows and infusions are numbers here, which are quicker than their names: `person` is a place in
    `timeline`, `row` and `baseline_row` in `rows`, `infusion` in `starts`.
    """
    readings = number_measurements(rows, timeline)
    readings = readings.assign(after=readings["side"].gt(0))
    readings = readings.sort_values(["person", "concept", "at"], kind="stable").reset_index(drop=True)
    numbered_starts = starts.assign(
        subject_id=timeline.index.get_indexer(pd.Index(starts["subject_id"])), infusion=starts.index
    )
    previous = last_infusion(
        readings["person"], readings["at"], numbered_starts, bound="latest", same_moment=False
    )
    since = hours_between(readings["at"], previous["latest"])
    near = since.le(hours) & readings["after"]
    source = _baseline_places(readings, previous, near=near)
    known = source >= 0
    clocks = previous["clock"].eq(True) & readings["precision"].eq(Precision.SECOND.value)
    return readings.assign(
        baseline=np.where(known, readings["value"].reindex(source).to_numpy(), np.nan),
        baseline_row=np.where(known, readings["row"].reindex(source, fill_value=-1).to_numpy(), -1),
        infusion=previous["infusion"].where(near),
        infusion_on=previous["infusion_on"].where(near),
        hours=since.where(near & clocks),
    ).loc[readings["after"]]


def _baseline_places(
    readings: pd.DataFrame, previous: pd.DataFrame, *, near: "pd.Series[bool]"
) -> npt.NDArray[np.int64]:
    """Return for each reading (n,) the place of its baseline among the readings, -1 where there is none.

    `readings` are in order of person, concept and time; `previous` holds the last infusion before each.
    """
    place = np.arange(len(readings))
    series = readings.groupby(["person", "concept"], sort=False, observed=True).ngroup().to_numpy()
    infusion = previous["infusion"].fillna(-1).to_numpy(dtype=float)
    new_series = np.r_[True, series[1:] != series[:-1]][: len(place)]
    new_infusion = np.r_[True, infusion[1:] != infusion[:-1]][: len(place)]
    start = _latest(place, new_series)
    # In order of time, the reading before the first one after an infusion is the last one before it.
    before = _latest(place, new_series | new_infusion) - 1
    days = readings["on"].to_numpy(dtype="datetime64[s]")
    same_day = days[before] == previous["infusion_on"].to_numpy(dtype="datetime64[s]")
    at_first_dose = _latest(place, ~readings["after"].to_numpy())
    chosen = np.where(near.to_numpy() & same_day & (before >= start), before, at_first_dose)
    return np.where(chosen >= start, chosen, -1)


def _latest(place: npt.NDArray[np.int64], holds: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return for each place the latest one until it where the condition holds, -1 before the first."""
    return np.maximum.accumulate(np.where(holds, place, -1)) if len(place) else place


def _named(
    of_signs: list[pd.DataFrame], rows: pd.DataFrame, starts: pd.DataFrame, timeline: pd.DataFrame
) -> pd.DataFrame:
    """Return the readings of all signs by subject, with the names of their subject, rows and infusion."""
    found = pd.concat(of_signs, ignore_index=True).sort_values("person", kind="stable", ignore_index=True)
    return found.assign(
        subject_id=names_of(timeline.index.to_series(), found["person"]),
        concept=found["concept"].astype(object),
        row_id=names_of(rows["row_id"], found["row"]),
        unit=names_of(rows["unit"], found["row"]),
        baseline_row_id=names_of(rows["row_id"], found["baseline_row"]),
        infusion=names_of(starts["infusion"], found["infusion"].fillna(-1).astype(np.int64)),
    ).drop(columns=["person", "row", "baseline_row"])


def _judged(readings: pd.DataFrame, sign: Limit) -> pd.DataFrame:
    """Return the readings of a sign's concepts with `grade` and `before` (the baseline's)."""
    part = readings.loc[readings["concept"].isin(sign.concepts)]
    value, baseline = part["value"].to_numpy(dtype=float), part["baseline"].to_numpy(dtype=float)
    grade, before = sign.judge(part["concept"], value, baseline)
    return part.assign(sign=sign.sign, grade=grade, before=before)


def _worst(shown: pd.DataFrame, *, lower_is_worse: bool) -> pd.DataFrame:
    """Return one reading per subject: the worst grade, the most extreme value, the earliest of equals."""
    ordered = shown.sort_values(
        ["grade", "value", "at"], ascending=[False, lower_is_worse, True], kind="stable"
    )
    return ordered.drop_duplicates("person")


def _counts(
    judged: pd.DataFrame, shown: pd.DataFrame, worst: pd.DataFrame, sign: Limit
) -> dict[tuple[str, str], int]:
    """Count the subjects and readings of one sign."""
    unknown = judged.loc[judged["grade"].isna() & ~judged["person"].isin(shown["person"]), "person"]
    not_assessable = unknown.nunique()
    with_baseline = shown.loc[shown["before"].notna(), "person"].unique()
    counts = {
        "assessed": judged["person"].nunique() - not_assessable,
        "not_assessable": not_assessable,
        "subjects": len(worst),
        "readings": len(shown),
        "near_infusion": shown.loc[shown["infusion"].notna(), "person"].nunique(),
        "treatment_emergent": shown.loc[shown["grade"].gt(shown["before"]), "person"].nunique(),
        "without_baseline": (~worst["person"].isin(with_baseline)).sum(),
    }
    return {(sign.sign, name): int(count) for name, count in counts.items()}


def _summary(rows: VitalSignRows, sign: Limit) -> VitalSign:
    """Return one sign's counts of subjects."""
    graded = sign.kind == GRADE
    grades = {number: count for (name, number), count in sorted(rows.grades.items()) if name == sign.sign}
    return VitalSign(
        sign=sign.sign,
        kind=sign.kind,
        criterion=sign.criterion,
        assessed=rows.counts[sign.sign, "assessed"],
        not_assessable=rows.counts[sign.sign, "not_assessable"],
        subjects=rows.counts[sign.sign, "subjects"],
        readings=rows.counts[sign.sign, "readings"],
        near_infusion=rows.counts[sign.sign, "near_infusion"],
        by_worst_grade={str(number): count for number, count in grades.items()} if graded else {},
        treatment_emergent=rows.counts[sign.sign, "treatment_emergent"] if graded else None,
        without_baseline=rows.counts[sign.sign, "without_baseline"],
    )


def _findings(worst: pd.DataFrame, sign: Limit) -> tuple[VitalFinding, ...]:
    """Return the worst reading of each subject."""
    columns = ("subject_id", "row_id", "concept", "value", "unit", "grade", "baseline", "baseline_row_id")
    words = worst.astype(object).where(worst.notna(), None)
    return tuple(
        VitalFinding(
            subject_id=subject,
            sign=sign.sign,
            row_id=row_id,
            concept=concept,
            value=float(value),
            unit=unit,
            on=on,
            grade=int(grade) if sign.kind == GRADE else None,
            baseline=None if baseline is None else float(baseline),
            baseline_row_id=baseline_row,
            infusion_row_id=infusion,
            hours_after_infusion=None if math.isnan(since) else since,
        )
        for subject, row_id, concept, value, unit, grade, baseline, baseline_row, infusion, on, since in zip(
            *(words[name] for name in columns),
            words["infusion"],
            cast("list[date | None]", days_of(worst["on"])),
            worst["hours"].astype(float).tolist(),
            strict=True,
        )
    )
