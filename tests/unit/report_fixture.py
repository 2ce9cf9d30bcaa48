"""Synthetic results to draw reports from: a treated study, one without treatment, and one without data.

No number here stems from a person; the shapes are those of a small cell-therapy trial.
"""

import random

import numpy as np
from report_care_fixture import treated_exposure, treated_safety
from report_course_fixture import MONTH, neurofilament, subject, treated_progression

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.results import (
    CharacteristicRow,
    CohortSummary,
    DataQuality,
    Exclusion,
    PeriodSlope,
    Progression,
    Results,
    Safety,
    Score,
    Spread,
    StudyCard,
    SubjectSlope,
    SubjectSummary,
    Unmapped,
)

STUDY = StudyCard(
    id="EX-TREG-01",
    title="Cord-blood regulatory T cells in amyotrophic lateral sclerosis: an example study",
    product="Allogeneic cord-blood regulatory T cells",
    target="Neuroinflammation",
    indication="Amyotrophic lateral sclerosis",
    organisation="Example Institute",
    phase="1",
    registry_number=None,
    synthetic=True,
    notice="Made by a seeded script to show the software; shaped after published aggregates of a real trial.",
)


def treated_results() -> Results:
    """Return six synthetic subjects with three periods."""
    return Results(
        study=STUDY,
        cohort=CohortSummary(
            n=6,
            age=Spread(n=6, median=48.5, min=27, max=66),
            sex={"male": 4, "female": 2},
            arms={},
            baseline_score=Spread(n=6, median=31.5, min=22, max=39),
            follow_up_months=Spread(n=6, median=18.0, min=9, max=24),
            deaths=1,
            baseline_table=(
                CharacteristicRow(name="age", level=None, n=6, missing=0, unit="years", value="48.5 (27–66)"),
                CharacteristicRow(name="sex", level="male", n=6, missing=0, unit=None, value="4 (66.7 %)"),
                CharacteristicRow(name="sex", level="female", n=6, missing=0, unit=None, value="2 (33.3 %)"),
                CharacteristicRow(
                    name="baseline_score", level=None, n=6, missing=0, unit="points", value="31.5 (22–39)"
                ),
                CharacteristicRow(
                    name="delta_fs", level=None, n=5, missing=1, unit="points/month", value="1.02 (0.50–1.73)"
                ),
            ),
            subjects=tuple(subject(index) for index in range(6)),
        ),
        exposure=treated_exposure(),
        progression=treated_progression(),
        biomarkers={"nfl_serum_plasma": neurofilament()},
        safety=treated_safety(),
        policies={
            "treatment.month": "28_days",
            "treatment.schedule": [
                {"count": 4, "interval": 1, "every": "week", "early_days": 2, "late_days": 2},
                {"count": 6, "interval": 1, "every": "month", "early_days": 7, "late_days": 7},
            ],
            "progression.maximum": 48.0,
            "progression.washout_days": 30,
            "progression.before_within_days": None,
            "progression.provisional_status": False,
            "safety.special_interest": [],
            "statistics.confidence": 0.95,
            "days_per_month": 30.4375,
        },
        accounting={
            "MedicationAdministration": TypeAccount(
                received=212, mapped=209, quarantined=1, ignored={"ENTERED_IN_ERROR": 2}
            ),
            "Observation": TypeAccount(received=2310, mapped=2296, quarantined=13, ignored={"CANCELLED": 1}),
            "Patient": TypeAccount(received=6, mapped=6, quarantined=0, ignored={}),
        },
        quality=DataQuality(
            issues={
                "UNIT_UNKNOWN": {"flagged": 4},
                "UNKNOWN_MODIFIER": {"quarantined": 13},
                "ENTERED_IN_ERROR": {"ignored": 2},
            },
            unmapped=(
                Unmapped(
                    table="measurements",
                    code="local|GLU-POC",
                    display="Glucose, bedside",
                    unit="mg/dl",
                    count=37,
                ),
                Unmapped(table="exposures", code="local|RX-991", display=None, unit=None, count=4),
            ),
            unmapped_rows=41,
            text_only_rows=3,
        ),
        versions={"fhiradapter": "0.1.0", "numpy": "2.4.0", "scipy": "1.17.0"},
    )


