"""Domains of the ALSFRS-R and stages of the disease, by assessment and by subject."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.assessments import ITEM_COLUMNS, ITEMS, gather_assessments, twelve_items
from fhiradapter.analysis.baseline_table import spread
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.death_day import death_days
from fhiradapter.analysis.domains import DOMAINS, domain_scores
from fhiradapter.analysis.kings import kings_stages, without_region
from fhiradapter.analysis.marks import count_marks, marks
from fhiradapter.analysis.mitos import mitos_stages
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.population import members, of_subject, places
from fhiradapter.analysis.score_items import BOTH_CUTTING, CONFLICTING, MISSING, TOTAL
from fhiradapter.analysis.stage_courses import SCALES, Courses, Scale, baseline_and_last, follow_courses
from fhiradapter.analysis.stage_times import left_out, times_to_stages
from fhiradapter.analysis.usable_measurements import (
    COMPARATOR,
    count_reasons,
    split_off,
    usable_measurements,
)
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import (
    DomainSpread,
    Exclusion,
    StagedAssessment,
    StageStep,
    StageSystem,
    Staging,
    SubjectStages,
)
from fhiradapter.settings import DAYS_PER_MONTH, Study

ONLY_TOTALS = "only totals of the ALSFRS-R were sent, and domains and stages need its items"
NO_ITEMS = "no item of the ALSFRS-R was received"
NO_USABLE_ITEMS = "no item of the ALSFRS-R could be used"

OUT_OF_RANGE = "items_out_of_range"
NO_REGION = "no_region_involved"
SAME_DAY = "same_day"
AFTER_DEATH = "after_death"


def derive_staging(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> tuple[Staging | None, str | None]:
    """Derive domains, MiToS and King's stages; without items, return None and the reason.

    timeline: the result of `derive_timeline`. Every assessment of which an item was sent is in the result,
    with its domains and stages as far as they are known. Stages have no mean: of several assessments of one
    subject on one day the first one with a stage counts, or all of them when `progression.same_day` is "all".
    The baseline is the last assessment until the day of the first dose, and the first one of a subject
    without a dose. Who died is at stage 5 in the end, also when the date is not known. Assessments after the
    death are left out and counted.

    >>> from datetime import date
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> row = {"subject_id": "s1", "status": "final", "measured_on": date(2024, 1, 1), "value": 2.0}
    >>> cohort = Cohort.from_rows({"measurements": [{**row, "concept": name} for name in ITEMS[1:]]})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> staging, _ = derive_staging(cohort, study, derive_timeline(cohort, study))
    >>> staging.assessments[0].mitos, staging.assessments[0].kings  # respiratory insufficiency is 2
    ('1', '4B')
    """
    rows, unused = usable_measurements(cohort, study, ITEMS, timeline.index, columns=ITEM_COLUMNS)
    rows, unused = split_off(rows, unused, rows["comparator"].notna(), COMPARATOR)
    late = rows["on"].gt(of_subject(timeline["death_latest_on"], rows["subject_id"]))
    rows, unused = split_off(rows, unused, late, AFTER_DEATH)
    if rows.empty:
        return None, _why_none(cohort, study, timeline, unused)
    staged = _stage(rows, study).assign(place=lambda found: places(found["subject_id"], timeline.index))
    staged = in_order(staged, ["place", "at", "row_id"])
    every = study.progression.same_day == "all"
    death_on = death_days(timeline, study)
    systems, subjects = {}, []
    for name, scale in SCALES.items():
        courses = follow_courses(_counted(staged, name, every=every), timeline, scale)
        systems[name] = _system(courses, staged, name, timeline, death_on=death_on, study=study)
        subjects.append(_subjects(courses, name, timeline, death_on=death_on))
    return Staging(
        domains={name: _domain(staged, name, timeline, every=every) for name in DOMAINS},
        systems=systems,
        subject_rows=tuple(row for pair in zip(*subjects, strict=True) for row in pair),
        assessments=_assessments(staged, timeline),
        notes=count_reasons(unused) | count_marks(staged["flags"]),
    ), None


def _why_none(cohort: Cohort, study: Study, timeline: pd.DataFrame, unused: pd.DataFrame) -> str | None:
    if len(unused):
        counts = (f"{name.replace('_', ' ')} ({count})" for name, count in count_reasons(unused).items())
        return f"{NO_USABLE_ITEMS}: {', '.join(counts)}"
    totals = cohort.select("measurements", ["subject_id"], concepts=[TOTAL])
    if len(members(totals, timeline.index)):
        return ONLY_TOTALS
    return NO_ITEMS if study.progression.concept == TOTAL else None


def _stage(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return one row per assessment with domains, stages, flags and why a stage is missing."""
    policy = study.progression
    assessments = gather_assessments(rows)
    items = twelve_items(assessments, both_cutting=policy.both_cutting_items)
    unanswered = np.isnan(assessments.lowest)
    missing = unanswered[:, 2:].any(axis=1) | unanswered[:, :2].all(axis=1)
    both = assessments.both_cutting
    conflicting = assessments.conflicting.any(axis=1)
    astray = (assessments.lowest != np.clip(np.round(assessments.lowest), 0, 4)) & ~unanswered
    no_region = without_region(items, items["gastrostomy"])
    unknown = {
        CONFLICTING: conflicting,
        BOTH_CUTTING: both,
        OUT_OF_RANGE: astray.any(axis=1),
        MISSING: missing,
        NO_REGION: no_region,
    }
    heads = assessments.heads
    day = heads.duplicated(["subject_id", "on"], keep=False)
    held = {"provisional": heads["provisional"], **unknown, SAME_DAY: day}
    return pd.concat([heads, domain_scores(items)], axis=1).assign(
        mitos=mitos_stages(items),
        kings=kings_stages(items, items["gastrostomy"], no_region=policy.kings_no_region),
        form=items["form"],
        why=np.select(list(unknown.values()), list(unknown), default=""),
        flags=marks(held, heads.index),
    )


