"""Each subject's slope in each period, and what the subjects of a period show together."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from fhiradapter.analysis.means import bootstrap_mean, estimate_mean
from fhiradapter.analysis.periods import BEFORE, months_since, period_names
from fhiradapter.analysis.plain import as_numbers
from fhiradapter.analysis.signed_rank import signed_rank_p
from fhiradapter.analysis.slopes import slopes_by_group
from fhiradapter.results import Contrast, Exclusion, PeriodSlope, SubjectSlope
from fhiradapter.settings import DAYS_PER_MONTH, Study

NO_DOSE = "no dose of the study's product is dated"
NO_ONSET = "no onset date, where the policy before_start = onset begins"
NO_SCORE = "no score in this period"
ONE_TIME = "all scores at one time"


def subject_slopes(scores: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Fit a line to each subject's scores in each period.

    scores: `subject_id`, `months` from the time origin, `value`, and a boolean column for each period. The
    result has one row per subject and period, also where there is no score: `subject_id`, `period`, `points`,
    `days`, `slope` (points per month), `se`, `intercept` (at month 0), `adequate`, `reason` (why not; None
    for an adequate one). Policy `before_start = onset` adds the maximum score on the day of onset to the
    period before.
    """
    names = period_names(study)
    parts = [
        scores.loc[scores[name], ["subject_id", "months", "value"]].assign(period=number)
        for number, name in enumerate(names)
    ]
    if BEFORE in names and study.progression.before_start == "onset":
        parts.append(_onset_points(scores, timeline, study))
    points = pd.concat(parts, ignore_index=True)
    subject = timeline.index.get_indexer(pd.Index(points["subject_id"]))
    lines = slopes_by_group(
        subject * len(names) + points["period"].to_numpy(dtype=np.int64),
        points["months"].to_numpy(dtype=np.float64),
        points["value"].to_numpy(dtype=np.float64),
        groups=len(timeline) * len(names),
    )
    lines = lines.assign(
        subject_id=np.repeat(timeline.index.to_numpy(dtype=object), len(names)),
        period=np.tile(np.array(names, dtype=object), len(timeline)),
        days=(lines["span"] * DAYS_PER_MONTH).round(6),
    )
    reason = _reasons(lines, timeline, study)
    return lines.assign(adequate=reason.isna(), reason=reason)


def _onset_points(scores: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the assumed score at onset for subjects with an onset and a score before treatment."""
    first = scores.loc[scores[BEFORE]].drop_duplicates("subject_id")
    months = first["months"] - months_since(first, timeline, study, event="onset")
    points = first.assign(months=months, value=float(study.progression.maximum), period=0)
    return points.loc[months.notna(), ["subject_id", "months", "value", "period"]]


def _reasons(lines: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.Series:
    policy = study.progression
    points, days = lines["points"], lines["days"]
    count = len(period_names(study))
    undosed = np.repeat(timeline["first_dose_on"].isna().to_numpy(), count) & (study.treatment is not None)
    without_onset = (
        np.repeat(timeline["onset_on"].isna().to_numpy(), count)
        & lines["period"].eq(BEFORE)
        & (policy.before_start == "onset")
    )
    is_few, is_short = points.lt(policy.minimum_points), days.lt(policy.minimum_days)
    few = points[is_few].astype("str") + f" of the {policy.minimum_points} scores that are needed"
    short = "scores span " + days[is_short].round(1).astype("str").str.removesuffix(".0")
    short = short + f" of the {policy.minimum_days:g} days that are needed"
    reason = pd.Series(None, index=lines.index, dtype=object)
    # From the weakest to the strongest: the last one that holds is told.
    reason[is_short] = short.astype(object)
    reason = reason.mask(lines["span"].le(0), ONE_TIME)
    reason[is_few] = few.astype(object)
    reason = reason.mask(points.eq(0), NO_SCORE)
    reason = reason.mask(without_onset, NO_ONSET).mask(undosed, NO_DOSE)
    return reason.where(reason.notna(), None)


def slope_rows(lines: pd.DataFrame) -> tuple[SubjectSlope, ...]:
    """Return the result of `subject_slopes` as results."""
    return tuple(
        SubjectSlope(
            subject_id=subject,
            period=period,
            points=points,
            days=days,
            slope=slope,
            se=se,
            intercept=intercept,
            adequate=adequate,
            reason=reason,
        )
        for subject, period, points, days, slope, se, intercept, adequate, reason in zip(
            lines["subject_id"].tolist(),
            lines["period"].tolist(),
            lines["points"].tolist(),
            lines["days"].tolist(),
            as_numbers(lines["slope"]),
            as_numbers(lines["se"]),
            as_numbers(lines["intercept"]),
            lines["adequate"].tolist(),
            lines["reason"].tolist(),
            strict=True,
        )
    )


def summarise_periods(lines: pd.DataFrame, study: Study) -> dict[str, PeriodSlope]:
    """Summarise the adequate slopes of each period; the bootstrap has a seeded stream for each."""
    names = period_names(study)
    # Bootstraps are long sums, which let go of Python's lock.
    with ThreadPoolExecutor(len(names)) as pool:
        found = pool.map(lambda number: _summary(lines, names[number], number, study), range(len(names)))
        return dict(zip(names, found, strict=True))


def _summary(lines: pd.DataFrame, name: str, number: int, study: Study) -> PeriodSlope:
    policy = study.statistics
    period = lines.loc[lines["period"].eq(name)]
    slopes = period.loc[period["adequate"], "slope"].to_numpy(dtype=np.float64)
    mean = estimate_mean(slopes, confidence=policy.confidence)
    left_out = period.loc[~period["adequate"], ["subject_id", "reason"]]
    return PeriodSlope(
        n=mean.n,
        mean_slope=mean.mean,
        sd=mean.sd,
        median_slope=float(np.median(slopes)) if mean.n else None,
        ci95=mean.interval,
        bootstrap=bootstrap_mean(
            slopes,
            samples=policy.bootstrap_samples,
            confidence=policy.confidence,
            generator=np.random.default_rng([policy.seed, number]),
        ),
        excluded=tuple(
            Exclusion(subject_id=subject, reason=reason)
            for subject, reason in zip(
                left_out["subject_id"].tolist(), left_out["reason"].tolist(), strict=True
            )
        ),
    )


def paired_contrast(lines: pd.DataFrame, later: str, earlier: str, *, confidence: float) -> Contrast:
    """Return the mean of later - earlier slopes over the subjects that are adequate in both."""
    adequate = lines.loc[lines["adequate"]]
    slopes = {
        name: adequate.loc[adequate["period"].eq(name)].set_index("subject_id")["slope"]
        for name in (later, earlier)
    }
    shared = slopes[later].index.intersection(slopes[earlier].index, sort=False)
    difference = (slopes[later].loc[shared] - slopes[earlier].loc[shared]).to_numpy(dtype=np.float64)
    mean = estimate_mean(difference, confidence=confidence)
    return Contrast(
        n=mean.n, estimate=mean.mean, se=mean.se, ci95=mean.interval, wilcoxon_p=signed_rank_p(difference)
    )
