"""The series that the measurements of one concept form, by matrix and by method."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from fhiradapter.analysis.usable_measurements import split_off

UNSPECIFIED = "unspecified"
OTHER_UNIT = "other_unit"


@dataclass(frozen=True)
class MeasuredSeries:
    """Usable rows of one matrix and method with what was left out of them; `key` names the series."""

    key: str
    matrix: str | None
    method: str | None
    rows: pd.DataFrame
    left_out: pd.DataFrame

    def in_one_unit(self) -> tuple[str | None, pd.DataFrame, pd.DataFrame]:
        """Return the most frequent unit, the rows in it, and those left out with rows in other units."""
        units = self.rows["unit"].mode()
        if units.empty:
            return None, self.rows, self.left_out
        unit = str(units.iloc[0])
        return unit, *split_off(self.rows, self.left_out, self.rows["unit"].ne(unit), OTHER_UNIT)


def split_series(
    rows: pd.DataFrame, left_out: pd.DataFrame, *, concept: str, by_matrix: bool = True
) -> Iterator[MeasuredSeries]:
    """Yield the series of a concept, at least one; the first has the concept itself as its key.

    rows, left_out: as from `usable_measurements`. Matrices (`specimen`; all are one when not `by_matrix`) and
    the methods within each come in order of the number of subjects with a value; of several, the first in the
    alphabet first, and values without a matrix or method last. The others' keys are "concept:matrix" for a
    matrix with one method, and "concept:matrix:method" for each series of a matrix with several
    ("concept:method" when not `by_matrix`). Values that do not state their method are a series of their own
    only where others of the matrix state one.

    >>> cells = {"subject_id": list("aab"), "specimen": ["csf", "plasma", "plasma"]}
    >>> rows = pd.DataFrame({**cells, "method": [None, "ELISA", None]})
    >>> [series.key for series in split_series(rows, rows[:0], concept="nfl")]
    ['nfl', 'nfl:plasma:unspecified', 'nfl:csf']
    """
    told = rows if len(rows) else left_out
    matrices: list[str | None] = [None]
    if by_matrix:
        matrices = _levels(told["specimen"], told["subject_id"])
    first = True
    for matrix in matrices:
        mine, theirs = rows, left_out
        if by_matrix:
            mine = rows.loc[_is(rows["specimen"], matrix)]
            # What was left out of a matrix that has no value at all is told with the first one.
            theirs = left_out.loc[_belongs(left_out["specimen"], matrix, matrices)]
        told = mine if len(mine) else theirs
        methods = _levels(told["method"], told["subject_id"])
        for method in methods:
            parts = [concept]
            if not first:
                parts += [matrix or UNSPECIFIED] if by_matrix else []
                parts += [method or UNSPECIFIED] if len(methods) > 1 else []
            first = False
            yield MeasuredSeries(
                key=":".join(parts),
                matrix=matrix,
                method=method,
                rows=mine.loc[_is(mine["method"], method)],
                left_out=theirs.loc[_belongs(theirs["method"], method, methods)],
            )


def _levels(labels: pd.Series, subject_id: pd.Series) -> list[str | None]:
    levels: list[str | None] = sorted(labels.dropna().unique())
    if labels.isna().any() or not levels:
        levels.append(None)
    if len(levels) == 1:
        return levels
    subjects = subject_id.groupby(labels.astype(object).fillna("")).nunique().to_dict()
    return sorted(levels, key=lambda level: -subjects.get(level or "", 0))


def _is(labels: pd.Series, level: str | None) -> "pd.Series[bool]":
    return labels.isna() if level is None else labels.eq(level).fillna(False).astype(bool)


def _belongs(labels: pd.Series, level: str | None, levels: list[str | None]) -> "pd.Series[bool]":
    """Return True for the rows of a level; the first one has the rows of levels that are not there too."""
    stray = ~labels.isin([name for name in levels if name is not None])
    stray &= labels.notna() | (None not in levels)
    return _is(labels, level) | (stray & (level == levels[0]))
