"""The time from the index date to each stage."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.death_day import UNDATED_UNUSED
from fhiradapter.analysis.kaplan_meier import KaplanMeier, kaplan_meier
from fhiradapter.analysis.stage_courses import Courses, Days, Scale
from fhiradapter.analysis.survival import times_at_risk
from fhiradapter.results import TimeToStage
from fhiradapter.settings import DAYS_PER_MONTH

NO_STAGE = "no assessment has a stage"
NO_BASELINE = "no stage at or before the first dose: it may have been reached before"
DEATH_FIRST = "died before the first dose"


def stage_time_rows(
    courses: Courses, timeline: pd.DataFrame, scale: Scale, *, death_on: pd.Series
) -> pd.DataFrame:
    """Return one row per subject of the timeline with the time to each stage or a higher one.

    timeline: the result of `derive_timeline`; death_on: that of `death_days`. Stages are levels here: 4 is 4A
    or 4B. Columns: `level` at baseline, -1 for who is in no estimate (`left_out`); and for each level from 1
    on `months_1`, `event_1` (reached or died) and `died_1` (died without being seen there).
    """
    levels = np.array(scale.levels)
    origin = index_day(courses, timeline)
    counted = left_out(courses, timeline, death_on=death_on) == ""
    last = np.fmax(courses.day_at(courses.last), origin)
    death = _counted_death(courses, death_on)
    contact = np.fmax(timeline["last_contact_on"].to_numpy(dtype="datetime64[D]"), last)
    later = courses.on > origin[courses.place]
    columns = {"level": np.where(counted, levels[courses.code_at(courses.baseline)], -1)}
    for level in range(1, levels[-1] + 1):
        seen = np.full(len(timeline), np.datetime64("NaT", "D"))
        high = later & (levels[courses.code] >= level)
        np.fmin.at(seen, courses.place[high], courses.on[high])
        reached = np.fmin(seen, death)
        known_until = contact if level == levels[-1] else last
        event = ~np.isnat(reached)
        days = (np.where(event, reached, known_until) - origin) / np.timedelta64(1, "D")
        columns |= {
            f"months_{level}": days / DAYS_PER_MONTH,
            f"event_{level}": event,
            f"died_{level}": event & np.isnat(seen),
        }
    return pd.DataFrame(columns, index=timeline.index)


def times_to_stages(
    rows: pd.DataFrame, scale: Scale, *, confidence: float
) -> tuple[tuple[TimeToStage, ...], tuple[int, ...]]:
    """Return the time to each stage or a higher one, and the months at which numbers at risk are given.

    rows: those of all subjects, as from `stage_time_rows`. Time runs in local days from the first dose, else
    from the first assessment with a stage, in months of 30.4375 days. Whose stage then (the baseline) is the
    stage asked for or a higher one is not at risk. The event is the first later assessment at that stage or
    higher, or death; a later step back does not undo it. A stage is seen at visits, so it was reached some
    time before the day counted. Without an event a subject counts until the last assessment with a stage, for
    death until the last contact. Median and interval are those of `kaplan_meier`.

    >>> from fhiradapter.analysis.stage_courses import SCALES, follow_courses
    >>> none = pd.Series(pd.to_datetime([None]))
    >>> timeline = pd.DataFrame({"first_dose_on": none, "died": False, "last_contact_on": none})
    >>> days = pd.to_datetime(["2024-01-01", "2025-01-01"])  # 366 days
    >>> staged = pd.DataFrame({"place": 0, "on": days, "code": [0, 2]})
    >>> scale = SCALES["mitos"]
    >>> courses = follow_courses(staged, timeline, scale)
    >>> times, _ = times_to_stages(
    ...     stage_time_rows(courses, timeline, scale, death_on=none), scale, confidence=0.95)
    >>> [(time.stage, time.events, time.median and round(time.median, 2)) for time in times[:3]]
    [('1', 1, 12.02), ('2', 1, 12.02), ('3', 0, None)]
    """
    at_baseline = rows["level"].to_numpy()
    curves = []
    for level in range(1, scale.levels[-1] + 1):
        chosen = (at_baseline >= 0) & (at_baseline < level)
        months, event, died = (
            rows[f"{name}_{level}"].to_numpy()[chosen] for name in ("months", "event", "died")
        )
        curve = kaplan_meier(months, event, confidence=confidence)
        curves.append((str(level), int((at_baseline >= level).sum()), int(died.sum()), curve))
    longest = max((float(curve.time[-1]) for *_, curve in curves if len(curve.time)), default=0.0)
    at_risk = tuple(int(month) for month in times_at_risk(longest))
    return tuple(_time(*parts, at_risk) for parts in curves), at_risk


def index_day(courses: Courses, timeline: pd.DataFrame) -> Days:
    """Return the day that time runs from, (n,): first dose, else first assessment with a stage."""
    dose = timeline["first_dose_on"].to_numpy(dtype="datetime64[D]")
    return np.where(np.isnat(dose), courses.day_at(courses.baseline), dose)


def left_out(courses: Courses, timeline: pd.DataFrame, *, death_on: pd.Series) -> npt.NDArray[np.str_]:
    """Return why a subject is in no estimate of time, (n,), empty for those who are in."""
    death = _counted_death(courses, death_on)
    reasons = {
        NO_STAGE: courses.last < 0,
        NO_BASELINE: courses.baseline < 0,
        UNDATED_UNUSED: timeline["died"].to_numpy(dtype=bool) & np.isnat(death),
        DEATH_FIRST: death < index_day(courses, timeline),
    }
    return np.select(list(reasons.values()), list(reasons), default="")


def _counted_death(courses: Courses, death_on: pd.Series) -> Days:
    """Return the day on which each death counts, not before the last assessment: its own day may be vague."""
    death = death_on.to_numpy(dtype="datetime64[D]")
    return np.where(np.isnat(death), death, np.fmax(death, courses.day_at(courses.last)))


def _time(stage: str, already: int, deaths: int, curve: KaplanMeier, months: tuple[int, ...]) -> TimeToStage:
    limits = (curve.median_lower, curve.median_upper)
    return TimeToStage(
        stage=stage,
        subjects=int(curve.at_risk[0]) if len(curve.at_risk) else 0,
        already=already,
        events=int(curve.events.sum()),
        deaths=deaths,
        median=curve.median,
        ci95=None if limits == (None, None) else limits,
        at_risk=tuple(curve.numbers_at_risk(months).tolist()),
    )
