"""Buckets: the rows of whole subjects, checked against one another and written by Spark's workers."""

import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cluster.divided import (
    OF_MEMBERS,
    RANKS,
    SCHEMAS_DIVIDED,
    deliver,
    file_of_task,
    writing_beside,
)
from fhiradapter.cluster.layout import BUCKET
from fhiradapter.cluster.mapped import unpacked
from fhiradapter.cluster.naming import naming
from fhiradapter.cluster.rows import AT, LANDED
from fhiradapter.cohort.horizon import TIMES
from fhiradapter.cohort.settlement import Translation
from fhiradapter.mappers.parts import unpacked_batch
from fhiradapter.store.landing import ROWS_AT_ONCE, FolderLanding

REPORTS = pa.schema([("content", pa.binary())])


@dataclass(frozen=True)
class Writing:
    """Where tables are written, and where a file is until it is complete; folders of one disk."""

    cohort: Path
    beside: Path


@dataclass
class Report:
    """What is known of the rows of a bucket when they are written."""

    rows: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    """Subjects of whom there are rows and no Patient."""
    early: set[str] = field(default_factory=set)
    """Tables with rows from before their subject was born."""
    files: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Add what is known of other subjects."""
        for name in ("rows", "unmapped", "issues"):
            getattr(self, name).update(getattr(other, name))
        self.unknown |= other.unknown
        self.early |= other.early
        self.files += other.files


def write_buckets(work: Writing, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Write the rows of buckets, which come one after the other; yield a `Report` of each."""
    rows = (row for batch in batches for row in batch.to_pylist())
    for bucket, own in groupby(rows, key=lambda row: row["bucket"]):
        with naming("a bucket of subjects"), writing_beside(work.beside) as folder:
            report = write_bucket(
                work.cohort,
                folder,
                bucket,
                ((RANKS[row["rank"]], row["content"]) for row in own),
                file_of_task(),
            )
        content = pickle.dumps(report, pickle.HIGHEST_PROTOCOL)
        yield pa.RecordBatch.from_arrays([pa.array([content], pa.binary())], schema=REPORTS)


def write_bucket(
    cohort: Path, folder: Path, bucket: int, values: Iterator[tuple[str, bytes]], name: str
) -> Report:
    """Write (table, value of bytes) of one bucket, subjects first; `folder` is where files begin."""
    checks, panels = _Checks(), Translation.of({})
    for table, own in groupby(values, key=lambda value: value[0]):
        if table == OF_MEMBERS:
            known = pa.Table.from_batches(_together(table, (content for _, content in own)))
            panels = Translation(known["member"].combine_chunks(), known["panel"].combine_chunks())
            continue
        landing = FolderLanding(folder, {table: LANDED[table]})
        for rows in _together(table, (content for _, content in own)):
            checks.add(table, rows)
            if table == "measurements" and len(panels):
                rows = panels.apply(rows, key="row_id", changed="parent_id")  # noqa: PLW2901 - as settled
            landing.write(table, rows.select(LANDED[table].names))
        landing.close()
        place = cohort / f"{table}.parquet" / f"{BUCKET}={bucket}" / name
        place.parent.parent.mkdir(exist_ok=True)
        checks.report.files.append(str(deliver(folder / f"{table}.parquet", place)))
    return checks.reported()


def _together(table: str, contents: Iterator[bytes]) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of a fair size."""
    held: list[pa.RecordBatch] = []
    for content in contents:
        held.append(unpacked_batch(unpacked(content), SCHEMAS_DIVIDED[table]))
        if sum(batch.num_rows for batch in held) >= ROWS_AT_ONCE:
            yield pa.concat_batches(held)
            held = []
    if held:
        yield pa.concat_batches(held)


class _Checks:
    """What the rows of some whole subjects say of each other."""

    def __init__(self) -> None:
        self.report = Report()
        self._births: list[pa.RecordBatch] = []
        self._born: tuple[pa.Array, pa.Array] | None = None
        self._known: set[str | None] = {None}
        self._seen: set[str | None] = set()

    def add(self, table: str, rows: pa.RecordBatch) -> None:
        """Take notice of rows; those of subjects come before all others."""
        self.report.rows[table] += rows.num_rows
        if table == "subjects":
            self._known.update(rows.column("subject_id").to_pylist())
            self._births.append(rows.select(["subject_id", "birth_at", AT]))
        if table in ("measurements", "exposures"):
            self.report.unmapped[table] += rows.column("concept").null_count
        if table == "issues":
            pairs = zip(*(rows.column(name).to_pylist() for name in ("reason", "disposition")), strict=True)
            self.report.issues.update(pairs)
        if table in TIMES:
            self._seen.update(rows.column("subject_id").unique().to_pylist())
            if self._births and table not in self.report.early and self._is_early(table, rows):
                self.report.early.add(table)

    def reported(self) -> Report:
        """Return what is known now that all rows came."""
        self.report.unknown = {one for one in self._seen - self._known if one is not None}
        return self.report

    def _is_early(self, table: str, rows: pa.RecordBatch) -> bool:
        if self._born is None:
            births = pa.Table.from_batches(self._births)
            births = births.filter(
                pc.and_(pc.is_valid(births["birth_at"]), pc.is_valid(births["subject_id"]))
            )
            last = births.sort_by(AT).group_by("subject_id", use_threads=False)
            found = last.aggregate([("birth_at", "last")])
            self._born = (
                found["subject_id"].combine_chunks(),
                found["birth_at_last"].combine_chunks(),
            )
        subjects, births_at = self._born
        limits = births_at.take(pc.index_in(rows.column("subject_id"), subjects))
        return bool(pc.any(pc.less(rows.column(TIMES[table]), limits)).as_py())
