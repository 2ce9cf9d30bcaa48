"""Courses of infusions, and the interruptions between and inside them."""

import math
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.schedule import DAYS, DAYS_OF_A_MONTH
from fhiradapter.results import Course, Interruption
from fhiradapter.settings import ScheduleBlock, Treatment

GAP, STOPPED = "gap", "stopped"
LONGEST_MONTH = 31.0  # a calendar month


@dataclass(frozen=True)
class Courses:
    """Courses and interruptions by subject and day.

    courses: `subject_id`, `number`, `infusions`, `first`, `last` (local days), `gap` (days before it), and
    `cells`. interruptions: `subject_id`, `kind`, `row_id`, `on`, `days`, `until`. number: of courses, by
    subject id, missing where undefined.
    """

    courses: pd.DataFrame
    interruptions: pd.DataFrame
    number: pd.Series


def allowed_gap(treatment: Treatment) -> int | None:
    """Return the most days that may lie between two infusions of one course, None where nothing says so.

    `course_gap_days` of the study file, else the longest planned interval in whole days, rounded up, + its
    late window in days (of equally long intervals the widest window). A schedule of one visit has no
    interval. The month is the study's; a calendar month can have 31 days.

    >>> allowed_gap(Treatment.model_validate({"concept": "cells", "schedule": [
    ...     {"count": 4, "every": "week", "late_days": 3}, {"count": 6, "every": "month", "late_days": 7}]}))
    35
    """
    if treatment.course_gap_days is not None:
        return treatment.course_gap_days
    # The first visit of the first block is the first dose: it comes after no interval.
    blocks = [block for place, block in enumerate(treatment.schedule) if place or block.count > 1]
    spans = [(_interval(block, treatment.month), block.late_days) for block in blocks]
    return sum(max(spans)) if spans else None


def _interval(block: ScheduleBlock, month: str) -> int:
    length = DAYS.get(block.every) or DAYS_OF_A_MONTH.get(month, LONGEST_MONTH)
    return math.ceil(block.interval * length)


def derive_courses(given: pd.DataFrame, treatment: Treatment, population: pd.Index) -> Courses:
    """Split each subject's infusions into courses: a gap of more than `allowed_gap` days begins a new one.

    `given` (n rows) is as from `given_infusions`, of subjects of `population`. Gaps are counted in local days
    from one infusion's day to the next one's. An infusion without a day belongs to no course. Interruptions
    are these gaps (`row_id` is the last infusion before it, `days` its length, `until` the day on which the
    next course began), and the infusions that were stopped before their end (without `days` and `until`).
    Where neither schedule nor setting allows a gap, there are no courses and only stopped infusions are told.

    >>> days = pd.to_datetime(pd.Series(["2024-01-01", "2024-01-08", "2024-01-16"])).astype("datetime64[s]")
    >>> given = pd.DataFrame({"subject_id": "s1", "row_id": ["a", "b", "c"], "started_on": days,
    ...                       "started_at": days.dt.tz_localize("UTC"), "cells": 1e8, "interrupted": False})
    >>> treatment = Treatment.model_validate({"concept": "cells", "course_gap_days": 7})
    >>> found = derive_courses(given, treatment, pd.Index(["s1"]))
    >>> [(course.number, course.infusions, course.gap_before_days) for course in course_results(found)]
    [(1, 2, None), (2, 1, 8)]
    """
    limit = allowed_gap(treatment)
    dated = given.loc[given["started_on"].notna()]
    dated = dated.sort_values(["subject_id", "started_on", "started_at", "row_id"], kind="stable")
    dated = dated.reset_index(drop=True)
    by_subject = dated.groupby("subject_id", sort=False)
    gap = by_subject["started_on"].diff().dt.days
    stopped = _stopped(given)
    if limit is None:
        dated = dated.iloc[:0]
        undefined = pd.Series(pd.NA, index=population, dtype="Int64")
        return Courses(_courses(dated.assign(number=0, gap=np.nan)), _by_day(stopped), undefined)
    breaks = gap.gt(limit)
    dated = dated.assign(
        gap=gap,
        number=breaks.groupby(dated["subject_id"], sort=False).cumsum() + 1,
        before=by_subject["row_id"].shift(),
        before_on=by_subject["started_on"].shift(),
    )
    gaps = dated.loc[breaks].assign(kind=GAP)
    gaps = gaps[["subject_id", "kind", "before", "before_on", "gap", "started_on"]].set_axis(
        list(stopped.columns), axis=1
    )
    number = dated.groupby("subject_id", sort=False)["number"].max().reindex(population)
    return Courses(
        courses=_courses(dated),
        interruptions=_by_day(pd.concat([gaps, stopped], ignore_index=True)),
        number=number.fillna(0).astype("Int64"),
    )


def _stopped(given: pd.DataFrame) -> pd.DataFrame:
    """Return the infusions that were stopped before their end, as interruptions."""
    rows = given.loc[given["interrupted"]]
    return pd.DataFrame(
        {
            "subject_id": rows["subject_id"],
            "kind": STOPPED,
            "row_id": rows["row_id"],
            "on": rows["started_on"].astype("datetime64[s]"),
            "days": np.full(len(rows), np.nan),
            "until": pd.Series(pd.NaT, index=rows.index, dtype="datetime64[s]"),
        }
    )


def _courses(dated: pd.DataFrame) -> pd.DataFrame:
    """Return the courses; one with an infusion of unknown cells has no sum of cells."""
    groups = dated.groupby(["subject_id", "number"], sort=True, observed=True)
    table = groups.agg(
        infusions=("row_id", "size"),
        first=("started_on", "min"),
        last=("started_on", "max"),
        gap=("gap", "first"),
    )
    table["cells"] = groups["cells"].sum().mask(groups["cells"].count().lt(groups.size()))
    # `first` skips missing values: the gap before a first course is none, not the one after it.
    table["gap"] = table["gap"].mask(table.index.get_level_values("number") == 1)
    return table.reset_index()


def course_results(courses: Courses) -> tuple[Course, ...]:
    """Return the courses as results."""
    table = courses.courses
    return tuple(
        Course(
            subject_id=str(subject),
            number=int(number),
            infusions=int(infusions),
            first_on=first,
            last_on=last,
            days=int(days),
            cells=None if math.isnan(amount) else amount,
            gap_before_days=None if math.isnan(before) else int(before),
        )
        for subject, number, infusions, first, last, days, amount, before in zip(
            table["subject_id"],
            table["number"],
            table["infusions"],
            cast("list[date | None]", as_dates(table["first"])),
            cast("list[date | None]", as_dates(table["last"])),
            (table["last"] - table["first"]).dt.days + 1,
            table["cells"].astype(float).tolist(),
            table["gap"].astype(float).tolist(),
            strict=True,
        )
    )


def _by_day(table: pd.DataFrame) -> pd.DataFrame:
    """Return the interruptions by subject and day."""
    return table.sort_values(["subject_id", "on", "kind", "row_id"], kind="stable", ignore_index=True)


def interruption_results(courses: Courses) -> tuple[Interruption, ...]:
    """Return the interruptions as results."""
    table = courses.interruptions
    return tuple(
        Interruption(
            subject_id=subject,
            kind=kind,
            row_id=row_id,
            on=on,
            days=None if math.isnan(days) else int(days),
            until=until,
        )
        for subject, kind, row_id, on, days, until in zip(
            table["subject_id"],
            table["kind"],
            table["row_id"],
            cast("list[date | None]", as_dates(table["on"])),
            table["days"].astype(float).tolist(),
            cast("list[date | None]", as_dates(table["until"])),
            strict=True,
        )
    )