def _counted(staged: pd.DataFrame, column: str, *, every: bool) -> pd.DataFrame:
    """Return `place`, `on` and `code` of the assessments that have a stage; one a day unless all count."""
    known = staged[["place", "on"]].assign(code=staged[column].cat.codes)
    known = known.loc[known["code"].ge(0)]
    return known if every else known.drop_duplicates(["place", "on"])


def _system(
    courses: Courses,
    staged: pd.DataFrame,
    name: str,
    timeline: pd.DataFrame,
    *,
    death_on: pd.Series,
    study: Study,
) -> StageSystem:
    scale = SCALES[name]
    times, months = times_to_stages(
        courses, timeline, scale, death_on=death_on, confidence=study.statistics.confidence
    )
    reasons = left_out(courses, timeline, death_on=death_on)
    undecided = staged.loc[staged[name].isna(), "why"].value_counts().sort_index()
    before, after = np.nonzero(courses.steps)
    return StageSystem(
        stages=scale.stages,
        subjects=int((courses.last >= 0).sum()),
        baseline=_counts(courses.code_at(courses.baseline), scale),
        last=_counts(_last(courses, scale, timeline), scale),
        worst=_counts(_worst(courses, scale, timeline), scale),
        steps=tuple(
            StageStep(before=scale.stages[one], after=scale.stages[other], count=count)
            for one, other, count in zip(before, after, courses.steps[before, after].tolist(), strict=True)
        ),
        steps_back=int(courses.steps_back.sum()),
        subjects_back=int((courses.steps_back > 0).sum()),
        undecided={str(reason): int(count) for reason, count in undecided.items()},
        times=times,
        at_risk_months=months,
        excluded=tuple(
            Exclusion(subject_id=subject, reason=reason)
            for subject, reason in zip(timeline.index.tolist(), reasons.tolist(), strict=True)
            if reason
        ),
    )


def _last(courses: Courses, scale: Scale, timeline: pd.DataFrame) -> npt.NDArray[np.int64]:
    return _or_death(courses.code_at(courses.last), courses, scale, timeline)


