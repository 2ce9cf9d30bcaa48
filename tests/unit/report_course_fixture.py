"""The course of six synthetic subjects: who they are, their scores, slopes and neurofilament."""

import math
import random
from datetime import date, timedelta

import numpy as np

from fhiradapter.results import (
    Biomarker,
    BiomarkerValue,
    Contrast,
    Exclusion,
    MixedModel,
    PeriodSlope,
    Progression,
    Score,
    SubjectSlope,
    SubjectSummary,
)

START = date(2021, 3, 1)
MONTH = 30.4375
SIX = ("syn-01", "syn-02", "syn-03", "syn-04", "syn-05", "syn-06")
BASELINES = (39.0, 28.0, 35.0, 22.0, 33.0, 30.0)
SLOPES = {
    "before": (-1.31, -2.05, -1.72, -1.44, -1.90, -1.54),
    "during": (-0.12, -0.61, -0.35, -0.70, -0.18, -0.50),
    "after": (-0.45, -0.92, -0.38, -0.81, -0.55, -0.49),
}


def later(months: float) -> date:
    """Return a day some months after the start."""
    return START + timedelta(days=round(months * MONTH))


def subject(index: int) -> SubjectSummary:
    return SubjectSummary(
        subject_id=SIX[index],
        sex="female" if index in {1, 4} else "male",
        arm=None,
        age=(27.0, 66.0, 45.0, 52.0, 39.0, 61.0)[index],
        onset_on=later(-18 + index),
        first_dose_on=START,
        last_dose_on=later((6.5, 7.4, 6.4, 3.6, 9.2, 6.5)[index]),
        index_on=START,
        last_contact_on=later((24, 18, 20, 9, 18, 16)[index]),
        follow_up_months=(24.0, 18.0, 20.0, 9.0, 18.0, 16.0)[index],
        follow_up_adequate=True,
        died=index == 3,
        death_on=later(9) if index == 3 else None,
        baseline_score=BASELINES[index],
        delta_fs=round((48 - BASELINES[index]) / (18 - index), 2),
        notes=("onset known to the month only",) if index == 2 else (),
    )


def trajectory(index: int) -> tuple[list[Score], list[SubjectSlope]]:
    """Return one subject's scores around a bent line, and the least-squares slope of each period."""
    noise = random.Random(100 + index)
    treated = (6.5, 7.4, 6.4, 3.6, 9.2, 6.5)[index] + 1
    end = (24, 18, 20, 9, 18, 16)[index]
    scores = []
    for number, month in enumerate([-6, -4, -2, 0, *[step * 1.5 for step in range(1, int(end / 1.5) + 1)]]):
        before, during, after = min(month, 0), min(max(month, 0), treated), max(month - treated, 0)
        level = BASELINES[index] + sum(
            SLOPES[name][index] * part
            for name, part in (("before", before), ("during", during), ("after", after))
        )
        periods = tuple(
            name
            for name, there in (
                ("before", month <= 0),
                ("during", 0 <= month <= treated),
                ("after", month >= treated),
            )
            if there
        )
        scores.append(
            Score(
                subject_id=SIX[index],
                row_id=f"m{index}{number}",
                on=later(month),
                months=month,
                value=round(max(0, min(48, level + noise.gauss(0, 0.7)))),
                periods=periods,
            )
        )
    rows = []
    for name in SLOPES:
        points = [score for score in scores if name in score.periods]
        months = [score.months for score in points]
        enough = len(points) >= 2 and max(months) - min(months) >= 3
        fit = np.polyfit(months, [score.value for score in points], 1) if len(points) >= 2 else (None, None)
        rows.append(
            SubjectSlope(
                subject_id=SIX[index],
                period=name,
                points=len(points),
                days=(max(months) - min(months)) * MONTH if months else 0,
                slope=None if fit[0] is None else float(fit[0]),
                se=0.11 if len(points) > 2 else None,
                intercept=None if fit[1] is None else float(fit[1]),
                adequate=enough and not (index == 3 and name == "after"),
                reason=None if enough else "fewer than 2 scores",
            )
        )
    return scores, rows


def treated_progression() -> Progression:
    parts = [trajectory(index) for index in range(6)]
    rows = [row for _, own in parts for row in own]
    periods = {}
    for name in SLOPES:
        used = np.array([row.slope for row in rows if row.period == name and row.adequate])
        half = 2.571 * used.std(ddof=1) / math.sqrt(len(used))
        periods[name] = PeriodSlope(
            n=len(used),
            mean_slope=float(used.mean()),
            sd=float(used.std(ddof=1)),
            median_slope=float(np.median(used)),
            ci95=(float(used.mean() - half), float(used.mean() + half)),
            bootstrap=(float(used.mean() - 0.8 * half), float(used.mean() + 0.8 * half)),
            excluded=(
                Exclusion(subject_id="syn-04", reason="fewer than 90 days between first and last score"),
            )
            if name == "after"
            else (),
        )
    contrasts = {
        "during_minus_before": Contrast(n=6, estimate=1.25, se=0.13, ci95=(0.92, 1.58), wilcoxon_p=0.03125),
        "after_minus_before": Contrast(n=5, estimate=1.06, se=0.15, ci95=(0.64, 1.48), wilcoxon_p=0.0625),
    }
    return Progression(
        concept="alsfrs_r_total",
        unit="points/month",
        time_origin="first_dose",
        periods=periods,
        contrasts=contrasts,
        mixed_model=MixedModel(
            method="REML",
            coefficients={"intercept": 31.2, "before": -1.64, "during": -0.43, "after": -0.62},
            se={"intercept": 2.4, "before": 0.18, "during": 0.16, "after": 0.17},
            contrasts={
                "during_minus_before": Contrast(
                    n=6, estimate=1.21, se=0.12, ci95=(0.97, 1.45), wilcoxon_p=None
                )
            },
            random_sd={"intercept": 5.8, "slope": 0.21},
            random_correlation=None,
            residual_sd=0.72,
            criterion=187.442,
            observations=sum(len(scores) for scores, _ in parts),
            subjects=6,
            converged=True,
            singular=True,
            fallback="random slope dropped because its variance is at the boundary",
        ),
        mixed_model_note=None,
        by_subject_rows=tuple(rows),
        scores=tuple(score for scores, _ in parts for score in scores),
        score_notes={"changed_by_10_or_more": 1, "two_scores_on_one_day": 2},
        cautions=(
            "a comparison of before with during is open to regression to the mean",
            "ALSFRS-R trajectories decelerate by themselves",
        ),
    )


def neurofilament() -> Biomarker:
    series = []
    for index, name in enumerate(SIX):
        noise = random.Random(index)
        first = (62.0, 140.0, 88.0, 210.0, 75.0, 118.0)[index]
        for number, month in enumerate((0, 1, 3, 6, 9, 12)):
            if month > (24, 18, 20, 9, 18, 16)[index]:
                continue
            ratio = 1.0 if month == 0 else math.exp(-0.025 * month + noise.gauss(0, 0.09))
            series.append(
                BiomarkerValue(
                    subject_id=name,
                    row_id=f"n{index}{number}",
                    on=later(month),
                    months=float(month),
                    value=first * ratio,
                    ratio=ratio,
                    below_limit=(index, number) == (0, 4),
                )
            )
    return Biomarker(
        concept="nfl_serum_plasma",
        matrix="plasma",
        unit="pg/mL",
        n=6,
        baseline_geometric_mean=105.3,
        gmr=0.742,
        ci95=(0.651, 0.846),
        percent_change=-25.8,
        compared="last",
        excluded=(),
        series=tuple(series),
    )
