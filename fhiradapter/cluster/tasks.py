"""Tasks: what Spark's Python workers do with the lines and files that Spark gives them.

Rows between stages are `MAPPED`: a table's rows as one value of bytes, or what a part told besides its rows.
"""

import io
import pickle
from collections import Counter
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
from fhiradapter.cluster.naming import named_error
from fhiradapter.cohort.receipts import combinations
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.errors import WorkerError
from fhiradapter.fhir.compression import Portion, portions_of
from fhiradapter.fhir.reading import Reader, failed
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.parts import Part, packed_batch
from fhiradapter.workbench import Bench, LaterTask, News, Plan

PORTION = 1 << 20  # bytes of lines that are mapped as one batch
TOLD, LATER, MEMBERS = "told", "later", "members"

MAPPED = pa.schema(
    [
        ("kind", pa.string()),  # a table, or one of the three above
        ("wave", pa.int32()),  # 0 as planned, 1 mapped again, 2 what waited, 3 that again
        ("file", pa.int32()),
        ("start", pa.int64()),  # the byte where Spark cut
        ("part", pa.int32()),
        ("rows", pa.int32()),
        ("content", pa.binary()),
    ]
)
PLANNED, AGAIN, WAITED, WAITED_AGAIN = range(4)


class Split(NamedTuple):
    """A piece of a file as Spark cut it."""

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
    """Rows by table, and resources that wait and members of panels by their kind."""


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


@dataclass(frozen=True)
class Work:
    """Everything that a worker needs to know, which may have neither the driver's disk nor its memory.

    `sites` are the contents of site files by source; `firsts` and `homes` say of splits that are mapped again
    what was supposed wrongly at first. With `lookups` all was read, and what waited is mapped.
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
            later: list[Later] = pickle.loads(row["content"])  # noqa: S301 - from a worker of the same run
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
        [pickle.dumps(content, pickle.HIGHEST_PROTOCOL) for _, content in contents.values()],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, MAPPED, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=MAPPED)


_benches: dict[str, Bench] = {}
"""The bench of the work that this worker does, kept from one task to the next."""


def _bench(work: Work) -> Bench:
    bench = _benches.get(work.token)
    if bench is None:
        _benches.clear()
        bench = Bench(_at_hand(work))
        for source, lookups in (work.lookups or {}).items():
            bench.hear(News(source, lookups))
        _benches[work.token] = bench
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
