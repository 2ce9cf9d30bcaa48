"""Adherence of the infusions to the study's schedule."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.matching import FloatArray, IntArray, match
from fhiradapter.analysis.schedule import Plan, plan, planned_visits
from fhiradapter.settings import Study

ON_TIME, EARLY, LATE, MISSED, ADDITIONAL = "on_time", "early", "late", "missed", "additional"
UNDATED = "undated"  # given, but the day or the first dose's day is not known
UNPLANNED = "unplanned"  # the study has no schedule
TIMINGS = (ON_TIME, EARLY, LATE, MISSED, ADDITIONAL)

# Subjects matched at once: their table of sums stays in tens of megabytes.
BLOCK = 8192


@dataclass(frozen=True)
class Adherence:
    """What became of the planned visits.

    `given` and `not_done` have the rows of the infusions handed in, with `planned_visit` (Int64, 1 is the
    first) and `timing`; `subjects` has a row per subject with `planned` (Int64, missing without a schedule)
    and the number of on_time, early, late, missed and additional ones.
    """

    given: pd.DataFrame
    not_done: pd.DataFrame
    subjects: pd.DataFrame


def derive_adherence(
    given: pd.DataFrame, not_done: pd.DataFrame, timeline: pd.DataFrame, study: Study
) -> Adherence:
    """Set infusions against the planned visits, one to one in time order.

    `given` and `not_done` are frames as from `given_infusions`, of subjects of `timeline`, which is indexed
    by subject_id with `first_dose_on` and `last_contact_on`.

    * An infusion can stand for a visit from half-way since the visit before (or from the window's start, when
      that is earlier) until the day before the next visit (or the window's end, when that is later): doses
      are put off more often than brought forward. After the last visit the gap before it counts once more.
    * `matching.match` picks the matching with the most visits, then the fewest days off plan.
    * A matched infusion is on time inside the window, else early or late; one without a visit is additional,
      which is no error. One without a known day is undated.
    * A visit without an infusion is missed when a not-done record stands for it, by the same rule, or when
      its window closed by the last contact or the data cut, whichever came first. Later visits are not yet
      due. Each undated infusion may have been one of the missed, so it takes one off their number.
    """
    treatment = study.treatment
    if treatment is None or not treatment.schedule:
        return _without_plan(given, not_done, timeline)
    order = timeline.index
    visits = plan(treatment, timeline["first_dose_on"])
    taken = _visits_of(given, visits, order, blocked=np.zeros(visits.days.shape, dtype=bool))
    used = _used(given, taken, order, visits.days.shape)
    refused = _visits_of(not_done, visits, order, blocked=used)
    closed = visits.days + visits.late.astype("timedelta64[D]")
    seen_until = timeline["last_contact_on"].to_numpy().astype("datetime64[D]")
    if study.follow_up.data_cut is not None:
        seen_until = np.fmin(seen_until, np.datetime64(study.follow_up.data_cut, "D"))
    due = closed <= seen_until[:, None]
    missed = ~used & (due | _used(not_done, refused, order, visits.days.shape))
    timing = _timing(given, taken, visits, order)
    sizes = pd.DataFrame({"subject_id": given["subject_id"], "timing": timing}).value_counts()
    counts = sizes.unstack("timing").reindex(index=order, columns=[*TIMINGS, UNDATED])
    counts = counts.fillna(0).astype(np.int64)
    counts[MISSED] = np.maximum(missed.sum(axis=1) - counts[UNDATED].to_numpy(), 0)
    subjects = counts[list(TIMINGS)].assign(
        planned=pd.array([planned_visits(treatment)] * len(order), "Int64")
    )
    return Adherence(
        given=given.assign(planned_visit=_numbers(taken), timing=timing),
        not_done=not_done.assign(planned_visit=_numbers(refused), timing=MISSED),
        subjects=subjects,
    )


def _without_plan(given: pd.DataFrame, not_done: pd.DataFrame, timeline: pd.DataFrame) -> Adherence:
    """Return the infusions of a study without a schedule: nothing to be early or late for."""
    subjects = pd.DataFrame(0, index=timeline.index, columns=list(TIMINGS), dtype=np.int64)
    return Adherence(
        given=given.assign(planned_visit=pd.array([pd.NA] * len(given), "Int64"), timing=UNPLANNED),
        not_done=not_done.assign(planned_visit=pd.array([pd.NA] * len(not_done), "Int64"), timing=MISSED),
        subjects=subjects.assign(planned=pd.array([pd.NA] * len(subjects), "Int64")),
    )


def _visits_of(
    rows: pd.DataFrame, visits: Plan, order: pd.Index, *, blocked: npt.NDArray[np.bool_]
) -> IntArray:
    """Return the visit (0-based, -1 none) of each row; `blocked` (S, V) visits are not to be had."""
    result = np.full(len(rows), -1, dtype=np.int64)
    place = order.get_indexer(pd.Index(rows["subject_id"]))
    days = rows["started_on"].to_numpy().astype("datetime64[D]")
    usable = np.flatnonzero(~np.isnat(days) & (place >= 0))
    usable = usable[np.lexsort((days[usable], place[usable]))]
    planned = np.where(np.isnat(visits.days), np.nan, visits.days.astype(np.int64).astype(float))
    reach_early, reach_late = _reach(planned, visits)
    planned = np.where(blocked, np.nan, planned)
    subject, size = np.unique(place[usable], return_counts=True)
    position = np.arange(len(usable)) - np.repeat(np.cumsum(size) - size, size)
    # Subjects with like numbers of rows go together, so that little of a block is padding.
    by_size = np.argsort(size, kind="stable")
    rank = np.empty(len(size), dtype=np.int64)
    rank[by_size] = np.arange(len(size))
    row_rank = np.repeat(rank, size)
    for start in range(0, len(size), BLOCK):
        chosen = by_size[start : start + BLOCK]
        inside = (row_rank >= start) & (row_rank < start + BLOCK)
        table = np.full((len(chosen), int(size[chosen].max())), np.nan)
        cell = (row_rank[inside] - start, position[inside])
        table[cell] = days[usable[inside]].astype(np.int64)
        who = subject[chosen]
        found = match(planned[who], table, reach_early=reach_early[who], reach_late=reach_late[who])
        result[usable[inside]] = found[cell]
    return result


def _reach(planned: FloatArray, visits: Plan) -> tuple[FloatArray, FloatArray]:
    """Return how many days before and after each visit (S, V) an infusion can still stand for it."""
    gap = np.diff(planned, axis=1)
    nothing = np.zeros((len(planned), 1))
    before = np.hstack([nothing, gap])
    after = np.hstack([gap, gap[:, -1:] if gap.shape[1] else nothing]) - 1
    return np.maximum(before / 2, visits.early), np.maximum(after, visits.late)


def _used(
    rows: pd.DataFrame, taken: IntArray, order: pd.Index, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Return True (S, V) for the visits that a row stands for."""
    used = np.zeros(shape, dtype=bool)
    matched = taken >= 0
    used[order.get_indexer(pd.Index(rows["subject_id"]))[matched], taken[matched]] = True
    return used


def _timing(given: pd.DataFrame, taken: IntArray, visits: Plan, order: pd.Index) -> pd.Series:
    """Return the timing of each infusion."""
    place = order.get_indexer(pd.Index(given["subject_id"]))
    days = given["started_on"].to_numpy().astype("datetime64[D]")
    without_anchor = np.isnat(visits.days[:, 0])[place]
    timing = np.where(np.isnat(days) | without_anchor, UNDATED, ADDITIONAL)
    matched = np.flatnonzero(taken >= 0)
    visit = taken[matched]
    away = (days[matched] - visits.days[place[matched], visit]).astype(np.int64)
    early, late = away < -visits.early[visit], away > visits.late[visit]
    timing[matched] = np.select([early, late], [EARLY, LATE], ON_TIME)
    return pd.Series(timing, index=given.index, name="timing").astype(object)


def _numbers(taken: IntArray) -> "pd.arrays.IntegerArray":
    """Return 1-based visit numbers, missing where there is none."""
    return pd.arrays.IntegerArray(taken + 1, taken < 0)
