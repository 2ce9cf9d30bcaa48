"""Columns as lists of plain Python values, None where one is missing, as results hold them."""

from typing import Any

import numpy as np
import pandas as pd


def as_numbers(column: pd.Series) -> list[float | None]:
    """Return a column of numbers.

    >>> as_numbers(pd.Series([1.5, None])), as_numbers(pd.Series([1, None], dtype="Int64"))
    ([1.5, None], [1.0, None])
    """
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(numbers)
    if not missing.any():
        known: list[float | None] = numbers.tolist()
        return known
    found = numbers.astype(object)
    found[missing] = None
    listed: list[float | None] = found.tolist()
    return listed


def as_whole(column: pd.Series) -> list[int | None]:
    """Return a column of whole numbers, whatever type holds them.

    >>> as_whole(pd.Series([2.0, None]))
    [2, None]
    """
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = np.isnan(numbers)
    found = np.where(missing, 0, numbers).astype(np.int64).astype(object)
    found[missing] = None
    listed: list[int | None] = found.tolist()
    return listed


def as_words(column: pd.Series) -> list[Any]:
    """Return a column of words; those of a categorical are one object each, however many rows have it.

    >>> as_words(pd.Series(["a", None])), as_words(pd.Series(["b", "b"], dtype="category"))
    (['a', None], ['b', 'b'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        used, codes = np.unique(column.cat.codes.to_numpy(), return_inverse=True)
        words = column.cat.categories.take(used[used >= 0]).tolist()
        named = np.array([None] * int((used < 0).any()) + words, dtype=object)
        return list(named[codes])
    return list(column.astype(object).where(column.notna(), None))
