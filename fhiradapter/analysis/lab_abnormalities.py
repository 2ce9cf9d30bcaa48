"""Each subject's worst laboratory values after the first dose."""

from datetime import date
from typing import cast

import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.incidence import incidence
from fhiradapter.analysis.laboratory import LaboratoryRows
from fhiradapter.analysis.plain import as_words
from fhiradapter.results import Incidence, LabAbnormalities, LabAbnormality

SEVERE = 3
ANY = "any treatment-emergent laboratory abnormality"
ANY_SEVERE = "of grade 3 or more"


def derive_lab_abnormalities(
    graded: LaboratoryRows | None, *, confidence: float = 0.95
) -> LabAbnormalities | None:
    """Return the worst value of each subject, test and direction after the first dose, from grade 1 on.

    `graded` is as from `grade_laboratory`; None gives None. Worst is the highest grade, then the most extreme
    value, then the earliest. `baseline_grade` is missing where there is no baseline or it is not gradable;
    treatment-emergent then cannot be said. Tests at grade 0 and values that cannot be graded have no row: the
    shift tables count them.

    `emergent` counts subjects with at least one test above its baseline grade, and with one that is also of
    grade 3 or more, among the subjects with a test of which both grades are known; its events are tests.
    `by_number` gives these subjects by how many tests they have.
    """
    if graded is None:
        return None
    worst, n = graded.worst, graded.assessed
    emergent = worst.loc[worst["before"].ge(0) & worst["grade"].gt(worst["before"])]
    counts = emergent["subject_id"].value_counts().value_counts().sort_index()
    return LabAbnormalities(
        rows=_rows(worst),
        emergent={
            ANY: _line(emergent, n=n, confidence=confidence),
            ANY_SEVERE: _line(emergent.loc[emergent["grade"].ge(SEVERE)], n=n, confidence=confidence),
        },
        by_number={str(number): int(subjects) for number, subjects in counts.items() if number},
    )


def _line(tests: pd.DataFrame, *, n: int, confidence: float) -> Incidence:
    return incidence(int(tests["subject_id"].nunique()), n, events=len(tests), confidence=confidence)


def _rows(worst: pd.DataFrame) -> tuple[LabAbnormality, ...]:
    """Return the worst values as results."""
    return tuple(
        LabAbnormality(
            subject_id=subject,
            test=test,
            direction=direction,
            term=term,
            row_id=row_id,
            on=on,
            value=value,
            comparator=comparator,
            unit=unit,
            grade=grade,
            baseline_grade=before if before >= 0 else None,
            treatment_emergent=grade > before if before >= 0 else None,
        )
        for subject, test, direction, term, row_id, on, value, comparator, unit, grade, before in zip(
            as_words(worst["subject_id"]),
            as_words(worst["concept"]),
            as_words(worst["direction"]),
            as_words(worst["term"]),
            as_words(worst["row_id"]),
            cast("list[date | None]", as_dates(worst["on"])),
            worst["value"].tolist(),
            as_words(worst["comparator"]),
            as_words(worst["unit"]),
            worst["grade"].tolist(),
            worst["before"].tolist(),
            strict=True,
        )
    )
