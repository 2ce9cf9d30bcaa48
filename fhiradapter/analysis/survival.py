"""How long subjects live without the event."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.incidence import poisson_rate
from fhiradapter.analysis.kaplan_meier import FloatArray, KaplanMeier, kaplan_meier
from fhiradapter.analysis.log_rank import log_rank
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.survival_cautions import survival_cautions
from fhiradapter.analysis.survival_times import SurvivalRows, survival_origin, survival_rows
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Exclusion
from fhiradapter.results.survival import (
    GroupComparison,
    SubjectSurvival,
    Survival,
    SurvivalCurve,
    SurvivalStep,
)
from fhiradapter.settings import Study

MONTHS_PER_YEAR = 12
MOST_TIMES = 8  # so many numbers at risk fit below a plot
STEPS = (1, 2, 3, 6, 12, 24, 60, 120)  # months that people count in


def derive_survival(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> Survival:
    """Estimate survival from the study's time origin, overall and by arm.

    timeline: the result of `derive_timeline`. Policies: `survival.origin`, `survival.event` (death, or
    whatever comes first of death and the events of `survival.event_concepts` and `survival.event_terms`),
    `survival.undated_death`, `survival.censoring`. Who has no event is censored at the last contact, or at
    the data cut where there is one and the policy says so. Times are days through 30.4375; an event on the
    day of the origin has time 0. Curves by `kaplan_meier`, arms compared by `log_rank`.

    >>> from datetime import date
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> row = {"subject_id": "s1", "concept": "alsfrs_r_total", "status": "final", "value": 40.0}
    >>> rows = [{**row, "measured_on": date(2023, 1, 1)}, {**row, "measured_on": date(2024, 1, 1)}]
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> survival = derive_survival(cohort, study, derive_timeline(cohort, study))
    >>> survival.cautions, round(survival.by_subject_rows[0].months, 2)
    (('Nobody died: median not reached.',), 11.99)
    """
    return summarise_survival(over_parts(survival_rows, cohort, study, timeline), study)


def summarise_survival(rows: SurvivalRows, study: Study) -> Survival:
    """Return what the times of all subjects show."""
    origin, excluded = survival_origin(study), rows.people["excluded"].dropna()
    used = rows.people.loc[rows.people["excluded"].isna()]
    arms = sorted(used["arm"].dropna().unique().tolist())
    times = times_at_risk(float(used["months"].max()) if len(used) else 0.0)
    confidence = study.statistics.confidence
    by_arm = {arm: _curve(used.loc[used["arm"].eq(arm)], times, confidence) for arm in arms}
    overall = _curve(used, times, confidence)
    return Survival(
        origin=origin,
        event=study.survival.event,
        times=times,
        overall=overall,
        arms=by_arm if len(arms) > 1 else {},
        log_rank=_comparison(used.loc[used["arm"].notna()]),
        by_subject_rows=_subjects(used),
        excluded=tuple(
            Exclusion(subject_id=str(subject), reason=reason) for subject, reason in excluded.items()
        ),
        cautions=survival_cautions(
            study, used, overall, arms=arms, origin=origin, undated_events=rows.undated_events
        ),
    )


def times_at_risk(longest: float) -> tuple[float, ...]:
    """Return the months at which numbers at risk are given, until the longest time.

    >>> times_at_risk(17.2)
    (0.0, 3.0, 6.0, 9.0, 12.0, 15.0)
    """
    step = next((step for step in STEPS if longest / step < MOST_TIMES), STEPS[-1])
    return tuple(float(month) for month in range(0, int(longest) + 1, step))


def _curve(used: pd.DataFrame, times: tuple[float, ...], confidence: float) -> SurvivalCurve:
    months = used["months"].to_numpy(dtype=np.float64)
    curve = kaplan_meier(months, used["event"].to_numpy(dtype=bool), confidence=confidence)
    years, rate, rate_interval = float(months.sum()) / MONTHS_PER_YEAR, None, None
    if years > 0:
        rate, low, high = (
            100 * float(part) for part in poisson_rate(curve.events.sum(), years, confidence=confidence)
        )
        rate_interval = (low, high)
    return SurvivalCurve(
        n=len(used),
        events=int(curve.events.sum()),
        person_months=float(months.sum()),
        rate=rate,
        rate_interval=rate_interval,
        median=curve.median,
        median_lower=curve.median_lower,
        median_upper=curve.median_upper,
        at_risk=tuple(curve.numbers_at_risk(times).tolist()),
        steps=_steps(curve),
    )


def _steps(curve: KaplanMeier) -> tuple[SurvivalStep, ...]:
    def known(numbers: FloatArray) -> list[float | None]:
        return [None if np.isnan(number) else number for number in numbers.tolist()]

    columns = {
        "months": curve.time.tolist(),
        "at_risk": curve.at_risk.tolist(),
        "events": curve.events.tolist(),
        "censored": curve.censored.tolist(),
        "survival": curve.survival.tolist(),
        "se": known(curve.standard_error),
        "lower": known(curve.lower),
        "upper": known(curve.upper),
    }
    return tuple(
        SurvivalStep(**dict(zip(columns, step, strict=True))) for step in zip(*columns.values(), strict=True)
    )


def _comparison(used: pd.DataFrame) -> GroupComparison | None:
    test = log_rank(used["months"].to_numpy(), used["event"].to_numpy(dtype=bool), used["arm"].tolist())
    if test.chi_square is None or test.p is None:
        return None
    return GroupComparison(
        arms=tuple(map(str, test.groups)),
        observed=tuple(test.observed.tolist()),
        expected=tuple(test.expected.tolist()),
        chi_square=test.chi_square,
        df=test.df,
        p=test.p,
    )


def _subjects(used: pd.DataFrame) -> tuple[SubjectSurvival, ...]:
    def words(column: pd.Series) -> list[str | None]:
        return column.astype(object).where(column.notna(), None).tolist()

    columns = {
        "subject_id": used.index.tolist(),
        "arm": words(used["arm"]),
        "origin_on": as_dates(used["origin_on"]),
        "end_on": as_dates(used["end_on"]),
        "months": used["months"].tolist(),
        "event": used["event"].tolist(),
        "cause": words(used["cause"].where(used["event"])),
        "note": words(used["note"]),
    }
    return tuple(
        SubjectSurvival(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )
