"""Each subject's course through the stages of one system."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis import kings, mitos

Rows = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Scale:
    """Stages from best to worst, the last one death, and the level of each: equal levels are one step."""

    stages: tuple[str, ...]
    levels: tuple[int, ...]

    @property
    def death(self) -> int:
        """Place of death among the stages."""
        return len(self.stages) - 1


SCALES = {
    "mitos": Scale(mitos.STAGES, mitos.LEVELS),
    "kings": Scale(kings.STAGES, kings.LEVELS),
}


@dataclass(frozen=True, eq=False)
class Courses:
    """The courses of n subjects over their m staged assessments, in order of subject and time.

    place, on, code: (m,) the subject's place 0 to n-1, the local day, the stage's place in the scale.
    baseline, last: (n,) the place among the m assessments, -1 for none.
    worst: (n,) the worst stage seen, -1 for none; death is none of these.
    steps: (k, k) how often the stage of a row was followed by that of a column, death included.
    steps_back: (n,) steps to a lower level.
    """

    place: Rows
    on: Days
    code: Rows
    baseline: Rows
    last: Rows
    worst: Rows
    steps: Rows
    steps_back: Rows

    def code_at(self, rows: Rows) -> Rows:
        """Return the stages at some places among the assessments, -1 for place -1."""
        return np.append(self.code, -1)[rows]

    def day_at(self, rows: Rows) -> Days:
        """Return the days at some places among the assessments, NaT for place -1."""
        return np.append(self.on, np.datetime64("NaT", "D"))[rows]


def follow_courses(staged: pd.DataFrame, timeline: pd.DataFrame, scale: Scale) -> Courses:
    """Return the courses of the timeline's subjects.

    staged: `place` (in the timeline), `on`, `code`, in order of subject and time. Steps lie between an
    assessment and the next of the same subject, and between the last one and death. A lower stage after a
    higher one is a step back: it is counted, and no stage is changed for it.

    >>> timeline = pd.DataFrame({"first_dose_on": pd.to_datetime([None]), "died": [True]}, index=["s1"])
    >>> days = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    >>> staged = pd.DataFrame({"place": 0, "on": days, "code": [1, 2, 1]})
    >>> courses = follow_courses(staged, timeline, SCALES["mitos"])
    >>> courses.worst.tolist(), courses.steps_back.tolist(), courses.steps[1].tolist()
    ([2], [1], [0, 0, 1, 0, 0, 1])
    """
    place, code = staged["place"].to_numpy(dtype=np.int64), staged["code"].to_numpy(dtype=np.int64)
    on = staged["on"].to_numpy(dtype="datetime64[D]")
    baseline, last = baseline_and_last(place, on, timeline)
    worst = np.full(len(timeline), -1)
    np.maximum.at(worst, place, code)
    follows = place[1:] == place[:-1]
    before, after = code[:-1][follows], code[1:][follows]
    levels = np.array(scale.levels)
    back = place[1:][follows][levels[after] < levels[before]]
    dead = timeline["died"].to_numpy(dtype=bool) & (last >= 0)
    before = np.concatenate([before, code[last[dead]]])
    after = np.concatenate([after, np.full(int(dead.sum()), scale.death)])
    size = len(scale.stages)
    steps = np.bincount(before * size + after, minlength=size * size).reshape(size, size)
    steps_back = np.bincount(back, minlength=len(timeline))
    return Courses(place, on, code, baseline, last, worst, steps, steps_back)


def baseline_and_last(place: Rows, on: Days, timeline: pd.DataFrame) -> tuple[Rows, Rows]:
    """Return for each subject which of m rows is its baseline and which its last one, (n,), -1 for none.

    place, on: (m,), in order of subject and time. The baseline is the last row until the day of the first
    dose, and the first row of a subject without a dose.

    >>> timeline = pd.DataFrame({"first_dose_on": pd.to_datetime(["2024-02-01", None])})
    >>> on = np.array(["2024-01-01", "2024-02-01", "2024-03-01", "2024-01-01", "2024-02-01"], "datetime64[D]")
    >>> [found.tolist() for found in baseline_and_last(np.array([0, 0, 0, 1, 1]), on, timeline)]
    [[1, 3], [2, 4]]
    """
    number, dose = np.arange(len(place)), timeline["first_dose_on"].to_numpy(dtype="datetime64[D]")
    last = np.full(len(timeline), -1)
    np.maximum.at(last, place, number)
    until_dose = np.full(len(timeline), -1)
    early = on <= dose[place]
    np.maximum.at(until_dose, place[early], number[early])
    first = np.full(len(timeline), len(place))
    np.minimum.at(first, place, number)
    first = np.where(last >= 0, first, -1)
    return np.where(np.isnat(dose), first, until_dose), last
