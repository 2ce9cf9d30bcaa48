"""Rows of results behave as a tuple of them, in blocks of whatever size."""

import pickle
from collections.abc import Sequence

import msgspec
import pandas as pd
import pytest

from fhiradapter.results import Result, ResultRows, encoded, frame
from fhiradapter.results import rows as module

NAMES = ("a", "b", "b", None, "c")


class Named(Result, frozen=True, kw_only=True):
    """A result with one field."""

    name: str | None


def named(table: pd.DataFrame) -> list[Named]:
    """Make the results of a table."""
    return [Named(name=None if pd.isna(name) else name) for name in table["name"]]


@pytest.fixture(params=[1, 2, 5, 100])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ResultRows[Named]:
    """Rows of a table whose labels are not its places, made so many at a time."""
    monkeypatch.setattr(module, "AT_ONCE", request.param)
    return ResultRows(pd.DataFrame({"name": NAMES}, index=[7, 7, 1, 0, 3]), named)


def test_they_are_a_sequence(rows: ResultRows[Named]) -> None:
    """Length, places, slices, order and membership are those of a tuple."""
    expected = tuple(Named(name=name) for name in NAMES)
    assert isinstance(rows, Sequence)
    assert (len(rows), tuple(rows), tuple(reversed(rows))) == (5, expected, expected[::-1])
    assert [rows[place] for place in range(-5, 5)] == [expected[place] for place in range(-5, 5)]
    for part in (slice(1, 4), slice(None, None, -2), slice(9, 12), slice(-2, None)):
        assert tuple(rows[part]) == expected[part]
    assert (rows.index(expected[4]), rows.count(expected[1]), Named(name="x") in rows) == (4, 2, False)
    for place in (5, -6):
        with pytest.raises(IndexError):
            rows[place]


def test_they_equal_what_they_hold(rows: ResultRows[Named]) -> None:
    """Lists, tuples and rows with the same results are equal, whichever stands first; others are not."""
    expected = [Named(name=name) for name in NAMES]
    assert rows == expected
    assert expected == rows
    assert tuple(expected) == rows
    assert rows == rows[:]
    assert rows != expected[:4]
    assert rows != [*expected[:4], Named(name="x")]
    assert rows != 5


def test_they_are_written_and_sent(rows: ResultRows[Named]) -> None:
    """JSON has a list; a frame has a row each; another process has the same rows."""
    assert msgspec.json.decode(encoded({"rows": rows})) == {"rows": [{"name": name} for name in NAMES]}
    assert frame(rows, Named)["name"].tolist()[:3] == ["a", "b", "b"]
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert encoded(rows[5:]) == b"[]"


def test_what_cannot_be_written_is_said() -> None:
    """Anything else is refused in the words of the library that writes."""
    with pytest.raises(TypeError, match="Encoding objects of type object is unsupported"):
        encoded({"rows": object()})
