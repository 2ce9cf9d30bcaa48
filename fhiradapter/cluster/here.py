"""Here: the cohort written by Spark's workers themselves, on a disk that they share with the driver."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from fhiradapter.cluster.buckets import REPORTS, Report, Writing, write_bucket, write_buckets
from fhiradapter.cluster.counted import Counted
from fhiradapter.cluster.divided import (
    DIVIDED,
    OF_MEMBERS,
    RANKS,
    SCHEMAS_DIVIDED,
    Dividing,
    divided,
    divided_panels,
    pieces,
    writing_beside,
)
from fhiradapter.cluster.holdings import SparkRows
from fhiradapter.cluster.mapped import MEMBERS
from fhiradapter.cluster.rows import LANDED
from fhiradapter.cohort.settlement import Settlement
from fhiradapter.engines.spark import frames
from fhiradapter.engines.spark.frames import Rows
from fhiradapter.errors import WorkerError

ADDED = "part-settled.parquet"  # the issues that settlement found, beside those of the tasks


@dataclass(kw_only=True)
class RowsHere(SparkRows):
    """Rows whose tables the workers write: all those of a bucket in one task, which checks them too.

    What Spark moves are values of bytes. `place` is the folder of the cohort and `beside` one for files that
    are not complete; every attempt of a task begins its own, and puts them under the task's names.
    """

    place: Path
    beside: Path
    _report: Report = field(default_factory=Report)

    def change(self, settlement: Settlement) -> None:
        """Write the tables as settlement leaves them, with the issues that are known."""
        self._settlement = settlement
        self.place.mkdir(parents=True)
        self.beside.mkdir(parents=True)
        names = [table for table in LANDED if self.rows[table]]
        if not names:
            return
        buckets = self.layout.buckets or 1
        (self.place / "receipts.parquet").mkdir()
        work = Dividing(
            self.moves, self.sources, settlement, buckets, self.place / "receipts.parquet", self.beside
        )
        rows = frames.mapped(self._sent(*names), divided, work, DIVIDED)
        if self.rows[MEMBERS]:
            rows = rows.union(self._panels(buckets))
        spread = frames.by_number(rows, "bucket", buckets)
        ordered = spread.sortWithinPartitions("bucket", "rank")
        written = frames.mapped(ordered, write_buckets, Writing(self.place, self.beside), REPORTS)
        for content in frames.home(written, REPORTS).column("content").to_pylist():
            self._report.add(pickle.loads(content))  # noqa: S301 - from our workers
        receipts = sum(
            pq.read_metadata(file).num_rows for file in (self.place / "receipts.parquet").iterdir()
        )
        missing = [file for file in self._report.files if not Path(file).is_file()]
        if missing or receipts != self.rows["receipts"]:
            raise WorkerError("workers wrote what is not to be found here; is the disk of --out shared?")

    def _panels(self, buckets: int) -> Rows:
        """Return what members are to be told of their panels, which may be of other subjects."""
        rows = self._unpacked("measurements", "row_id", "subject_id", settled=True)
        joined = rows.join(self._panels_of_members(), frames.sql("row_id = member"))
        chosen = joined.select(*SCHEMAS_DIVIDED[OF_MEMBERS].names)
        return frames.mapped(chosen, divided_panels, buckets, DIVIDED)

    def _written(self, table: str) -> Rows:
        """Return what was written of a table; of one without rows nothing is there before the end."""
        if (self.place / f"{table}.parquet").is_dir():
            return super()._written(table)
        return frames.frame(self.spark, LANDED[table].empty_table())

    def _early_tables(self, filled: list[str], births: Rows) -> list[str]:  # noqa: ARG002 - writing told it
        """Return the tables with rows from before their subject was born."""
        return [table for table in filled if table in self._report.early]

    def unknown_subjects(self, merged: Mapping[str, str]) -> set[str]:
        """Return the subjects of whom there are rows and no Patient, rows that a copy replaced among them."""
        dropped = self._subjects_of_dropped(merged)
        among = self._unknown_among(self._named(dropped)) if dropped else set()
        return self._report.unknown | among

    def close(self) -> None:
        """Write the issues that settlement added; a table without rows has a file that says its columns."""
        if self._issues:
            with writing_beside(self.beside) as folder:
                for found in pieces("issues", self._issues, self.layout.buckets or 1):
                    for row in found.to_pylist():
                        value = (RANKS[row["rank"]], row["content"])
                        told = write_bucket(self.place, folder, row["bucket"], iter([value]), ADDED)
                        self._report.add(told)
        for table, schema in LANDED.items():
            folder = self.place / f"{table}.parquet"
            folder.mkdir(exist_ok=True)
            if not any(folder.iterdir()):
                pq.write_table(schema.empty_table(), folder / "part-00000.parquet")

    def counted(self) -> Counted:
        """Return what the tables hold, which writing told."""
        report = self._report
        return Counted.of(report.rows, report.unmapped, report.issues.items())
