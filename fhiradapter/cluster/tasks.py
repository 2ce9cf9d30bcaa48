"""Tasks: what Spark's Python workers map, from lines and files that Spark gives them or that they read."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cluster.inputs import Form, Input
from fhiradapter.cluster.keys import named_keys
from fhiradapter.cluster.mapped import (
    KEYS,
    LATER,
    MAPPED,
    MEMBERS,
    TOLD,
    Moves,
    Split,
    Told,
    packed,
    unpacked,
)
from fhiradapter.cluster.naming import named_error
from fhiradapter.cohort.receipts import combinations
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.errors import WorkerError
from fhiradapter.fhir.compression import Portion, portions_of
from fhiradapter.fhir.files import FileSource, Piece
from fhiradapter.fhir.reading import Reader, failed
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.parts import Part, packed_batch
from fhiradapter.workbench import Bench, LaterTask, News, Plan

PORTION = 1 << 20  # bytes of lines that are mapped as one batch


class Range(NamedTuple):
    """What a worker reads by itself: the lines that begin in a range of bytes; all without `stop`."""

    file: int
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Work:
    """Everything that a worker needs to know, which may have neither the driver's disk nor its memory.

    `token` is that of one call, as workers outlive calls, also two of one second.
    `sites` are the contents of site files by source; `firsts` and `homes` say of splits that are mapped again
    what was supposed wrongly at first. With `lookups` all was read, and what waited is mapped. `ranges` are
    by task what workers read by themselves.
    """

    token: str
    plans: tuple[Plan, ...]
    sites: dict[int, tuple[str, bytes]]
    readers: tuple[Reader, ...]
    inputs: tuple[Input, ...]
    wave: int
    homes: dict[int, frozenset[str]]
    firsts: dict[Split, tuple[int, frozenset[str]]] | None = None
    lookups: dict[int, Lookups] | None = None
    moves: Moves = field(default_factory=Moves)
    ranges: tuple[tuple[Range, ...], ...] = ()


def map_here(work: Work, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Map what workers read by themselves, from a disk that they share: a column `id`, numbers of tasks."""
    for number in (number for batch in batches for number in batch.column("id").to_pylist()):
        for one in work.ranges[number]:
            split = Split(one.file, one.start)
            if work.firsts is not None and split not in work.firsts:
                continue
            given = work.inputs[one.file]
            path = Path(given.place)
            if not path.is_file():
                raise WorkerError(
                    f"{given.name}: is not on the disk of one of Spark's workers; give the url of a file"
                    " system that all of them reach"
                )
            first = work.firsts[split][0] if work.firsts is not None else 1
            source = FileSource((), work.readers[given.source])
            batches_of_range = source.read(Piece(path, given.name, one.start, one.stop), first)
            yield from _mapped(work, split, batches_of_range)


