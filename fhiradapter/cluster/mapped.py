"""Mapped: what travels between the stages of a run, a part's rows of a table as one value of bytes."""

import pickle
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from fhiradapter.mappers.lookups import Lookups

TOLD, LATER, MEMBERS, KEYS = "told", "later", "members", "keys"

MAPPED = pa.schema(
    [
        ("kind", pa.string()),  # a table, or one of the four above
        ("wave", pa.int32()),  # 0 as planned, 1 mapped again, 2 what waited, 3 that again
        ("file", pa.int32()),
        ("start", pa.int64()),  # the byte where the file was cut
        ("part", pa.int32()),
        ("rows", pa.int32()),
        ("content", pa.binary()),
    ]
)
PLANNED, AGAIN, WAITED, WAITED_AGAIN = range(4)
SIZE = 8  # bytes before what is compressed, which say how large it was


class Split(NamedTuple):
    """A piece of a file, as it was cut."""

    file: int
    start: int


@dataclass(frozen=True)
class Told:
    """What a part told besides its rows; so little that the driver can hold that of all parts."""

    split: Split
    part: int
    bytes_read: int
    lines_read: int
    placed: bool
    home: frozenset[str]
    lookups: Lookups
    counts: Counter[tuple[str, str, str | None]]
    rows: dict[str, int]
    """Rows by table; resources that wait, members of panels and keys by their kind."""


@dataclass(frozen=True)
class Moves:
    """What has to be done to the rows of splits before they are right.

    `lines` of a file come before a split; `stale` are by wave the splits that a later wave mapped again.
    """

    lines: dict[Split, int] = field(default_factory=dict)
    stale: dict[int, frozenset[Split]] = field(default_factory=dict)

    def holds(self, row: dict[str, Any]) -> bool:
        """Return True for a row of `MAPPED` that no later wave made again."""
        return (row["file"], row["start"]) not in self.stale.get(row["wave"], frozenset())

    def of(self, row: dict[str, Any]) -> int:
        """Return by how many lines the content of a row of `MAPPED` moves; other waves knew them."""
        return self.lines.get(Split(row["file"], row["start"]), 0) if row["wave"] == PLANNED else 0


def packed(content: Any) -> bytes:
    """Return anything as few bytes.

    >>> unpacked(packed({"a": [1, 2]}))
    {'a': [1, 2]}
    """
    pickled = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return len(pickled).to_bytes(SIZE, "little") + bytes(pa.compress(pickled, "lz4_raw", asbytes=True))


def unpacked(content: bytes) -> Any:
    """Return what was packed, by a worker of the same run."""
    size = int.from_bytes(content[:SIZE], "little")
    pickled = pa.decompress(memoryview(content)[SIZE:], size, "lz4_raw")
    return pickle.loads(pickled)  # noqa: S301 - from a worker of the same run
