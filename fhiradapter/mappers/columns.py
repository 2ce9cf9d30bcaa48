"""Columns: sequences of Python values, and what rows share with their resource, as Arrow."""

from collections.abc import Sequence
from functools import lru_cache
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


SHARED_LENGTH = 1 << 13  # rows of a batch are fewer, mostly
FEW = 1 << 8  # so many are made sooner than kept


class Heads(NamedTuple):
    """What rows share with their resource: one entry per resource; one text stands for all of them."""

    kinds: Sequence[str] | str
    ids: Sequence[str | None]
    names: Sequence[str | None]
    versions: Sequence[str | None]
    updated: Sequence[str | None]
    lines: Sequence[int | None]
    files: Sequence[str] | str
    subjects: Sequence[str | None]


def provenance(heads: Heads, source: str, run_id: str) -> list[pa.Array]:
    """Return the first columns of every table, one entry per resource."""
    count = len(heads.ids)
    ids = column(heads.ids, TEXT)
    name = column(heads.names, TEXT) if heads.names is not heads.ids else ids
    one_kind = heads.kinds if isinstance(heads.kinds, str) else _one_of(heads.kinds)
    if one_kind is not None:
        kind, rules = constant(one_kind, count), constant(RULES.get(one_kind, READING), count)
        row_ids = pc.binary_join_element_wise(f"{source}/{one_kind}", name, "/")
    else:
        kind = pa.array(heads.kinds, TEXT)
        rules = pa.array([RULES.get(kind, READING) for kind in heads.kinds], TEXT)
        row_ids = pc.binary_join_element_wise(source, kind, name, "/")
    return [
        row_ids,
        column(heads.subjects, TEXT),
        constant(source, count),
        constant(heads.files, count) if isinstance(heads.files, str) else column(heads.files, TEXT),
        _lines(heads.lines),
        kind,
        ids,
        column(heads.versions, TEXT),
        instants(heads.updated),
        rules,
        constant(run_id, count),
    ]


def constant(value: str | None, count: int) -> pa.Array:
    """Return a text column that says the same all the way; a slice of one that was made before."""
    if count < FEW or count > SHARED_LENGTH:
        return _repeated(value, count)
    return _shared(value).slice(0, count)


@lru_cache(maxsize=32)  # half a megabyte each; a long sync has a raw file, and so a column, per commit
def _shared(value: str | None) -> pa.Array:
    return _repeated(value, SHARED_LENGTH)


def _repeated(value: str | None, count: int) -> pa.Array:
    return pa.nulls(count, TEXT) if value is None else pa.repeat(pa.scalar(value, TEXT), count)


def _one_of(kinds: Sequence[str]) -> str | None:
    """Return the kind that all are of, None when there are several or none."""
    return kinds[0] if kinds and kinds.count(kinds[0]) == len(kinds) else None


def _lines(lines: Sequence[int | None]) -> pa.Array:
    if isinstance(lines, range):
        return pa.array(np.arange(lines.start, lines.stop, dtype=np.int32))
    return pa.array(lines, pa.int32())


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
            if kind is TEXT:
                return constant(first, len(values))
            return pa.repeat(pa.scalar(first, stored), len(values)).view(kind)
    return pa.array(values, stored).view(kind)
