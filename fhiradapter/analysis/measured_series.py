"""The series that the measurements of one concept form, by matrix and by method."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

UNSPECIFIED = "unspecified"
OTHER_UNIT = "other_unit"

Kind = tuple[str | None, str | None, str | None]  # matrix, method, unit


@dataclass(frozen=True, eq=False)
class ConceptRows:
    """What is derived of some subjects' measurements of one concept.

    values: a frame for each kind of measurement, at least one, with `subject_id` and `rows` (how many
        measurements a value was made of); further columns are the endpoint's own.
    left_out: how many measurements have no value: `subject_id`, `reason`, `specimen`, `method`, `rows`.
    """

    values: dict[Kind, pd.DataFrame]
    left_out: pd.DataFrame


@dataclass(frozen=True, eq=False)
class MeasuredSeries:
    """The values of one matrix and method in their most frequent unit; `key` names the series.

    left_out: what was left out of it, other units included: `subject_id`, `reason`, `rows`.
    """

    key: str
    matrix: str | None
    method: str | None
    unit: str | None
    values: pd.DataFrame
    left_out: pd.DataFrame

    @property
    def reasons(self) -> dict[str, int]:
        """How many measurements were left out for each reason, in alphabetical order."""
        counts = self.left_out.groupby("reason")["rows"].sum()
        return {str(reason): int(count) for reason, count in counts.items()}


def by_kind(rows: pd.DataFrame, *, by_matrix: bool = True) -> Iterator[tuple[Kind, pd.DataFrame]]:
    """Yield the rows of each matrix (`specimen`; all are one when not `by_matrix`), method and unit.

    >>> cells = {"specimen": ["csf", "plasma"], "method": None, "unit": "ng/L"}
    >>> [(kind, len(found)) for kind, found in by_kind(pd.DataFrame(cells))]
    [(('csf', None, 'ng/L'), 1), (('plasma', None, 'ng/L'), 1)]
    >>> [kind for kind, _ in by_kind(pd.DataFrame(cells)[:0])]  # of no rows, too, something can be derived
    [(None, None, None)]
    """
    number, words = np.zeros(len(rows), dtype=np.int64), [[None], [None], [None]]
    for place, name in enumerate(("specimen", "method", "unit")):
        if by_matrix or name != "specimen":
            codes, known = pd.factorize(rows[name])
            words[place] = [*known.tolist(), None]
            number = number * len(words[place]) + codes % len(words[place])  # -1, missing, is the last one
    found = pd.unique(number)
    if not len(found):
        yield (None, None, None), rows
    for one in found.tolist():
        rest, unit = divmod(one, len(words[2]))
        matrix, method = divmod(rest, len(words[1]))
        mine = rows if len(found) == 1 else rows.loc[number == one]
        yield (words[0][matrix], words[1][method], words[2][unit]), mine


def count_left_out(left_out: pd.DataFrame) -> pd.DataFrame:
    """Return one row for the measurements of a subject, matrix and method with one reason, and their count.

    >>> cells = {"subject_id": ["a", "a", None], "reason": "no_date", "specimen": "csf", "method": None}
    >>> count_left_out(pd.DataFrame(cells))[["subject_id", "rows"]].values.tolist()
    [['a', 2], [nan, 1]]
    """
    columns = ["subject_id", "reason", "specimen", "method"]
    number = np.zeros(len(left_out), dtype=np.int64)
    for name in columns:
        codes, known = pd.factorize(left_out[name])
        number = number * (len(known) + 1) + codes + 1
    _, first, rows = np.unique(number, return_index=True, return_counts=True)
    order = np.argsort(first)
    return left_out[columns].take(first[order]).reset_index(drop=True).assign(rows=rows[order])


def split_series(derived: ConceptRows, *, concept: str, by_matrix: bool = True) -> Iterator[MeasuredSeries]:
    """Yield the series of a concept, at least one; the first has the concept itself as its key.

    Matrices (all are one when not `by_matrix`) and the methods within each come in order of the number of
    subjects with a value; of several, the first in the alphabet first, and values without a matrix or method
    last. The others' keys are "concept:matrix" for a matrix with one method, and "concept:matrix:method" for
    each series of a matrix with several ("concept:method" when not `by_matrix`). Values that do not state
    their method are a series of their own only where others of the matrix state one. Of several units, the
    most frequent one counts, of equals the first in the alphabet.

    >>> kinds = {("csf", None, None): ["a"], ("plasma", "ELISA", None): ["a"], ("plasma", None, None): ["b"]}
    >>> values = {kind: pd.DataFrame({"subject_id": ids, "rows": 1}) for kind, ids in kinds.items()}
    >>> none = pd.DataFrame(columns=["subject_id", "reason", "specimen", "method", "rows"])
    >>> [series.key for series in split_series(ConceptRows(values, none), concept="nfl")]
    ['nfl', 'nfl:plasma:unspecified', 'nfl:csf']
    """
    told, left_out = _subjects(derived.values), derived.left_out
    labels = told if len(told) else left_out
    matrices: list[str | None] = [None]
    if by_matrix:
        matrices = _levels(labels["specimen"], labels["subject_id"])
    first = True
    for matrix in matrices:
        mine, theirs = told, left_out
        if by_matrix:
            mine = told.loc[_is(told["specimen"], matrix)]
            # What was left out of a matrix that has no value at all is told with the first one.
            theirs = left_out.loc[_belongs(left_out["specimen"], matrix, matrices)]
        labels = mine if len(mine) else theirs
        methods = _levels(labels["method"], labels["subject_id"])
        for method in methods:
            parts = [concept]
            if not first:
                parts += [matrix or UNSPECIFIED] if by_matrix else []
                parts += [method or UNSPECIFIED] if len(methods) > 1 else []
            first = False
            without = theirs.loc[
                _belongs(theirs["method"], method, methods), ["subject_id", "reason", "rows"]
            ]
            unit, values, others = _in_one_unit(derived.values, matrix, method)
            without = pd.concat([without, *others], ignore_index=True) if others else without
            yield MeasuredSeries(":".join(parts), matrix, method, unit, values, without)


def _in_one_unit(
    derived: dict[Kind, pd.DataFrame], matrix: str | None, method: str | None
) -> tuple[str | None, pd.DataFrame, list[pd.DataFrame]]:
    """Return the most frequent unit, the values in it, and the measurements in others by subject."""
    kinds = {
        kind[2]: values for kind, values in derived.items() if kind[:2] == (matrix, method) and len(values)
    }
    if not kinds:
        return None, next(iter(derived.values()))[:0], []
    counts = Counter({unit: int(values["rows"].sum()) for unit, values in kinds.items() if unit is not None})
    usual = min(counts, key=lambda unit: (-counts[unit], unit), default=None)
    others = [
        values[["subject_id", "rows"]].assign(reason=OTHER_UNIT)
        for unit, values in kinds.items()
        if unit != usual
    ]
    return usual, kinds[usual], others


def _subjects(derived: dict[Kind, pd.DataFrame]) -> pd.DataFrame:
    """Return `subject_id`, `specimen` and `method`, once for each kind of value that a subject has."""
    kinds = [
        pd.DataFrame({"subject_id": values["subject_id"].unique(), "specimen": matrix, "method": method})
        for (matrix, method, _), values in derived.items()
    ]
    return pd.concat(kinds, ignore_index=True)


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
