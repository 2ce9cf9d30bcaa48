"""Laboratory grades before and after the first dose."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.grading import grade
from fhiradapter.analysis.numbered_measurements import SERIES, names_of, number_measurements
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
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

NEEDED = ("unit", "range_low", "range_high", "comparator")


@dataclass(frozen=True)
class LaboratoryRows:
    """What the grades of some treated subjects show.

    worst: one row per subject, test and direction with a worst value of grade 1 or more, in this order:
        `subject_id`, `concept`, `direction`, `term`, `row_id`, `on`, `value`, `comparator`, `unit`, `grade`
        and `before`, the baseline's grade (both whole numbers; MISSING or UNGRADED where there is none).
    shifts: subjects by concept, direction, term, baseline grade and worst grade.
    assessed: how many subjects have a test of which both grades are known.
    """

    worst: pd.DataFrame
    shifts: Counter[tuple[str, str, str, int, int]]
    assessed: int


def grade_laboratory(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> LaboratoryRows | None:
    """Return the grades around the first dose, None for a study without treatment.

    `timeline` is indexed by subject_id with `first_dose_on`, `first_dose_at` and `first_dose_precision`.
    Baseline is the last usable value at or before the first dose; a value of that day without a time of day
    is taken as before it. The baseline itself is graded by the reference range. A value with a comparator
    is graded when every value that it allows has one grade. Worst of the later values is the highest grade,
    then the most extreme value, then the earliest; those that cannot be graded are left aside where others
    can.
    """
    return over_parts(laboratory_rows, cohort, study, timeline)


def laboratory_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> LaboratoryRows | None:
    """Grade the values of some whole subjects."""
    if study.treatment is None:
        return None
    rows, _ = usable_measurements(cohort, study, graded_concepts(study), timeline.index, columns=NEEDED)
    rows = in_order(rows, SERIES)
    measured = number_measurements(rows, timeline, columns=NEEDED)
    return rows_of_laboratory(measured, rows["row_id"], timeline.index, study)


def rows_of_laboratory(
    measured: pd.DataFrame, row_ids: pd.Series, subjects: pd.Index, study: Study
) -> LaboratoryRows:
    """Grade measurements; those that have no grade are left aside.

    `measured` is as from `number_measurements`, with the columns NEEDED; its numbers are places in `row_ids`
    and `subjects`.
    """
    criteria = read_grading(study.safety.ctcae_version)
    tests = graded_tests(criteria)
    graded = _graded(_against_baseline(measured), tests, study, criteria)
    return _rows(graded, tests, row_ids, subjects)


def derive_lab_shifts(graded: LaboratoryRows | None) -> tuple[LabShift, ...]:
    """Return for each test and direction the baseline grade against the worst grade after it, in subjects.

    Worst is the highest grade of a later value; when some could be graded, the others are left aside.
    `grade_shift` is {baseline grade: {worst grade: subjects}} over the subjects with a later value, in grades
    "0" to "4", "not gradable" and (as baseline) "no baseline"; `not_gradable` counts those without any graded
    later value; `treatment_emergent` those whose worst grade exceeds a known baseline grade. A study without
    treatment has no first dose and no shifts.
    """
    if graded is None:
        return ()
    of_test: dict[tuple[str, str, str], dict[tuple[int, int], int]] = {}
    for (concept, direction, term, baseline, worst), subjects in sorted(graded.shifts.items()):
        of_test.setdefault((concept, direction, term), {})[baseline, worst] = subjects
    return tuple(
        _shift(counts, concept=concept, direction=direction, term=term)
        for (concept, direction, term), counts in of_test.items()
    )


def graded_concepts(study: Study) -> tuple[str, ...]:
    """Return the concepts that the study's CTCAE version grades."""
    return tuple(read_grading(study.safety.ctcae_version).concepts)


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


def _against_baseline(measured: pd.DataFrame) -> pd.DataFrame:
    """Return baselines and later values with `later`, `baseline_value` and `baseline_above_range`.

    `measured` is as from `number_measurements`. The rows are in order of person, concept and time. A bound is
    no number to multiply, and a baseline in another unit is none; a baseline has none itself.
    """
    codes = measured["concept"].cat.codes.to_numpy(dtype=np.int64)
    series = measured["person"].to_numpy(dtype=np.int64) * len(measured["concept"].cat.categories) + codes
    at, on = (measured[name].to_numpy(dtype="datetime64[us]") for name in ("at", "on"))
    order = np.lexsort([at, on, series])
    measured, series = measured.take(order), series[order]
    later = measured["side"].gt(0).to_numpy(dtype=bool)
    number = np.cumsum(np.diff(series, prepend=-1) != 0) - 1
    last = np.full(len(measured), -1)
    last[number[~later]] = np.flatnonzero(~later)  # where several have one number, the last one stays
    source = last[number]
    value, limit = (measured[name].to_numpy(dtype=float, na_value=np.nan) for name in ("value", "range_high"))
    unit = pd.factorize(measured["unit"].fillna(""))[0]
    known = later & (source >= 0) & measured["comparator"].isna().to_numpy()[source] & (unit == unit[source])
    above = value > limit
    held = measured.assign(
        later=later,
        baseline_value=np.where(known, value[source], np.nan),
        baseline_above_range=pd.arrays.BooleanArray(above[source], ~known | np.isnan(limit[source])),
    )
    chosen: pd.DataFrame = held.loc[later | (source == np.arange(len(measured)))]
    return chosen