def natural_history_results(size: int = 128) -> Results:
    """Return a study without treatment: one period, everybody's first score at month 0."""
    chance = random.Random(7)
    scores, rows, subjects = [], [], []
    for index in range(size):
        name = f"nh-{index + 1:03d}"
        first, slope = chance.uniform(24, 46), -abs(chance.gauss(0.85, 0.55))
        months = [3.2 * visit + chance.uniform(0, 0.8) * bool(visit) for visit in range(chance.randint(1, 9))]
        values = [round(max(0, min(48, first + slope * month + chance.gauss(0, 1.2)))) for month in months]
        scores += [
            Score(
                subject_id=name,
                row_id=f"{name}-{visit}",
                on=None,
                months=month,
                value=value,
                periods=("all",),
            )
            for visit, (month, value) in enumerate(zip(months, values, strict=True))
        ]
        fit = np.polyfit(months, values, 1) if len(months) > 1 else None
        rows.append(
            SubjectSlope(
                subject_id=name,
                period="all",
                points=len(months),
                days=months[-1] * MONTH,
                slope=None if fit is None else float(fit[0]),
                se=0.2 if len(months) > 2 else None,
                intercept=None if fit is None else float(fit[1]),
                adequate=len(months) > 1,
                reason=None if len(months) > 1 else "fewer than 2 scores",
            )
        )
        subjects.append(
            SubjectSummary(
                subject_id=name,
                sex=None,
                arm=None,
                age=None,
                onset_on=None,
                first_dose_on=None,
                last_dose_on=None,
                index_on=None,
                last_contact_on=None,
                follow_up_months=months[-1],
                follow_up_adequate=months[-1] >= 6,
                died=False,
                death_on=None,
                baseline_score=float(values[0]),
                delta_fs=None,
            )
        )
    used = np.array([row.slope for row in rows if row.adequate])
    excluded = tuple(
        Exclusion(subject_id=row.subject_id, reason="fewer than 2 scores") for row in rows if not row.adequate
    )
    empty = empty_results()
    return Results(
        study=StudyCard(
            id="EX-NH",
            title="Natural history without treatment",
            product=None,
            target=None,
            indication="Amyotrophic lateral sclerosis",
            organisation=None,
            phase=None,
            registry_number=None,
            synthetic=True,
            notice=None,
        ),
        cohort=CohortSummary(
            n=size,
            age=Spread(n=0, median=None, min=None, max=None),
            sex={},
            arms={},
            baseline_score=Spread(n=size, median=36, min=24, max=46),
            follow_up_months=Spread(n=90, median=14.3, min=6.1, max=27.0),
            deaths=0,
            baseline_table=(
                CharacteristicRow(
                    name="baseline_score", level=None, n=size, missing=0, unit="points", value="36 (24–46)"
                ),
            ),
            subjects=tuple(subjects),
        ),
        exposure=None,
        progression=Progression(
            concept="alsfrs_r_total",
            unit="points/month",
            time_origin="first_score",
            periods={
                "all": PeriodSlope(
                    n=len(used),
                    mean_slope=float(used.mean()),
                    sd=float(used.std(ddof=1)),
                    median_slope=float(np.median(used)),
                    ci95=(float(used.mean()) - 0.1, float(used.mean()) + 0.1),
                    bootstrap=None,
                    excluded=excluded,
                )
            },
            contrasts={},
            mixed_model=None,
            mixed_model_note="the example leaves it out",
            by_subject_rows=tuple(rows),
            scores=tuple(scores),
            score_notes={},
            cautions=(),
        ),
        biomarkers={},
        safety=empty.safety,
        policies={"progression.maximum": 48.0, "statistics.confidence": 0.95},
        accounting={
            "Observation": TypeAccount(received=666, mapped=662, quarantined=3, ignored={"CANCELLED": 1})
        },
        quality=empty.quality,
        versions={"fhiradapter": "0.1.0"},
    )


def empty_results() -> Results:
    """Return results in which everything that can be missing is missing."""
    nothing = Spread(n=0, median=None, min=None, max=None)
    return Results(
        study=StudyCard(
            id="EX-0",
            title="Nothing received",
            product=None,
            target=None,
            indication=None,
            organisation=None,
            phase=None,
            registry_number=None,
            synthetic=False,
            notice=None,
        ),
        cohort=CohortSummary(
            n=0,
            age=nothing,
            sex={},
            arms={},
            baseline_score=nothing,
            follow_up_months=nothing,
            deaths=0,
            baseline_table=(),
            subjects=(),
        ),
        exposure=None,
        progression=Progression(
            concept="alsfrs_r_total",
            unit="points/month",
            time_origin="first_score",
            periods={},
            contrasts={},
            mixed_model=None,
            mixed_model_note=None,
            by_subject_rows=(),
            scores=(),
            score_notes={},
            cautions=(),
        ),
        biomarkers={},
        safety=Safety(
            overview={}, terms=(), labs=(), ctcae_version="5.0", dose_limiting=None, notes={}, sources={}
        ),
        policies={},
        accounting={},
        quality=DataQuality(issues={}, unmapped=(), unmapped_rows=0, text_only_rows=0),
        versions={},
    )
