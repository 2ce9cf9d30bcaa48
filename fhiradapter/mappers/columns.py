"""Columns: sequences of Python values, and what rows share with their resource, as Arrow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.mappers.instants import instants
from fhiradapter.mappers.outcome import PROVENANCE
from fhiradapter.mappers.registry import MAPPERS

TEXT, DAY = pa.string(), pa.date32()
RULES = {kind: mapper.rule for kind, mapper in MAPPERS.items()}
READING = "reading/1"  # the rule of issues about what is no resource to map


class Heads(NamedTuple):
    """What rows share with their resource: one entry per resource."""

    kinds: Sequence[str]
    ids: Sequence[str | None]
    names: Sequence[str | None]
    versions: Sequence[str | None]
    updated: Sequence[str | None]
    lines: Sequence[int | None]
    files: Sequence[str]
    subjects: Sequence[str | None]


def provenance(heads: Heads, source: str, run_id: str) -> list[pa.Array]:
    """Return the first columns of every table, one entry per resource."""
    count = len(heads.kinds)
    kind = column(heads.kinds, TEXT)
    origin = pa.scalar(source, TEXT)
    ids = column(heads.ids, TEXT)
    name = column(heads.names, TEXT) if heads.names is not heads.ids else ids
    return [
        pc.binary_join_element_wise(origin, kind, name, "/"),
        column(heads.subjects, TEXT),
        pa.repeat(origin, count),
        column(heads.files, TEXT),
        _lines(heads.lines),
        kind,
        ids,
        column(heads.versions, TEXT),
        instants(heads.updated),
        _rules(heads.kinds),
        pa.repeat(pa.scalar(run_id, TEXT), count),
    ]


def _lines(lines: Sequence[int | None]) -> pa.Array:
    if isinstance(lines, range):
        return pa.array(np.arange(lines.start, lines.stop, dtype=np.int32))
    return pa.array(lines, pa.int32())


def _rules(kinds: Sequence[str]) -> pa.Array:
    if kinds and kinds.count(kinds[0]) == len(kinds):
        return pa.repeat(pa.scalar(RULES.get(kinds[0], READING), TEXT), len(kinds))
    return pa.array([RULES.get(kind, READING) for kind in kinds], TEXT)


def record_batch(
    table: str,
    columns: Sequence[Sequence[Any] | pa.Array],
    shared: list[pa.Array],
    owners: list[int] | None = None,
    parts: list[str] | None = None,
) -> pa.RecordBatch:
    """Return a table's rows; `owners` are the places of their resources, by default one row for each."""
    schema = SCHEMAS[table]
    first = shared
    if owners is not None and (len(owners) != len(shared[0]) or owners != list(range(len(owners)))):
        indices = pa.array(owners, pa.int32())
        first = [one.take(indices) for one in shared]
    if parts is not None and any(parts):
        first = [pc.binary_join_element_wise(first[0], pa.array(parts, TEXT), ""), *first[1:]]
    own = [
        column(values, field.type) for values, field in zip(columns, list(schema)[PROVENANCE:], strict=True)
    ]
    return pa.RecordBatch.from_arrays([*first, *own], schema=schema)


def column(values: Sequence[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values as Arrow; a column that says the same all the way is not built value by value."""
    if isinstance(values, pa.Array):
        return values
    stored = pa.int32() if kind == DAY else kind
    if values:
        first = values[0]
        if first == values[-1] == values[len(values) // 2] and values.count(first) == len(values):
            return pa.repeat(pa.scalar(first, stored), len(values)).view(kind)
    return pa.array(values, stored).view(kind)
