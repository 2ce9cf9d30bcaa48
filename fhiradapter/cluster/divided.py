"""Divided: mapped rows as settlement leaves them, in one value of bytes for each table and bucket."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fhiradapter.cluster.hashes import numbers
from fhiradapter.cluster.mapped import Moves, packed
from fhiradapter.cluster.naming import naming
from fhiradapter.cluster.rows import AT, LANDED, PANELS, Wanted, rows_of
from fhiradapter.cohort.settlement import Settlement
from fhiradapter.engines.spark.attempts import number_of_task
from fhiradapter.errors import WorkerError
from fhiradapter.mappers.parts import is_constant, packed_batch
from fhiradapter.store.landing import FolderLanding

OF_MEMBERS = "panels"
# Subjects come first in a bucket, so that what the others say of them can be checked at once, and panels
# before their members.
RANKS = ["subjects", OF_MEMBERS, *(table for table in LANDED if table not in ("subjects", "receipts"))]
SCHEMAS_DIVIDED = {
    **LANDED,
    # Of several births of a subject the last one counts, in the order in which one process would read.
    "subjects": LANDED["subjects"].append(pa.field(AT, pa.binary())),
    OF_MEMBERS: PANELS.append(pa.field("subject_id", pa.string())),
}
DIVIDED = pa.schema([("bucket", pa.int32()), ("rank", pa.int32()), ("content", pa.binary())])
HELD = 64 << 20  # bytes of rows that a task holds until it divides those of a table


@dataclass(frozen=True)
class Dividing:
    """What a task has to know: the settlement, the number of buckets, and where receipts are written."""

    moves: Moves
    sources: tuple[int, ...]
    settlement: Settlement
    buckets: int
    receipts: Path
    beside: Path
    """A folder of the same disk, where a file is until it is complete."""

    def wanted(self, table: str) -> Wanted:
        """Return what is wanted of a table."""
        columns = tuple(LANDED[table].names)
        return Wanted(table, self.moves, self.sources, columns, self.settlement, table == "subjects")


def divided(work: Dividing, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows of `DIVIDED` from rows of `MAPPED`; receipts are not divided, and written here."""
    wanted = {table: work.wanted(table) for table in LANDED}
    held: dict[str, list[pa.RecordBatch]] = {table: [] for table in RANKS}
    sizes = dict.fromkeys(RANKS, 0)
    with naming("rows to be divided"), writing_beside(work.beside) as folder:
        receipts = FolderLanding(folder, {"receipts": LANDED["receipts"]})
        received = False
        for row in (row for batch in batches for row in batch.to_pylist() if work.moves.holds(row)):
            table = row["kind"]
            rows = rows_of(wanted[table], row)
            if table == "receipts":
                receipts.write(table, rows)
                received = True
                continue
            held[table].append(rows)
            sizes[table] += rows.nbytes
            if sum(sizes.values()) >= HELD:
                largest = max(sizes, key=sizes.__getitem__)
                yield from pieces(largest, held[largest], work.buckets)
                held[largest], sizes[largest] = [], 0
        for table, rest in held.items():
            if rest:
                yield from pieces(table, rest, work.buckets)
        if received:
            receipts.close()
            deliver(folder / "receipts.parquet", work.receipts / file_of_task())


def divided_panels(buckets: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows of `DIVIDED` from members with their panels, each in the bucket of the member."""
    with naming("panels to be divided"):
        for batch in batches:
            yield from pieces(OF_MEMBERS, [batch], buckets)


def pieces(table: str, batches: list[pa.RecordBatch], buckets: int) -> Iterator[pa.RecordBatch]:
    """Yield rows of `DIVIDED`, one for each bucket in which there are any of the rows."""
    whole = pa.concat_batches(batches)
    if not whole.num_rows:
        return
    found = numbers(whole.column("subject_id"), buckets)
    constant = [name for name in whole.schema.names if is_constant(whole.column(name))]
    rest = whole.drop_columns(constant)
    order = np.argsort(found, kind="stable")
    if buckets > 1:
        rest = rest.take(pa.array(order))
    cuts = np.searchsorted(found[order], np.arange(buckets + 1))
    here = np.flatnonzero(np.diff(cuts)).tolist()
    firsts = whole.slice(0, 1).select(constant).to_pylist()[0]
    contents = []
    for bucket in here:
        count, own, content = packed_batch(rest.slice(cuts[bucket], cuts[bucket + 1] - cuts[bucket]))
        contents.append(packed((count, firsts | own, content)))
    columns = [here, [RANKS.index(table)] * len(here), contents]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, DIVIDED, strict=True)]
    yield pa.RecordBatch.from_arrays(arrays, schema=DIVIDED)


@contextmanager
def writing_beside(folder: Path) -> Iterator[Path]:
    """Give a folder of its own to an attempt of a task; what is not delivered from it goes with its parent.

    Raises WorkerError when the disk is not one that driver and workers share.
    """
    if not folder.is_dir():
        raise WorkerError(
            "--out is not on the disk of one of Spark's workers; give the url of a file system that all"
            " of them reach"
        )
    own = folder / uuid.uuid4().hex
    own.mkdir()
    yield own


def deliver(file: Path, place: Path) -> Path:
    """Put a complete file in its place; that of another attempt, which holds the same rows, is replaced."""
    place.parent.mkdir(exist_ok=True)
    return file.replace(place)


def file_of_task() -> str:
    """Return the name of what this task writes, whichever attempt of it this is."""
    return f"part-{number_of_task():05}.parquet"
