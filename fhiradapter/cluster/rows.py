"""Rows: a table's values of bytes as rows again, in their places and as settlement leaves them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from fhiradapter.cluster.keys import keys_of
from fhiradapter.cluster.mapped import WAITED, Moves
from fhiradapter.cluster.mapped import unpacked as content_of
from fhiradapter.cluster.naming import naming
from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.cohort.receipts import corrected
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import Settlement
from fhiradapter.holdings import panels_of
from fhiradapter.mappers.parts import moved_batch, unpacked_batch

LANDED = {**SCHEMAS, "receipts": RECEIPTS}
AT = "_at"  # where a row stands in the order in which one process would have written it; bytes that sort so
KEY = "_key"
PLACE = np.dtype(
    [("source", ">u4"), ("waited", "u1"), ("file", ">u4"), ("start", ">u8"), ("part", ">u4"), ("row", ">u4")]
)
PANELS = pa.schema([("member", pa.string()), ("panel", pa.string())])


@dataclass(frozen=True)
class Wanted:
    """Which rows of a table are wanted: with a settlement, with their place in the order, with their keys."""

    table: str
    moves: Moves
    sources: tuple[int, ...]
    """The source of each file."""
    columns: tuple[str, ...]
    settlement: Settlement | None = None
    placed: bool = False
    keyed: bool = False

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that come."""
        whole = LANDED[self.table]
        # Spark has no columns that cannot be null, and a frame has no metadata.
        fields = [pa.field(name, whole.field(name).type) for name in self.columns]
        fields += [pa.field(AT, pa.binary())] * self.placed + [pa.field(KEY, pa.int64())] * self.keyed
        return pa.schema(fields)


def unpacked(wanted: Wanted, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows of a table from rows of `MAPPED`."""
    with naming(f"rows of {wanted.table}"):
        yield from _unpacked(wanted, batches)


def _unpacked(wanted: Wanted, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for row in batch.to_pylist():
            if wanted.moves.holds(row):
                yield rows_of(wanted, row)


def rows_of(wanted: Wanted, row: dict[str, Any]) -> pa.RecordBatch:
    """Return the rows of a table that are in a row of `MAPPED`."""
    packed = content_of(row["content"])
    rows = moved_batch(unpacked_batch(packed, LANDED[wanted.table]), wanted.moves.of(row))
    if wanted.keyed:
        rows = rows.append_column(KEY, pa.array(keys_of(rows)))
    if wanted.placed:
        rows = rows.append_column(AT, _places(row, wanted.sources[row["file"]]))
    if wanted.settlement is not None:
        rows = _settled(wanted.table, rows, wanted.settlement)
    return pa.RecordBatch.from_arrays(
        [rows.column(name) for name in wanted.schema.names], schema=wanted.schema
    )


def members(moves: Moves, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of members with the rows of their panels."""
    for batch in batches:
        for row in batch.to_pylist():
            if moves.holds(row):
                of_panels, panels = zip(*content_of(row["content"]), strict=True)
                found = panels_of(pa.array(of_panels, pa.string()), pa.array(panels, pa.string()))
                yield pa.RecordBatch.from_arrays([found.keys, found.values], schema=PANELS)


def _settled(table: str, rows: pa.RecordBatch, settlement: Settlement) -> pa.RecordBatch:
    if table == "receipts":
        return next(corrected([rows], settlement.dropped)) if settlement.dropped else rows
    return settlement.apply(table, rows) if settlement.touches(table) else rows


def _places(row: dict[str, Any], source: int) -> pa.Array:
    """Return bytes by which rows sort as if one process had mapped everything.

    >>> rows = {"wave": 0, "file": 1, "start": 0, "part": 0, "rows": 300}
    >>> places = _places(rows, 0).to_pylist()
    >>> places == sorted(places) and places[-1] < _places({**rows, "wave": 2}, 0)[0].as_py()
    True
    """
    count = row["rows"]
    places = np.zeros(count, PLACE)
    places["source"], places["waited"] = source, row["wave"] >= WAITED
    places["file"], places["start"], places["part"] = row["file"], row["start"], row["part"]
    places["row"] = np.arange(count)
    fixed = pa.Array.from_buffers(pa.binary(PLACE.itemsize), count, [None, pa.py_buffer(places)])
    return fixed.cast(pa.binary())