def _worst(courses: Courses, scale: Scale, timeline: pd.DataFrame) -> npt.NDArray[np.int64]:
    return _or_death(courses.worst, courses, scale, timeline)


def _or_death(
    codes: npt.NDArray[np.int64], courses: Courses, scale: Scale, timeline: pd.DataFrame
) -> npt.NDArray[np.int64]:
    """Put death in the place of the stages of those who died; who never had a stage has none."""
    dead = timeline["died"].to_numpy(dtype=bool) & (courses.last >= 0)
    return np.where(dead, scale.death, codes)


def _counts(codes: npt.NDArray[np.int64], scale: Scale) -> dict[str, int]:
    counts = np.bincount(codes[codes >= 0], minlength=len(scale.stages))
    return dict(zip(scale.stages, counts.tolist(), strict=True))


def _subjects(
    courses: Courses, name: str, timeline: pd.DataFrame, *, death_on: pd.Series
) -> Iterable[SubjectStages]:
    scale = SCALES[name]
    words = [*scale.stages, None]  # -1 is the last one
    died = timeline["died"].to_numpy(dtype=bool)
    death = death_on.to_numpy(dtype="datetime64[D]")
    last_on = np.where(died & (courses.last >= 0), death, courses.day_at(courses.last))
    number = np.bincount(courses.place, minlength=len(timeline))
    return [
        SubjectStages(
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
        for subject, assessments, first, first_day, last, last_day, worst, steps_back, reason in zip(
            timeline.index.tolist(),
            number.tolist(),
            courses.code_at(courses.baseline).tolist(),
            courses.day_at(courses.baseline).tolist(),
            _last(courses, scale, timeline).tolist(),
            last_on.tolist(),
            _worst(courses, scale, timeline).tolist(),
            courses.steps_back.tolist(),
            left_out(courses, timeline, death_on=death_on).tolist(),
            strict=True,
        )
    ]


def _domain(staged: pd.DataFrame, name: str, timeline: pd.DataFrame, *, every: bool) -> DomainSpread:
    known = staged.loc[staged[name].notna(), ["place", "on", name]]
    known = known if every else known.drop_duplicates(["place", "on"])
    on = known["on"].to_numpy(dtype="datetime64[D]")
    baseline, last = baseline_and_last(known["place"].to_numpy(dtype=np.int64), on, timeline)
    points = np.append(known[name].to_numpy(), np.nan)
    return DomainSpread(baseline=spread(pd.Series(points[baseline])), last=spread(pd.Series(points[last])))


def _assessments(staged: pd.DataFrame, timeline: pd.DataFrame) -> tuple[StagedAssessment, ...]:
    place = staged["place"].to_numpy(dtype=np.int64)
    on = staged["on"].to_numpy(dtype="datetime64[D]")
    origin = timeline["first_dose_on"].to_numpy(dtype="datetime64[D]").copy()
    first = np.full(len(timeline), np.datetime64("NaT", "D"))
    np.fmin.at(first, place, on)
    origin = np.where(np.isnat(origin), first, origin)
    months = (on - origin[place]) / np.timedelta64(1, "D") / DAYS_PER_MONTH
    return tuple(
        StagedAssessment(
            subject_id=subject,
            row_id=row,
            on=day,
            months=month,
            bulbar=bulbar,
            fine_motor=fine,
            gross_motor=gross,
            respiratory=respiratory,
            mitos=mitos,
            kings=kings,
            cutting_form=form,
            flags=flags,
        )
        for subject, row, day, month, bulbar, fine, gross, respiratory, mitos, kings, form, flags in zip(
            as_words(staged["subject_id"]),
            staged["row_id"].tolist(),
            as_dates(staged["on"]),
            months.tolist(),
            *(as_numbers(staged[name]) for name in DOMAINS),
            *(as_words(staged[name]) for name in SCALES),
            staged["form"].tolist(),
            staged["flags"].tolist(),
            strict=True,
        )
    )
