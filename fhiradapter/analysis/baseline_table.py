"""The baseline table: one line per characteristic."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from fhiradapter.analysis.measured_series import UNSPECIFIED
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.results import Biomarker, CharacteristicRow, Spread
from fhiradapter.settings import Study

UNKNOWN = "unknown"


def spread(values: pd.Series) -> Spread:
    """Return the median and range of the values that are not missing.

    >>> found = spread(pd.Series([3.0, 1.0, None]))
    >>> found.n, found.median, found.min, found.max
    (2, 2.0, 1.0, 3.0)
    """
    known = values.dropna()
    if known.empty:
        return Spread(n=0, median=None, min=None, max=None)
    return Spread(n=len(known), median=float(known.median()), min=float(known.min()), max=float(known.max()))


def baseline_table(
    people: pd.DataFrame, study: Study, biomarkers: Mapping[str, Biomarker], *, unit: str | None
) -> tuple[CharacteristicRow, ...]:
    """Return age, sex, arm, score, months since onset, delta-FS and the biomarkers' baselines.

    people: one row per subject with `age`, `sex`, `arm`, `baseline_score`, `months_since_onset`, `delta_fs`.
    unit: of the score, where it is no ALSFRS-R.
    A number is shown as median (range), a category as count (percent of all subjects).
    """
    return tuple(_rows(people, study, biomarkers, unit=unit))


def _rows(
    people: pd.DataFrame, study: Study, biomarkers: Mapping[str, Biomarker], *, unit: str | None
) -> Iterator[CharacteristicRow]:
    concept = study.progression.concept
    rating = concept == TOTAL
    yield _number("age", people["age"], unit="years")
    yield from _categories("sex", people["sex"].fillna(UNKNOWN))
    if people["arm"].notna().any():
        yield from _categories("arm", people["arm"].fillna(UNKNOWN))
    yield _number("baseline score", people["baseline_score"], unit="points" if rating else unit)
    yield _number("months since onset", people["months_since_onset"], unit="months")
    if rating:
        yield _number("delta-FS", people["delta_fs"], unit="points/month")
    kinds = Counter((biomarker.concept, biomarker.matrix) for biomarker in biomarkers.values())
    for key, biomarker in biomarkers.items():
        baseline = {value.subject_id: value.value for value in biomarker.series if value.is_baseline}
        values = pd.Series(baseline, dtype=float).reindex(people.index)
        name = f"{biomarker.concept}:{biomarker.matrix}" if biomarker.matrix else key
        if kinds[biomarker.concept, biomarker.matrix] > 1:
            name = f"{biomarker.concept}:{biomarker.matrix or UNSPECIFIED}:{biomarker.method or UNSPECIFIED}"
        yield _number(f"{name} at baseline", values, unit=biomarker.unit)


def _number(name: str, values: pd.Series, *, unit: str | None) -> CharacteristicRow:
    found = spread(values)
    text = "not known"
    if found.n:
        text = f"{_rounded(found.median)} ({_rounded(found.min)}-{_rounded(found.max)})"
    return CharacteristicRow(
        name=name, level=None, n=found.n, missing=len(values) - found.n, unit=unit, value=text
    )


def _categories(name: str, values: pd.Series) -> Iterator[CharacteristicRow]:
    counts = values.value_counts().sort_index()
    for level, count in counts.items():
        yield CharacteristicRow(
            name=name,
            level=str(level),
            n=int(count),
            missing=int(values.eq(UNKNOWN).sum()),
            unit=None,
            value=f"{count} ({100 * count / len(values):.0f} %)",
        )


def _rounded(number: float | None) -> str:
    """Write three significant digits, and every digit before the point."""
    if number is None:
        return ""
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"