def map_lines(work: Work, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Map lines: columns `line`, each with its end, `url` and `start`; those of a split follow each other."""
    files = {one.url: number for number, one in enumerate(work.inputs)}
    for (url, start), chunks in groupby(_chunks(batches), key=lambda chunk: chunk[0]):
        if url not in files:
            raise WorkerError(f"Spark gave lines of a file that nobody asked for: {url}")
        split = Split(files[url], start)
        if work.firsts is not None and split not in work.firsts:
            continue
        one = work.inputs[split.file]
        first = work.firsts[split][0] if work.firsts is not None else 1
        portions = (Portion(content, False) for _, content in chunks)
        yield from _mapped(work, split, work.readers[one.source].lines(portions, one.name, first))


def map_whole(work: Work, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Map files of which each is one value: columns `url` and `content`; None where it cannot be read."""
    files = {one.url: number for number, one in enumerate(work.inputs)}
    for batch in batches:
        for row in range(batch.num_rows):
            url, content = (batch.column(name)[row].as_py() for name in ("url", "content"))
            split = Split(files[url], 0)
            if work.firsts is not None and split not in work.firsts:
                continue
            one = work.inputs[split.file]
            if one.form is Form.CARRIED:
                content = one.content
            yield from _mapped(work, split, _read(work.readers[one.source], one, content))


def map_later(work: Work, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Map resources that waited until everything was read: rows of `MAPPED` of the kind `later`."""
    for batch in batches:
        for row in batch.to_pylist():
            split, part = Split(row["file"], row["start"]), row["part"]
            if not work.moves.holds(row) or (work.firsts is not None and split not in work.firsts):
                continue
            later: list[Later] = unpacked(row["content"])
            lines = work.moves.of(row)
            later = [one._replace(line=one.line + lines) for one in later]
            source = work.inputs[split.file].source
            home = work.homes.get(source, frozenset())
            bench = _bench(work)
            with Named(work, split):
                for made in bench.run(LaterTask(source, later, home)):
                    yield _rows(work, split, part, made)


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[tuple[str, int], bytes]]:
    """Yield ((url, start), text) for lines that follow each other, at most about `PORTION` bytes."""
    for batch in batches:
        column = batch.column("line")
        offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: len(column) + 1]
        content = memoryview(column.buffers()[2] or b"")
        ends = [*_changes(batch), batch.num_rows]
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            key = batch.column("url")[begin].as_py(), batch.column("start")[begin].as_py()
            at = begin
            while at < end:
                until = int(np.searchsorted(offsets[: end + 1], offsets[at] + PORTION, "right")) - 1
                until = min(max(until, at + 1), end)
                yield key, bytes(content[offsets[at] : offsets[until]])
                at = until


def _changes(batch: pa.RecordBatch) -> list[int]:
    """Return the rows at which another split begins."""
    url, start = batch.column("url"), batch.column("start")
    last = batch.num_rows - 1
    if last < 1 or (url[0] == url[last] and start[0] == start[last]):
        return []  # splits are read one after the other
    other = pc.or_(pc.not_equal(url[1:], url[:-1]), pc.not_equal(start[1:], start[:-1]))
    return [int(row) + 1 for row in np.flatnonzero(other.to_numpy(zero_copy_only=False))]


def _read(reader: Reader, one: Input, content: bytes) -> Iterator[Batch]:
    if one.reason is not None:
        yield failed(one.name, one.reason)
        return
    yield from reader.batches(portions_of(io.BytesIO(content), one.name), one.name)


def _mapped(work: Work, split: Split, batches: Iterator[Batch]) -> Iterator[pa.RecordBatch]:
    one = work.inputs[split.file]
    bench = _bench(work)
    home = work.homes.get(one.source, frozenset())
    if work.firsts is not None:
        home = work.firsts[split][1]
    with Named(work, split):
        for part, made in enumerate(bench.fresh(one.source, batches, one.name, home)):
            yield _rows(work, split, part, made)


def _rows(work: Work, split: Split, part: int, made: Part) -> pa.RecordBatch:
    """Return a part as rows of `MAPPED`."""
    mapped = made.mapped
    tables = {**mapped.tables, "receipts": mapped.receipts}
    contents: dict[str, tuple[int, Any]] = {
        table: (batch.num_rows, packed_batch(batch)) for table, batch in tables.items()
    }
    if mapped.deferred:
        contents[LATER] = len(mapped.deferred), mapped.deferred
    keys = named_keys(mapped.receipts)
    if len(keys):
        contents[KEYS] = len(keys), keys.tobytes()
    if mapped.members:
        contents[MEMBERS] = len(mapped.members), mapped.members
    told = Told(
        split,
        part,
        made.bytes_read,
        made.lines_read,
        made.placed,
        made.home,
        made.lookups,
        combinations(mapped.receipts),
        {kind: rows for kind, (rows, _) in contents.items()},
    )
    contents[TOLD] = 0, told
    count = len(contents)
    columns = [
        list(contents),
        *([value] * count for value in (work.wave, split.file, split.start, part)),
        [rows for rows, _ in contents.values()],
        [packed(content) for _, content in contents.values()],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, MAPPED, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=MAPPED)


_benches: dict[tuple[str, int], Bench] = {}
"""The bench of the work that this worker does, kept from one task to the next."""


def _bench(work: Work) -> Bench:
    key = work.token, work.wave
    bench = _benches.get(key)
    if bench is None:
        _benches.clear()
        bench = Bench(_at_hand(work))
        for source, lookups in (work.lookups or {}).items():
            bench.hear(News(source, lookups))
        _benches[key] = bench
    return bench


def _at_hand(work: Work) -> tuple[Plan, ...]:
    """Return the plans with site files that are here; what they say is read once and kept."""
    plans = list(work.plans)
    with TemporaryDirectory() as folder:
        for source, (name, content) in work.sites.items():
            # The sha256 of the definitions holds the name and the content, and no folder.
            path = Path(folder) / str(source) / name
            path.parent.mkdir()
            path.write_bytes(content)
            plans[source] = replace(plans[source], site=path)
            load_catalogue(site=path)
    return tuple(plans)


class Named:
    """Names the input at which something failed, without what it holds."""

    def __init__(self, work: Work, split: Split) -> None:
        self._work, self._split = work, split

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, GeneratorExit):
            return
        _benches.clear()  # it may be at anything
        where = f"{self._work.inputs[self._split.file].name}, from byte {self._split.start}"
        raise named_error(where, error) from None
