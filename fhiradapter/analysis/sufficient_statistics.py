"""What a mixed model needs to know of each subject, however many visits the subject had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray: TypeAlias = npt.NDArray[np.float64]

# Rows whose products are held in memory at one time: about 15 MB with four fixed and two random effects.
ROWS_AT_ONCE = 65_536
# The part of a column's squared length that the columns before it leave unexplained; less counts as aliased.
ALIASED = 1e-11


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """The cross products of each subject's rows, all that a linear mixed model asks of the data.

    With ``W = [Z | X | y]`` the rows of one subject, ``products`` holds ``W'W``: its blocks are Z'Z, Z'X,
    Z'y, X'X, X'y and y'y. The size depends on the number of subjects and not on the number of visits, so
    partitions of whole subjects can be summarised where they lie and combined with :meth:`concatenate`.

    groups: the m subjects, in the order in which they first appear.
    counts: visits of each subject, (m,).
    products: (m, q + p + 1, q + p + 1), in the squared units of the columns.
    random_columns: q, the number of columns of Z.
    names: the p names of the columns of X.
    """

    groups: pd.Index
    counts: npt.NDArray[np.int64]
    products: FloatArray
    random_columns: int
    names: tuple[str, ...]

    @classmethod
    def from_rows(
        cls,
        response: npt.ArrayLike,
        fixed: npt.ArrayLike,
        random: npt.ArrayLike,
        groups: Sequence[object] | npt.NDArray[np.generic] | pd.Series | pd.Index,
        *,
        names: Sequence[str] | None = None,
        offset: FloatArray | None = None,
    ) -> SufficientStatistics:
        """Summarise rows, one per visit, in any order.

        The response y is (n,), the designs fixed, X, and random, Z, are (n, p) and (n, q); groups is (n,)
        with one label per row. ``offset`` (p,) takes ``y - X offset`` in place of y: a model of the remainder
        differs only by that shift of its coefficients, and keeps digits when y lies far from zero.

        Raises ValueError, naming the argument, for shapes that do not fit, NaN or infinite values, no rows,
        and rows without a group.

        >>> statistics = SufficientStatistics.from_rows(
        ...     [40, 38, 45], [[1, 0], [1, 2], [1, 0]], [[1], [1], [1]], ["a", "a", "b"]
        ... )
        >>> list(statistics.groups), statistics.counts.tolist()
        (['a', 'b'], [2, 1])
        >>> statistics.products[0].tolist()  # of [1, 1, time, y], subject a
        [[2.0, 2.0, 2.0, 78.0], [2.0, 2.0, 2.0, 78.0], [2.0, 2.0, 4.0, 76.0], [78.0, 78.0, 76.0, 3044.0]]
        """
        y, x, z = finite_rows(response, fixed, random)
        codes, labels = _codes(groups, rows=len(y))
        order = None if (np.diff(codes) >= 0).all() else np.argsort(codes, kind="stable")
        width = z.shape[1] + x.shape[1] + 1
        first, second = np.triu_indices(width)
        sums = np.zeros((len(labels), len(first)))
        for span in _spans(codes if order is None else codes[order]):
            rows = span if order is None else order[span]
            remainder = y[rows] if offset is None else y[rows] - x[rows] @ offset
            block = np.column_stack([z[rows], x[rows], remainder])
            subjects = codes[rows]
            starts = np.flatnonzero(np.diff(subjects, prepend=-1))
            sums[subjects[starts]] += np.add.reduceat(block[:, first] * block[:, second], starts, axis=0)
        products = np.empty((len(labels), width, width))
        products[:, first, second] = sums
        products[:, second, first] = sums
        return cls(
            groups=labels,
            counts=np.bincount(codes, minlength=len(labels)).astype(np.int64),
            products=products,
            random_columns=z.shape[1],
            names=_names(names, columns=x.shape[1]),
        )

    @classmethod
    def concatenate(cls, parts: Iterable[SufficientStatistics]) -> SufficientStatistics:
        """Combine partitions of whole subjects.

        Raises ValueError when there are no parts, when their columns differ, or when a subject is in two of
        them.

        >>> rows = [1.0, 2.0], [[1.0], [1.0]], [[1.0], [1.0]]
        >>> parts = [SufficientStatistics.from_rows(*rows, [subject, subject]) for subject in "ab"]
        >>> list(SufficientStatistics.concatenate(parts).groups)
        ['a', 'b']
        """
        each = list(parts)
        if not each:
            raise ValueError("parts: nothing to concatenate")
        if len({(part.random_columns, part.names) for part in each}) > 1:
            raise ValueError("parts: the columns of X or Z differ between partitions")
        groups = each[0].groups.append([part.groups for part in each[1:]])
        if not groups.is_unique:
            number = int(groups.duplicated().sum())
            raise ValueError(
                f"parts: {number} subject(s) in more than one partition; partition by whole subjects"
            )
        return cls(
            groups=groups,
            counts=np.concatenate([part.counts for part in each]),
            products=np.concatenate([part.products for part in each]),
            random_columns=each[0].random_columns,
            names=each[0].names,
        )

    @property
    def rows(self) -> int:
        """Number of visits, n."""
        return int(self.counts.sum())

    def in_order(self) -> SufficientStatistics:
        """Return them with the subjects in order of their labels; sums over subjects depend on it."""
        if self.groups.is_monotonic_increasing:
            return self
        order = self.groups.argsort()
        return replace(
            self, groups=self.groups[order], counts=self.counts[order], products=self.products[order]
        )

    def with_fixed(self, names: Sequence[str]) -> SufficientStatistics:
        """Return the statistics of a model with some of the columns of X only, in their order.

        >>> names = ["start", "time"]
        >>> whole = SufficientStatistics.from_rows([3.0], [[1.0, 2.0]], [[1.0]], ["a"], names=names)
        >>> whole.with_fixed(["time"]).products[0].tolist()  # of [1, time, y]
        [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]
        """
        q = self.random_columns
        kept = [*range(q), *(q + self.names.index(name) for name in names), self.products.shape[1] - 1]
        return replace(self, products=self.products[:, kept][:, :, kept], names=tuple(names))

    def first_random(self, columns: int) -> SufficientStatistics:
        """Keep only the first columns of Z, for a simpler model of how subjects differ."""
        if not 1 <= columns <= self.random_columns:
            raise ValueError(f"columns: expected 1 to {self.random_columns}, got {columns}")
        keep = np.r_[0:columns, self.random_columns : self.products.shape[1]]
        return SufficientStatistics(
            groups=self.groups,
            counts=self.counts,
            products=self.products[:, keep][:, :, keep],
            random_columns=columns,
            names=self.names,
        )


def finite_rows(
    response: npt.ArrayLike, fixed: npt.ArrayLike, random: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Read y (n,), X (n, p) and Z (n, q) as floats; a ValueError names the one that cannot be used."""
    y, x, z = _finite("y", response, 1), _finite("X", fixed, 2), _finite("Z", random, 2)
    for name, array in (("X", x), ("Z", z)):
        if len(array) != len(y):
            raise ValueError(f"{name}: has {len(array)} rows, y has {len(y)}")
    return y, x, z


