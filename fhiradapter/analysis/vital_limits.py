"""The limits that a vital sign is held against."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.criteria import Floats, significant

FEVER, HYPERTENSION, HYPOTENSION, LOW_OXYGEN = "fever", "hypertension", "hypotension", "low oxygen saturation"
GRADE, FLAG = "grade", "screening flag"

# CTCAE 4.03 and 5.0, "Fever", in Cel: grade 1 is 38.0-39.0, grade 2 >39.0-40.0, grade 3 >40.0 for at most
# 24 hours, grade 4 >40.0 for longer.
FEVER_FROM, FEVER_2_ABOVE, FEVER_3_ABOVE = 38.0, 39.0, 40.0
# CTCAE 4.03 and 5.0, "Hypertension", adults, in mm[Hg]: grade 2 from 140 / 90, grade 3 from 160 / 100.
# Grade 1 (120 / 80) is left out: it is the blood pressure of half of all adults.
SYSTOLIC, DIASTOLIC = "systolic_bp", "diastolic_bp"
PRESSURE_2 = {SYSTOLIC: 140.0, DIASTOLIC: 90.0}
PRESSURE_3 = {SYSTOLIC: 160.0, DIASTOLIC: 100.0}
PRESSURE_VERSIONS = ("4.03", "5.0")
# CTCAE has no number for hypotension; this is a common screen, in mm[Hg] and as a share of baseline.
SYSTOLIC_BELOW, SYSTOLIC_DROP = 90.0, 0.30
# CTCAE 4.03 and 5.0, "Hypoxia", give a pulse oximeter below 88 % as their example of grades 2 and 3.
SATURATION_BELOW = 88.0

Judged = tuple[Floats, Floats]


@dataclass(frozen=True)
class Limit:
    """One sign: the concepts that show it, the criterion in words, and how a reading is judged.

    `judge(concept, value, baseline)`, each (n,), returns the grade of each reading (0 none; 1 for a flag that
    is raised; NaN where it cannot be said) and the grade of its baseline by the same numbers.
    """

    sign: str
    kind: str
    concepts: tuple[str, ...]
    criterion: str
    judge: Callable[[pd.Series, Floats, Floats], Judged]
    lower_is_worse: bool = False


def fever_grade(value: Floats) -> Floats:
    """Return the grade of body temperatures (n,) in Cel: 0 to 3, NaN for a missing one.

    Grade 4 needs more than 40.0 for more than 24 hours, which single readings do not show.

    >>> fever_grade(np.array([37.9, 38.0, 39.0, 39.1, 40.0, 40.1])).tolist()
    [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    """
    shown = significant(value)
    steps = (shown >= FEVER_FROM).astype(float) + (shown > FEVER_2_ABOVE) + (shown > FEVER_3_ABOVE)
    return np.where(np.isnan(value), np.nan, steps)


def pressure_grade(concept: pd.Series, value: Floats) -> Floats:
    """Return 0, 2 or 3 for systolic or diastolic pressures (n,) in mm[Hg], by the numbers of CTCAE alone.

    >>> pressure_grade(pd.Series(["systolic_bp", "diastolic_bp"]), np.array([139.0, 100.0])).tolist()
    [0.0, 3.0]
    """
    systolic = concept.eq(SYSTOLIC).to_numpy(dtype=bool)
    second = value >= np.where(systolic, PRESSURE_2[SYSTOLIC], PRESSURE_2[DIASTOLIC])
    third = value >= np.where(systolic, PRESSURE_3[SYSTOLIC], PRESSURE_3[DIASTOLIC])
    return np.where(np.isnan(value), np.nan, 2.0 * second + third)


def limits(ctcae_version: str) -> tuple[Limit, ...]:
    """Return the signs that are looked for under a version of CTCAE.

    Heart rate is not among them: CTCAE gives no number for sinus tachycardia or bradycardia. The texts of
    fever are taken for every version; hypertension is graded by 4.03 and 5.0 and a screening flag otherwise.
    """
    graded = ctcae_version in PRESSURE_VERSIONS
    return (
        Limit(
            sign=FEVER,
            kind=GRADE,
            concepts=("body_temperature",),
            criterion="grade 1 from 38.0 to 39.0 Cel, grade 2 above 39.0 to 40.0, grade 3 above 40.0; "
            "grade 4 needs more than 24 hours above 40.0 and cannot be told from single readings",
            judge=lambda _, value, baseline: (fever_grade(value), fever_grade(baseline)),
        ),
        Limit(
            sign=HYPERTENSION,
            kind=GRADE if graded else FLAG,
            concepts=(SYSTOLIC, DIASTOLIC),
            criterion="grade 2 from 140 systolic or 90 diastolic, grade 3 from 160 or 100 mm[Hg], each only "
            "when above the grade of the baseline by the same numbers; a reading shows neither duration, "
            "symptoms nor treatment"
            if graded
            else "from 140 systolic or 90 diastolic mm[Hg] where the baseline is below, or from 160 or 100 "
            "where the baseline is below these",
            judge=_hypertension if graded else _raised_pressure,
        ),
        Limit(
            sign=HYPOTENSION,
            kind=FLAG,
            concepts=(SYSTOLIC,),
            criterion="systolic below 90 mm[Hg], or at least 30 % below baseline; CTCAE gives no number",
            judge=_hypotension,
            lower_is_worse=True,
        ),
        Limit(
            sign=LOW_OXYGEN,
            kind=FLAG,
            concepts=("oxygen_saturation",),
            criterion="saturation below 88 %, the example that CTCAE gives for hypoxia",
            judge=_low_oxygen,
            lower_is_worse=True,
        ),
    )


def _hypertension(concept: pd.Series, value: Floats, baseline: Floats) -> Judged:
    grade, before = pressure_grade(concept, value), pressure_grade(concept, baseline)
    # A normal pressure is no hypertension whatever the baseline was; a raised one needs the baseline.
    risen = np.where(grade > before, grade, np.where(np.isnan(before) & (grade > 0), np.nan, 0.0))
    return np.where(np.isnan(grade), np.nan, risen), before


def _raised_pressure(concept: pd.Series, value: Floats, baseline: Floats) -> Judged:
    grade, before = _hypertension(concept, value, baseline)
    return np.minimum(grade, 1.0), np.minimum(before, 1.0)


def _hypotension(_: pd.Series, value: Floats, baseline: Floats) -> Judged:
    # Without a baseline the absolute limit alone decides.
    dropped = significant(value) <= significant(baseline * (1 - SYSTOLIC_DROP))
    low = (value < SYSTOLIC_BELOW) | dropped
    return np.where(np.isnan(value), np.nan, low.astype(float)), np.where(
        np.isnan(baseline), np.nan, (baseline < SYSTOLIC_BELOW).astype(float)
    )


def _low_oxygen(_: pd.Series, value: Floats, baseline: Floats) -> Judged:
    low, before = ((numbers < SATURATION_BELOW).astype(float) for numbers in (value, baseline))
    return np.where(np.isnan(value), np.nan, low), np.where(np.isnan(baseline), np.nan, before)
