"""The stages of one system, by subject and of all subjects together."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.stage_courses import SCALES, Rows, Scale, follow_courses
from fhiradapter.analysis.stage_times import left_out, stage_time_rows, times_to_stages
from fhiradapter.results import Exclusion, StageStep, StageSystem, SubjectStages
from fhiradapter.settings import Study


@dataclass(frozen=True, eq=False)
class SystemRows:
    """The courses of some subjects through the stages of one system.

    subjects: one row per subject, by subject id: `assessments` (with a stage), `baseline`, `last` and `worst`
        (places in the scale, -1 for none; who died ends at death), `baseline_on`, `last_on`, `steps_back`,
        `excluded` (why there is no time, "" where there is), and the columns of `stage_time_rows`.
    steps: how often one stage was followed by another, both as places in the scale.
    undecided: assessments without a stage, by reason.
    """

    subjects: pd.DataFrame
    steps: Counter[tuple[int, int]]
    undecided: Counter[str]


def system_rows(
    staged: pd.DataFrame, name: str, timeline: pd.DataFrame, *, death_on: pd.Series, every: bool
) -> SystemRows:
    """Follow some whole subjects through the stages of one system.

    staged: as from `stage_assessments`, with `place` in the timeline, in order of subject and time; of
    several on one day the first one with a stage counts, or all when `every`. death_on: as from `death_days`.
    """
    scale, known = SCALES[name], staged[["place", "on"]].assign(code=staged[name].cat.codes)
    known = known.loc[known["code"].ge(0)]
    courses = follow_courses(known if every else known.drop_duplicates(["place", "on"]), timeline, scale)
    dead = timeline["died"].to_numpy(dtype=bool) & (courses.last >= 0)
    death = death_on.to_numpy(dtype="datetime64[D]")
    subjects = pd.DataFrame(
        {
            "assessments": np.bincount(courses.place, minlength=len(timeline)),
            "baseline": courses.code_at(courses.baseline),
            "baseline_on": courses.day_at(courses.baseline),
            "last": np.where(dead, scale.death, courses.code_at(courses.last)),
            "last_on": np.where(dead, death, courses.day_at(courses.last)),
            "worst": np.where(dead, scale.death, courses.worst),
            "steps_back": courses.steps_back,
            "excluded": left_out(courses, timeline, death_on=death_on).astype(object),
        },
        index=timeline.index,
    ).join(stage_time_rows(courses, timeline, scale, death_on=death_on))
    before, after = (places.tolist() for places in np.nonzero(courses.steps))
    undecided = staged.loc[staged[name].isna(), "why"].value_counts()
    return SystemRows(
        subjects=subjects,
        steps=Counter({pair: int(courses.steps[pair]) for pair in zip(before, after, strict=True)}),
        undecided=Counter({str(reason): int(count) for reason, count in undecided.items()}),
    )


def summarise_system(rows: SystemRows, name: str, study: Study) -> StageSystem:
    """Return what the courses of all subjects show."""
    scale, people = SCALES[name], rows.subjects
    times, months = times_to_stages(people, scale, confidence=study.statistics.confidence)
    excluded = people.loc[people["excluded"].ne(""), "excluded"]
    return StageSystem(
        stages=scale.stages,
        subjects=int(people["last"].ge(0).sum()),
        baseline=_counts(people["baseline"].to_numpy(), scale),
        last=_counts(people["last"].to_numpy(), scale),
        worst=_counts(people["worst"].to_numpy(), scale),
        steps=tuple(
            StageStep(before=scale.stages[before], after=scale.stages[after], count=count)
            for (before, after), count in sorted(rows.steps.items())
        ),
        steps_back=int(people["steps_back"].sum()),
        subjects_back=int(people["steps_back"].gt(0).sum()),
        undecided=dict(sorted(rows.undecided.items())),
        times=times,
        at_risk_months=months,
        excluded=tuple(
            Exclusion(subject_id=subject, reason=reason)
            for subject, reason in zip(excluded.index.tolist(), excluded.tolist(), strict=True)
        ),
    )


def subject_stages(rows: SystemRows, name: str) -> Iterator[SubjectStages]:
    """Yield one result per subject, in order of the subjects."""
    people = rows.subjects
    words = [*SCALES[name].stages, None]  # -1 is the last one
    for subject, assessments, first, first_day, last, last_day, worst, steps_back, reason in zip(
        people.index.tolist(),
        people["assessments"].tolist(),
        people["baseline"].tolist(),
        as_dates(people["baseline_on"]),
        people["last"].tolist(),
        as_dates(people["last_on"]),
        people["worst"].tolist(),
        people["steps_back"].tolist(),
        people["excluded"].tolist(),
        strict=True,
    ):
        yield SubjectStages(
            system=name,
            subject_id=subject,
            assessments=assessments,
            baseline=words[first],
            baseline_on=first_day,
            last=words[last],
            last_on=last_day,
            worst=words[worst],
            steps_back=steps_back,
            reason=reason or None,
        )


def _counts(codes: Rows, scale: Scale) -> dict[str, int]:
    counts = np.bincount(codes[codes >= 0], minlength=len(scale.stages))
    return dict(zip(scale.stages, counts.tolist(), strict=True))
