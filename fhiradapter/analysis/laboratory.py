"""Laboratory grades before and after the first dose."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.first_dose import side_of_first_dose
from fhiradapter.analysis.grading import grade
from fhiradapter.analysis.population import of_subject
from fhiradapter.analysis.usable_measurements import usable_measurements
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.definitions.criteria import GradingTable, term_key
from fhiradapter.definitions.grading import read_grading
from fhiradapter.results import LabShift
from fhiradapter.settings import Study

NO_BASELINE = "no baseline"
NOT_GRADABLE = "not gradable"
MISSING = -2
UNGRADED = -1
LABELS = {MISSING: NO_BASELINE, UNGRADED: NOT_GRADABLE} | {number: str(number) for number in range(5)}
WORST_GRADE = 4

# A bound on the healthy side of the value says what the grade is only when it is already the mildest; one on
# the other side only when it is already the worst.
HEALTHY_SIDE = {"low": (">", ">="), "high": ("<", "<=")}
SICK_SIDE = {"low": ("<", "<="), "high": (">", ">=")}


@dataclass(frozen=True)
class GradedLaboratory:
    """Graded values of treated subjects: `baseline` and `later` have a row per value and direction."""

    tests: pd.DataFrame
    baseline: pd.DataFrame
    later: pd.DataFrame


def grade_laboratory(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> GradedLaboratory | None:
    """Return the graded values around the first dose, None for a study without treatment.

    `timeline` is indexed by subject_id with `first_dose_on`, `first_dose_at` and `first_dose_precision`.
    Baseline is the last usable value at or before the first dose; a value of that day without a time of day
    is taken as before it. The baseline itself is graded by the reference range. A value with a comparator
    is graded when every value that it allows has one grade. Rows have `subject_id`, `concept`, `direction`,
    `term`, `row_id`, `on`, `value`, `comparator`, `unit` and `grade` (Int64, missing when not gradable).
    """
    if study.treatment is None:
        return None
    criteria = read_grading(study.safety.ctcae_version)
    tests = graded_tests(criteria)
    rows, _ = usable_measurements(
        cohort,
        study,
        set(tests["concept"]),
        timeline.index,
        columns=["unit", "range_low", "range_high", "comparator"],
    )
    side = side_of_first_dose(
        rows["subject_id"],
        on=rows["on"],
        at=rows["at"],
        precision=rows["measured_precision"],
        timeline=timeline,
    )
    rows = rows.assign(after=side.gt(0))
    rows = rows.loc[of_subject(timeline["first_dose_on"], rows["subject_id"]).notna()]
    rows = rows.sort_values(["on", "at"], kind="stable").reset_index(drop=True)
    keys = ["subject_id", "concept"]
    baseline = rows.loc[~rows["after"]].drop_duplicates(keys, keep="last")
    later = rows.loc[rows["after"]].merge(
        _baseline_columns(baseline), on=keys, how="left", validate="many_to_one"
    )
    other_unit = later["unit"].fillna("").ne(later["baseline_unit"].fillna(""))
    later["baseline_value"] = later["baseline_value"].mask(other_unit)
    later["baseline_above_range"] = later["baseline_above_range"].mask(other_unit)
    return GradedLaboratory(
        tests=tests,
        baseline=_graded(baseline, tests, study, criteria),
        later=_graded(later, tests, study, criteria),
    )


def derive_lab_shifts(graded: GradedLaboratory | None) -> tuple[LabShift, ...]:
    """Return for each test and direction the baseline grade against the worst grade after it, in subjects.

    Worst is the highest grade of a later value; when some could be graded, the others are left aside.
    `grade_shift` is {baseline grade: {worst grade: subjects}} over the subjects with a later value, in grades
    "0" to "4", "not gradable" and (as baseline) "no baseline"; `not_gradable` counts those without any graded
    later value; `treatment_emergent` those whose worst grade exceeds a known baseline grade. A study without
    treatment has no first dose and no shifts.
    """
    if graded is None:
        return ()
    tests, keys = graded.tests, ["subject_id", "concept", "direction"]
    before = graded.baseline.groupby(keys, sort=False)["grade"].max()
    after = graded.later.groupby(keys, sort=False)["grade"].max()
    shifts = pd.DataFrame({"worst": after.fillna(UNGRADED)}).join(before.fillna(UNGRADED).rename("baseline"))
    shifts["baseline"] = shifts["baseline"].fillna(MISSING)
    counts = shifts.reset_index().groupby(["concept", "direction", "baseline", "worst"], sort=True).size()
    seen = set(zip(counts.index.get_level_values(0), counts.index.get_level_values(1), strict=True))
    return tuple(
        _shift(counts.loc[concept, direction], concept=concept, direction=direction, term=term)
        for concept, direction, term in zip(tests["concept"], tests["direction"], tests["term"], strict=True)
        if (concept, direction) in seen
    )


def graded_tests(criteria: GradingTable) -> pd.DataFrame:
    """Return the tests of one CTCAE version: `concept`, `term`, `direction`, no direction of a test twice.

    A term without numbers in this version stays, so that its values show as not gradable, unless the
    version has another term for the same test and direction (platelets are Thrombocytopenia from 6.0 on).
    """
    rows = [
        {
            "concept": concept,
            "term": term,
            "direction": direction,
            "without": term_key(term, direction) not in criteria.terms,
        }
        for concept, terms in criteria.concepts.items()
        for term, direction in terms
    ]
    tests = pd.DataFrame(rows, columns=["concept", "term", "direction", "without"])
    tests = tests.sort_values(["concept", "direction", "without"], kind="stable")
    return tests.drop_duplicates(["concept", "direction"])[["concept", "term", "direction"]]


def _baseline_columns(baseline: pd.DataFrame) -> pd.DataFrame:
    """Return what later values are set against; a bound is no number to multiply."""
    value = baseline["value"].mask(baseline["comparator"].notna())
    above = value.gt(baseline["range_high"]).astype("boolean")
    return baseline[["subject_id", "concept"]].assign(
        baseline_value=value,
        baseline_unit=baseline["unit"],
        baseline_above_range=above.mask(value.isna() | baseline["range_high"].isna()),
    )


def _graded(rows: pd.DataFrame, tests: pd.DataFrame, study: Study, criteria: GradingTable) -> pd.DataFrame:
    """Return each value once per direction of its test, with its grade."""
    columns = ["subject_id", "concept", "row_id", "on", "value", "unit", "range_low", "range_high"]
    given = rows.reindex(columns=[*columns, "comparator", "baseline_value", "baseline_above_range"]).astype(
        {"baseline_value": "float64", "baseline_above_range": "boolean"}
    )
    wide = given.merge(tests, on="concept", how="inner").reset_index(drop=True)
    grades = grade(
        wide,
        version=study.safety.ctcae_version,
        policy=study.safety.symptom_qualified,
        criteria=criteria,
    )
    decided = wide["comparator"].isna()
    for direction in ("low", "high"):
        chosen = wide["direction"].eq(direction)
        healthy = wide["comparator"].isin(HEALTHY_SIDE[direction])
        sick = wide["comparator"].isin(SICK_SIDE[direction])
        decided |= chosen & healthy & grades.eq(0).fillna(False).astype(bool)
        decided |= chosen & sick & grades.eq(WORST_GRADE).fillna(False).astype(bool)
    return wide.assign(grade=grades.where(decided))


def _shift(counts: pd.Series, *, concept: str, direction: str, term: str) -> LabShift:
    """Return one test's table from the subjects by baseline and worst grade."""
    shift: dict[str, dict[str, int]] = {}
    emergent = ungraded = 0
    baselines, worsts = counts.index.get_level_values("baseline"), counts.index.get_level_values("worst")
    for baseline, worst, subjects in zip(baselines, worsts, np.asarray(counts), strict=True):
        shift.setdefault(LABELS[int(baseline)], {})[LABELS[int(worst)]] = int(subjects)
        emergent += int(subjects) if 0 <= baseline < worst else 0
        ungraded += int(subjects) if worst == UNGRADED else 0
    return LabShift(
        test=concept,
        direction=direction,
        grade_shift=shift,
        not_gradable=ungraded,
        treatment_emergent=emergent,
        term=term,
    )