def aliased_columns(gram: FloatArray) -> list[int]:
    """Columns that the columns before them already determine, from the cross products (k, k) of all of them.

    Sweeps the correlations column by column, so that in ``[1, a, 1 - a]`` it is the third that is named.

    >>> columns = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    >>> aliased_columns(columns.T @ columns)
    [2]
    """
    length = np.sqrt(np.diag(gram))
    scale = np.where(length > 0, length, 1.0)
    left = gram / np.outer(scale, scale)
    aliased = []
    for column in range(len(left)):
        if left[column, column] <= ALIASED:
            aliased.append(column)
            continue
        left = left - np.outer(left[:, column], left[column]) / left[column, column]
    return aliased


def _finite(name: str, given: npt.ArrayLike, dimensions: int) -> FloatArray:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: not an array of numbers ({error})") from error
    if array.ndim != dimensions or 0 in array.shape:
        raise ValueError(f"{name}: expected {dimensions} dimension(s), none empty, got shape {array.shape}")
    if bad := int(array.size - np.isfinite(array).sum()):
        raise ValueError(f"{name}: {bad} value(s) are NaN or infinite; drop these rows first")
    return array


def _spans(codes: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield some rows at a time, never half of a subject's: its sums do not depend on who else is there."""
    ends = np.append(np.flatnonzero(np.diff(codes)) + 1, len(codes))
    start = 0
    while start < len(codes):
        place = int(np.searchsorted(ends, start + ROWS_AT_ONCE, side="right")) - 1
        stop = int(ends[max(place, int(np.searchsorted(ends, start, side="right")))])
        yield slice(start, stop)
        start = stop


def _codes(
    groups: Sequence[object] | npt.NDArray[np.generic] | pd.Series | pd.Index, *, rows: int
) -> tuple[npt.NDArray[np.int64], pd.Index]:
    labels = groups if isinstance(groups, pd.Series) else pd.Series(groups)
    if len(labels) != rows:
        raise ValueError(f"groups: has {len(labels)} labels, y has {rows} rows")
    codes, unique = labels.factorize()
    if missing := int((codes < 0).sum()):
        raise ValueError(f"groups: {missing} row(s) have no label")
    return codes.astype(np.int64), pd.Index(unique, name="group")


def _names(names: Sequence[str] | None, *, columns: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"x{column}" for column in range(columns))
    if len(names) != columns:
        raise ValueError(f"names: {len(names)} name(s) for {columns} column(s) of X")
    return tuple(names)
