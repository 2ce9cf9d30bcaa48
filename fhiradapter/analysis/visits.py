"""The planned visit that each value stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.schedule import plan
from fhiradapter.settings import PlannedVisit, Study

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

UNSCHEDULED, NOT_NEAREST, NO_INDEX = "unscheduled", "not_nearest_to_visit", "no_index_date"


@dataclass(frozen=True)
class VisitPlan:
    """Planned visits in order of time; S subjects in the order of a timeline, V visits.

    `labels` (V,); `days`, `early` and `late` (S, V): the planned day, counted from the subject's index date,
    and how many days before and after it a value may still stand for the visit.
    """

    labels: tuple[str, ...]
    days: IntArray
    early: IntArray
    late: IntArray

    def typical(self) -> list[tuple[str, int, int, int]]:
        """Return label, day, early and late of each visit, of the middle subject where months differ."""
        middle = [
            np.sort(table, axis=0)[len(table) // 2].tolist() if len(table) else [0] * len(self.labels)
            for table in (self.days, self.early, self.late)
        ]
        return list(zip(self.labels, *middle, strict=True))


def plan_visits(study: Study, timeline: pd.DataFrame, *, configured: Sequence[PlannedVisit]) -> VisitPlan:
    """Return the visits of a setting, else the planned infusions after the first.

    timeline: one row per subject with `index_on`, the local day that visits are counted from. The first
    infusion is no visit of its own: what is measured until then is baseline. The window of a planned infusion
    reaches halfway to its neighbours, and as far after the last one as before it; the day that lies halfway
    belongs to the earlier visit.

    >>> treatment = {"concept": "cells", "schedule": [{"count": 2, "every": "week"},
    ...                                               {"count": 1, "every": "month"}]}
    >>> card = {"id": "x", "title": "x"}
    >>> study = Study.model_validate({"study": card, "treatment": treatment})
    >>> timeline = pd.DataFrame({"index_on": pd.to_datetime(["2024-01-01"])}, index=["s1"])
    >>> plan_visits(study, timeline, configured=[]).typical()
    [('Infusion 2', 7, 3, 14), ('Infusion 3', 35, 13, 14)]
    """
    subjects = len(timeline)
    if configured:
        ordered = sorted(configured, key=lambda visit: visit.day)
        numbers = [[visit.day, visit.early_days, visit.late_days] for visit in ordered]
        days, early, late = np.array(numbers, dtype=np.int64).T
        shape = (subjects, len(ordered))
        return VisitPlan(
            labels=tuple(visit.label for visit in ordered),
            days=np.broadcast_to(days, shape),
            early=np.broadcast_to(early, shape),
            late=np.broadcast_to(late, shape),
        )
    if study.treatment is None or not study.treatment.schedule:
        nothing = np.empty((subjects, 0), dtype=np.int64)
        return VisitPlan(labels=(), days=nothing, early=nothing, late=nothing)
    planned = plan(study.treatment, timeline["index_on"].fillna(pd.Timestamp(0))).days
    days = (planned - planned[:, :1]).astype(np.int64)
    gap = np.diff(days, axis=1)
    return VisitPlan(
        labels=tuple(f"Infusion {number}" for number in range(2, days.shape[1] + 1)),
        days=days[:, 1:],
        early=(gap - 1) // 2,
        late=np.hstack([gap[:, 1:], gap[:, -1:]]) // 2,
    )


def assign_visits(
    subject_id: pd.Series,
    on: pd.Series,
    visits: VisitPlan,
    timeline: pd.DataFrame,
    *,
    until_baseline: BoolArray,
) -> pd.DataFrame:
    """Return the visit of each value, and whether the value is the one that stands for it.

    subject_id (of the timeline), on (local days): n rows in order of time within a subject. until_baseline
    (n,): True for the baseline value and those before it, which cannot stand for a visit that is planned
    after the index date.

    A value belongs to the visit whose window it lies in; of several, to the one planned nearest, of equals to
    the earlier. Of the values of a subject at a visit the one nearest to the planned day stands for it, of
    equals the earlier. The result has `visit` (0-based, -1 for a value in no window or without an index
    date), `chosen` and `dated` (False without an index date).

    >>> on = pd.Series(pd.to_datetime(["2024-01-04", "2024-01-12", "2024-01-20"]))
    >>> timeline = pd.DataFrame({"index_on": pd.to_datetime(["2024-01-01"])}, index=["s1"])
    >>> week = VisitPlan(("Week 1",), np.array([[7]]), np.array([[4]]), np.array([[4]]))
    >>> found = assign_visits(pd.Series(["s1"] * 3), on, week, timeline, until_baseline=np.zeros(3, bool))
    >>> found["visit"].tolist(), found["chosen"].tolist()  # days 3, 11 and 19
    ([0, 0, -1], [True, False, False])
    """
    place = timeline.index.get_indexer(pd.Index(subject_id))
    index_on = timeline["index_on"].to_numpy(dtype="datetime64[D]")[place]
    since = on.to_numpy(dtype="datetime64[D]") - index_on
    dated = ~np.isnat(since)
    day = np.where(dated, since, np.timedelta64(0, "D")).astype(np.int64)
    visit = np.full(len(day), -1, dtype=np.int64)
    distance = np.full(len(day), np.iinfo(np.int64).max)
    for number in range(len(visits.labels)):
        planned = visits.days[place, number]
        off = day - planned
        inside = dated & (off >= -visits.early[place, number]) & (off <= visits.late[place, number])
        inside &= ~(until_baseline & (planned > 0))
        nearer = inside & (np.abs(off) < distance)
        visit[nearer], distance[nearer] = number, np.abs(off[nearer])
    at_visit = np.flatnonzero(visit >= 0)
    cell = place[at_visit] * len(visits.labels) + visit[at_visit]
    # Rows are in order of time, so the number of the row tells the earlier of two equally near.
    rank = distance[at_visit] * len(day) + at_visit
    first = np.full(len(timeline) * len(visits.labels), np.iinfo(np.int64).max)
    np.minimum.at(first, cell, rank)
    chosen = np.zeros(len(day), dtype=bool)
    chosen[at_visit] = rank == first[cell]
    return pd.DataFrame({"visit": visit, "chosen": chosen, "dated": dated}, index=subject_id.index)


def visit_labels(places: pd.DataFrame, visits: VisitPlan) -> list[str | None]:
    """Return the label of the visit that each value stands for, None for the others."""
    names = np.array([*visits.labels, None], dtype=object)
    labels: list[str | None] = names[np.where(places["chosen"], places["visit"], -1)].tolist()
    return labels


def count_unplaced(places: pd.DataFrame, visits: VisitPlan, *, is_baseline: BoolArray) -> dict[str, int]:
    """Count the values that stand for no visit, by reason; nothing where no visit is planned.

    The baseline value stands for the baseline and is not counted.
    """
    if not visits.labels:
        return {}
    loose = ~places["chosen"].to_numpy() & ~is_baseline
    dated, nowhere = places["dated"].to_numpy(), places["visit"].lt(0).to_numpy()
    return {
        UNSCHEDULED: int((loose & dated & nowhere).sum()),
        NOT_NEAREST: int((loose & ~nowhere).sum()),
        NO_INDEX: int((loose & ~dated).sum()),
    }
