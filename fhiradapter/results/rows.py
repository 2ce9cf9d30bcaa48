"""Rows of results that stay a table until somebody looks at one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import starmap
from operator import eq
from typing import TypeVar, overload

import pandas as pd

from fhiradapter.results.base import Result

AT_ONCE = 100_000  # rows that are results at one time

One = TypeVar("One", bound=Result)


class ResultRows(Sequence[One]):
    """The results that `make` gives of a table, one per row; nobody may change the table any more.

    Two million objects take a second and half a gigabyte, and most of them nobody looks at.

    >>> class Point(Result, frozen=True, kw_only=True):
    ...     months: float
    >>> rows = ResultRows(pd.DataFrame({"months": [1.0, 2.0]}), lambda table: [Point(months=one)
    ...                                                                        for one in table["months"]])
    >>> len(rows), rows[-1], rows == [Point(months=1.0), Point(months=2.0)]
    (2, Point(months=2.0), True)
    """

    def __init__(self, table: pd.DataFrame, make: Callable[[pd.DataFrame], Iterable[One]]) -> None:
        self._table = table
        self._make = make

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[One]:
        for start in range(0, len(self), AT_ONCE):
            yield from self._make(self._table.iloc[start : start + AT_ONCE])

    def __reversed__(self) -> Iterator[One]:
        for stop in range(len(self), 0, -AT_ONCE):
            yield from reversed(list(self._make(self._table.iloc[max(0, stop - AT_ONCE) : stop])))

    @overload
    def __getitem__(self, place: int) -> One: ...

    @overload
    def __getitem__(self, place: slice) -> "ResultRows[One]": ...

    def __getitem__(self, place: int | slice) -> "One | ResultRows[One]":
        if isinstance(place, slice):
            return ResultRows(self._table.iloc[place], self._make)
        number = range(len(self))[place]  # raises IndexError
        return next(iter(self._make(self._table.iloc[number : number + 1])))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(starmap(eq, zip(self, other, strict=True)))

    __hash__ = None  # type: ignore[assignment] # as of a list

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of results>"
