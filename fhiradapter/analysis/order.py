"""The order of rows by subject and time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

LAST = np.iinfo(np.int64).max


def in_order(rows: pd.DataFrame, by: Sequence[str] = ("subject_id", "at", "row_id")) -> pd.DataFrame:
    """Return the rows sorted by some columns, what is missing last, equal ones as they were; index 0 to n-1.

    It is what a stable `sort_values` gives, in a fraction of its time: the last column, often text, is looked
    at only where the others are equal. A categorical column is sorted by its categories.

    >>> rows = pd.DataFrame({"subject_id": ["b", "a", "a"], "at": [1, 2, 2], "row_id": ["x", "z", "y"]})
    >>> in_order(rows)["row_id"].tolist()
    ['y', 'z', 'x']
    """
    order = order_of(rows, by)
    if (order[1:] > order[:-1]).all():
        return rows.reset_index(drop=True)
    return rows.take(order).reset_index(drop=True)


def order_of(rows: pd.DataFrame, by: Sequence[str] = ("subject_id", "at", "row_id")) -> npt.NDArray[np.intp]:
    """Return the places of the rows in the order that `in_order` brings them in, (n,)."""
    *first, last = by
    keys = [_numbers(rows[column]) for column in first]
    order = _order(keys)
    keys = [key[order] for key in keys]
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys]) if len(rows) else np.zeros(0, bool)
    if same.any():
        tied = np.append(same, False) | np.append(False, same)
        group = np.cumsum(~np.append(False, same))[tied]
        among = order[tied]
        rank = np.empty(len(among), dtype=np.int64)
        rank[_argsort(rows[last].iloc[among])] = np.arange(len(among))
        order[tied] = among[_order([group, rank])]
    return order


def _order(keys: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.intp]:
    """Return the stable order of rows by several numbers, the first one before the others.

    Rows that come as a few sorted stretches, as one concept's after another's, are sorted in a third of the
    time when the numbers fit into one.
    """
    one, size = np.zeros(len(keys[0]), dtype=np.int64), 1
    for key in keys:
        known = key[key != LAST]
        low = int(known.min()) if len(known) else 0
        span = int(known.max()) - low + 2 if len(known) else 1
        size *= span
        if size > LAST:
            return np.lexsort(keys[::-1])
        one = one * span + np.where(key == LAST, span - 1, key - low)
    return np.argsort(one, kind="stable")


def _argsort(column: pd.Series) -> npt.NDArray[np.intp]:
    """Return the stable order of a column, what is missing last."""
    if column.dtype == object:
        column = column.astype("str")
    return np.asarray(column.array.argsort(kind="stable", na_position="last"), dtype=np.intp)


def _numbers(column: pd.Series) -> npt.NDArray[np.int64]:
    """Return numbers that have the order of the column, the greatest where it is missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy(dtype=np.int64)
        return np.where(codes < 0, LAST, codes)
    if column.dtype.kind == "M":
        moments = column.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(moments), LAST, moments.astype(np.int64))
    codes = pd.factorize(column, sort=True)[0]
    return np.where(codes < 0, LAST, codes)
