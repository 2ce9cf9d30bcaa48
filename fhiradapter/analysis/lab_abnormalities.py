"""Each subject's worst laboratory values after the first dose."""

from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.incidence import incidence
from fhiradapter.analysis.laboratory import GradedLaboratory
from fhiradapter.analysis.plain import as_whole, as_words
from fhiradapter.results import Incidence, LabAbnormalities, LabAbnormality

KEYS = ["subject_id", "concept", "direction"]
SEVERE = 3
ANY = "any treatment-emergent laboratory abnormality"
ANY_SEVERE = "of grade 3 or more"


def derive_lab_abnormalities(
    graded: GradedLaboratory | None, *, confidence: float = 0.95
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
    later = graded.later.loc[graded.later["grade"].notna()]
    before = graded.baseline.groupby(KEYS, sort=False)["grade"].max().dropna()
    keys = pd.MultiIndex.from_frame(later[KEYS])
    later = later.assign(
        before=before.reindex(keys).to_numpy(dtype=float, na_value=np.nan),
        rank=later["grade"].to_numpy(dtype=float),
        extreme=later["value"].where(later["direction"].eq("high"), -later["value"]),
    )
    later = later.sort_values(["rank", "extreme", "on"], ascending=[False, False, True], kind="stable")
    worst = later.drop_duplicates(KEYS).sort_values(KEYS, kind="stable")
    both = worst.loc[worst["before"].notna()]
    emergent = both.loc[both["rank"].gt(both["before"])]
    per_subject = emergent.groupby("subject_id").size()
    counts = per_subject.value_counts().sort_index()
    n = int(both["subject_id"].nunique())
    return LabAbnormalities(
        rows=_rows(worst.loc[worst["rank"].gt(0)]),
        emergent={
            ANY: _line(emergent, n=n, confidence=confidence),
            ANY_SEVERE: _line(emergent.loc[emergent["rank"].ge(SEVERE)], n=n, confidence=confidence),
        },
        by_number={str(number): int(subjects) for number, subjects in counts.items()},
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
            baseline_grade=before,
            treatment_emergent=None if before is None else grade > before,
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
            as_whole(worst["rank"]),
            as_whole(worst["before"]),
            strict=True,
        )
    )