def _graded(
    measured: pd.DataFrame, tests: pd.DataFrame, study: Study, criteria: GradingTable
) -> pd.DataFrame:
    """Return each value once per direction of its test, by test, with `test` (place in tests) and `grade`.

    A value that cannot be graded, or a bound that allows several grades, has UNGRADED.
    """
    concept = measured["concept"].cat.codes.to_numpy()
    places = [
        np.flatnonzero(concept == code)
        for code in measured["concept"].cat.categories.get_indexer(pd.Index(tests["concept"]))
    ]
    test = np.repeat(np.arange(len(tests)), [len(place) for place in places])
    wide = measured.take(np.concatenate(places)).reset_index(drop=True)
    wide = wide.assign(
        test=test,
        term=tests["term"].astype("category").array.take(test),
        direction=tests["direction"].astype("category").array.take(test),
    )
    grades = grade(
        wide,
        version=study.safety.ctcae_version,
        policy=study.safety.symptom_qualified,
        criteria=criteria,
    ).to_numpy(dtype=np.int64, na_value=UNGRADED)
    bounds = wide.loc[wide["comparator"].notna(), ["comparator", "direction"]]
    for direction in ("low", "high"):
        chosen = bounds.loc[bounds["direction"].eq(direction), "comparator"]
        found = grades[chosen.index]
        decided = (chosen.isin(HEALTHY_SIDE[direction]) & (found == 0)) | (
            chosen.isin(SICK_SIDE[direction]) & (found == WORST_GRADE)
        )
        grades[chosen.index[~decided]] = UNGRADED
    return wide.assign(grade=grades)


def _rows(
    graded: pd.DataFrame, tests: pd.DataFrame, row_ids: pd.Series, subjects: pd.Index
) -> LaboratoryRows:
    """Return the worst of the later values of each person and test, beside the baseline."""
    # The rows are in order of this number, and a person has one baseline of a test.
    series = graded["test"].to_numpy() * len(subjects) + graded["person"].to_numpy()
    later, grades = graded["later"].to_numpy(dtype=bool), graded["grade"].to_numpy()
    baseline = pd.Series(grades[~later], index=series[~later])
    start = np.flatnonzero(np.diff(series[later], prepend=-1))
    worst = np.maximum.reduceat(grades[later], start) if len(start) else start
    number = series[later][start]
    before = baseline.reindex(number, fill_value=MISSING).to_numpy()
    test, person = np.divmod(number, max(1, len(subjects)))
    pairs = pd.DataFrame({"test": test, "before": before, "worst": worst})
    counts = pairs.groupby([*pairs], as_index=False).size()
    names = list(zip(tests["concept"], tests["direction"], tests["term"], strict=True))
    return LaboratoryRows(
        worst=_worst(graded.assign(series=series), baseline, row_ids, subjects),
        shifts=Counter(
            {
                (*names[place], first, last): subjects
                for place, first, last, subjects in counts.to_numpy().tolist()
            }
        ),
        assessed=len(np.unique(person[(before >= 0) & (worst >= 0)])),
    )


def _worst(graded: pd.DataFrame, baseline: pd.Series, row_ids: pd.Series, subjects: pd.Index) -> pd.DataFrame:
    """Return the worst later value of each person and test from grade 1 on; `graded` has `series` too."""
    shown = graded.loc[graded["later"] & graded["grade"].gt(0)]
    falling = [-shown["value"].where(shown["direction"].eq("high"), -shown["value"]), -shown["grade"]]
    # Rows are in order of time, and equal ones stay in it.
    shown = shown.take(np.lexsort([*falling, shown["series"]])).drop_duplicates("series")
    shown = shown.take(np.lexsort([shown["test"], shown["person"]]))
    subject_id = pd.Categorical.from_codes(shown["person"], categories=subjects, validate=False)
    worst = shown[["concept", "direction", "term", "on", "value", "comparator", "unit", "grade"]].assign(
        subject_id=subject_id,
        row_id=names_of(row_ids, shown["row"]),
        before=baseline.reindex(shown["series"], fill_value=MISSING).to_numpy(),
    )
    return worst.reset_index(drop=True)


def _shift(counts: dict[tuple[int, int], int], *, concept: str, direction: str, term: str) -> LabShift:
    """Return one test's table from the subjects by baseline and worst grade."""
    shift: dict[str, dict[str, int]] = {}
    emergent = ungraded = 0
    for (baseline, worst), subjects in counts.items():
        shift.setdefault(LABELS[baseline], {})[LABELS[worst]] = subjects
        emergent += subjects if 0 <= baseline < worst else 0
        ungraded += subjects if worst == UNGRADED else 0
    return LabShift(
        test=concept,
        direction=direction,
        grade_shift=shift,
        not_gradable=ungraded,
        treatment_emergent=emergent,
        term=term,
    )
