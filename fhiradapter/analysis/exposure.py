"""What was given of the study's product."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.adherence import TIMINGS, UNDATED, UNPLANNED, Adherence, derive_adherence
from fhiradapter.analysis.concomitant import ConcomitantRows, concomitant_rows, summarise_concomitant
from fhiradapter.analysis.courses import (
    Courses,
    allowed_gap,
    course_results,
    derive_courses,
    interruption_results,
)
from fhiradapter.analysis.data_cut import AFTER_CUT, after_cut
from fhiradapter.analysis.days import as_dates, is_partial
from fhiradapter.analysis.discharge import count_discharges, same_day_discharge
from fhiradapter.analysis.infusion_duration import infusion_minutes, summarise_durations, with_clock
from fhiradapter.analysis.infusions import excluded_administrations, given_infusions, missed_infusions
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.plain import as_numbers, as_whole, as_words
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Exposure, Infusion, SubjectExposure
from fhiradapter.settings import DAYS_PER_MONTH, Study, Treatment

SHOWN = (
    "subject_id",
    "row_id",
    "status",
    "started_on",
    "day",
    "months",
    "cells",
    "planned_visit",
    "timing",
    "same_day",
    "notes",
    "minutes",
    "given",
    "comparator",
    "clock",
)
COUNTED = ("interrupted", "not_done", "on_time", "early", "late", "missed", "additional")
NO_KINDS: Mapping[str, str] = MappingProxyType({})


def derive_exposure(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, *, kinds: Mapping[str, str] = NO_KINDS
) -> Exposure | None:
    """Return the exposure of every subject of `timeline`, None for a study without treatment.

    `timeline` is indexed by subject_id with `first_dose_on`, `last_dose_on` and `last_contact_on` (local
    days) and `first_dose_precision`; a first dose without a day starts no plan. `kinds` gives the kind of
    each concept and is needed to find excluded medication. What begins after the data cut is left out.

    Dose intensity = 100 x given / planned, in cells where the study plans a dose, else in infusions; planned
    are all the visits of the schedule. A subject with an infusion whose cells are not known has no total of
    cells: `cells["infusions_without_cells"]` counts these infusions. Medians are over subjects with an
    infusion. Courses are those of `derive_courses`, minutes those of `infusion_minutes`.
    """
    if study.treatment is None:
        return None
    rows = over_parts(exposure_rows, cohort, study, timeline, dict(kinds))
    return summarise_exposure(rows, study.treatment, timeline, kinds=kinds)


@dataclass(frozen=True)
class ExposureRows:
    """What is derived of some subjects.

    subjects: one row per subject. infusions: one row per infusion, given or not done (`given`), with
    `comparator`, `clock` and what the swimmer plot needs. excluded: administrations that are no dose.
    """

    subjects: pd.DataFrame
    infusions: pd.DataFrame
    excluded: Counter[str]
    courses: Courses
    concomitant: ConcomitantRows


def exposure_rows(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    kinds: Mapping[str, str],
    *,
    given: pd.DataFrame | None = None,
) -> ExposureRows:
    """Derive what `summarise_exposure` needs of some whole subjects. Raises ValueError without treatment.

    given: the result of `given_infusions`, when it is already there.
    """
    treatment = study.treatment
    if treatment is None:
        raise ValueError("study: has no treatment")
    timeline = _with_exact_first_dose(timeline)
    given = _of_population(given_infusions(cohort, study) if given is None else given, timeline)
    not_done = _of_population(missed_infusions(cohort, study), timeline)
    excluded = Counter(excluded_administrations(cohort, study, timeline.index))
    cut = study.follow_up.data_cut
    excluded[AFTER_CUT] += int(after_cut(given, cut).sum())
    given = given.loc[~after_cut(given, cut)].reset_index(drop=True)
    not_done = not_done.loc[~after_cut(not_done, cut)].reset_index(drop=True)
    adherence = derive_adherence(given, not_done, timeline, study)
    subjects = _subjects(given, adherence, timeline, planned_cells=treatment.dose_cells, not_done=not_done)
    courses = derive_courses(given, treatment, timeline.index)
    return ExposureRows(
        subjects=subjects.assign(courses=courses.number),
        infusions=_infusions(adherence, same_day_discharge(given, cohort), timeline),
        excluded=excluded,
        courses=courses,
        concomitant=concomitant_rows(cohort, treatment, timeline, kinds=kinds, data_cut=cut),
    )


def summarise_exposure(
    rows: ExposureRows,
    treatment: Treatment,
    timeline: pd.DataFrame,
    *,
    kinds: Mapping[str, str] = NO_KINDS,
) -> Exposure:
    """Return the exposure of all subjects."""
    subjects, treated = rows.subjects, rows.subjects.loc[rows.subjects["infusions"].gt(0)]
    given = rows.infusions.loc[rows.infusions["given"]]
    counts = {timing: int(subjects[timing].sum()) for timing in TIMINGS}
    for timing in (UNDATED, UNPLANNED):
        if number := int(given["timing"].eq(timing).sum()):
            counts[timing] = number
    excluded = {reason: rows.excluded[reason] for reason in sorted(rows.excluded, key=_last_is_the_cut)}
    return Exposure(
        concept=treatment.concept,
        infusions={
            "median": _number(treated["infusions"].median()),
            "min": _number(treated["infusions"].min()),
            "max": _number(treated["infusions"].max()),
            "total": float(len(given)),
        },
        cells={
            "median": _number(treated["cells"].median()),
            "total": _number(given["cells"].sum(min_count=1)),
            "median_of_infusions": _number(given["cells"].median()),
            "infusions_without_cells": float((given["cells"].isna() & ~given["comparator"]).sum()),
        },
        dose_intensity_percent={"median": _number(treated["dose_intensity_percent"].median())},
        adherence=counts,
        excluded={reason: count for reason, count in excluded.items() if count},
        subjects=_subject_rows(subjects),
        timeline=_timeline_rows(rows.infusions),
        concomitant=summarise_concomitant(
            rows.concomitant, treatment, _with_exact_first_dose(timeline), kinds=kinds
        ),
        discharge=count_discharges(given["same_day"]),
        course_gap_days=allowed_gap(treatment),
        courses=course_results(rows.courses),
        interruptions=interruption_results(rows.courses),
        undated_infusions=int(given["started_on"].isna().sum()),
        duration=summarise_durations(given["clock"], given["minutes"]),
    )


def _last_is_the_cut(reason: str) -> tuple[bool, str]:
    return reason == AFTER_CUT, reason


def _with_exact_first_dose(timeline: pd.DataFrame) -> pd.DataFrame:
    """Return the timeline with first doses that are dated to the day."""
    return timeline.assign(
        first_dose_on=timeline["first_dose_on"].mask(is_partial(timeline["first_dose_precision"]))
    )


def _of_population(rows: pd.DataFrame, timeline: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the study's subjects."""
    return members(rows, timeline.index).reset_index(drop=True)


def _subjects(
    given: pd.DataFrame,
    adherence: Adherence,
    timeline: pd.DataFrame,
    *,
    planned_cells: float | None,
    not_done: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row per subject of the timeline."""
    groups = given.groupby("subject_id", sort=False)
    dated = given.dropna(subset=["started_on"]).sort_values(["subject_id", "started_on"], kind="stable")
    days = dated.groupby("subject_id", sort=False)["started_on"]
    gaps = days.diff().dt.days.groupby(dated["subject_id"], sort=False).max()
    subjects = pd.DataFrame(index=timeline.index)
    subjects["infusions"] = groups.size().reindex(subjects.index).fillna(0).astype(np.int64)
    subjects["cells"] = groups["cells"].sum().reindex(subjects.index)
    without_cells = given["cells"].isna().groupby(given["subject_id"], sort=False).any()
    subjects["cells"] = subjects["cells"].mask(without_cells.reindex(subjects.index).eq(True))
    subjects["duration_days"] = ((days.max() - days.min()).dt.days + 1).reindex(subjects.index)
    subjects["longest_gap_days"] = gaps.reindex(subjects.index)
    subjects["interrupted"] = groups["interrupted"].sum().reindex(subjects.index).fillna(0).astype(np.int64)
    subjects["not_done"] = not_done["subject_id"].value_counts().reindex(subjects.index).fillna(0)
    subjects = subjects.join(adherence.subjects)
    planned = subjects["planned"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    amount = subjects["infusions"].to_numpy(dtype=float)
    if planned_cells is not None:
        # A comparator holds no cells: who got nothing else is counted in infusions.
        compared = given["comparator"].groupby(given["subject_id"], sort=False).all()
        alone = compared.reindex(subjects.index).eq(True).to_numpy()
        amount = np.where(alone, amount, subjects["cells"].to_numpy(dtype=float))
        planned = np.where(alone, planned, planned * planned_cells)
    subjects["dose_intensity_percent"] = 100 * amount / planned
    return subjects


def _subject_rows(subjects: pd.DataFrame) -> tuple[SubjectExposure, ...]:
    """Return the subjects as results."""
    return tuple(
        SubjectExposure(
            subject_id=subject,
            infusions=infusions,
            planned=planned,
            cells=cells,
            dose_intensity_percent=intensity,
            duration_days=duration,
            longest_gap_days=gap,
            interrupted=interrupted,
            not_done=not_done,
            on_time=on_time,
            early=early,
            late=late,
            missed=missed,
            additional=additional,
            courses=courses,
        )
        for (
            subject,
            infusions,
            planned,
            cells,
            intensity,
            duration,
            gap,
            interrupted,
            not_done,
            on_time,
            early,
            late,
            missed,
            additional,
            courses,
        ) in zip(
            map(str, subjects.index.tolist()),
            as_whole(subjects["infusions"]),
            as_whole(subjects["planned"]),
            as_numbers(subjects["cells"]),
            as_numbers(subjects["dose_intensity_percent"]),
            as_whole(subjects["duration_days"]),
            as_whole(subjects["longest_gap_days"]),
            *(as_whole(subjects[name]) for name in COUNTED),
            as_whole(subjects["courses"]),
            strict=True,
        )
    )


def _infusions(adherence: Adherence, same_day: pd.Series, timeline: pd.DataFrame) -> pd.DataFrame:
    """Return every infusion, given or not done, by subject and day."""
    given, missed = adherence.given, adherence.not_done
    rows = pd.concat(
        [
            given.assign(
                given=True, same_day=same_day, minutes=infusion_minutes(given), clock=with_clock(given)
            ),
            missed.assign(
                given=False,
                same_day=pd.Series(pd.NA, missed.index, dtype="boolean"),
                minutes=np.nan,
                clock=False,
            ),
        ],
        ignore_index=True,
    )
    rows = in_order(rows, ["subject_id", "started_at", "row_id"])
    first = of_subject(timeline["first_dose_on"], rows["subject_id"])
    away = (rows["started_on"] - first).dt.days
    # Study day has no day 0: the day before the first dose is day -1.
    rows = rows.assign(day=away.where(away < 0, away + 1), months=away / DAYS_PER_MONTH)
    return rows[list(SHOWN)].astype({"given": bool, "comparator": bool, "clock": bool, "same_day": "boolean"})


def _timeline_rows(rows: pd.DataFrame) -> tuple[Infusion, ...]:
    """Return the infusions as results, for the swimmer plot."""
    return tuple(
        Infusion(
            subject_id=subject,
            row_id=row_id,
            status=status,
            started_on=started_on,
            day=day,
            months=months,
            cells=cells,
            planned_visit=visit,
            timing=timing,
            same_day_discharge=home,
            notes=notes,
            minutes=ran,
        )
        for subject, row_id, status, started_on, day, months, cells, visit, timing, home, notes, ran in zip(
            as_words(rows["subject_id"]),
            rows["row_id"].tolist(),
            rows["status"].tolist(),
            cast("list[date | None]", as_dates(rows["started_on"])),
            as_whole(rows["day"]),
            as_numbers(rows["months"]),
            as_numbers(rows["cells"]),
            as_whole(rows["planned_visit"]),
            rows["timing"].tolist(),
            [None if pd.isna(home) else bool(home) for home in rows["same_day"].tolist()],
            rows["notes"].tolist(),
            as_numbers(rows["minutes"]),
            strict=True,
        )
    )


def _number(value: object) -> float | None:
    """Return a float, None where it is missing."""
    return None if pd.isna(cast("float", value)) else float(cast("float", value))
