"""Landings: where record batches are put down while a cohort is made, in memory or in a folder of Parquet."""

import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from fhiradapter.errors import UsageError

# Columns that hardly ever say the same twice: looking for what repeats in them doubles the cost of writing.
DISTINCT = re.compile(
    r"row_id|resource_id|encounter_id|(measured|started|ended)_text|\w+_at|last_updated|source_line|\w*value"
)
# Texts by which rows are chosen; of others the least and the greatest say nothing and take long to find.
CHOSEN_BY = ("subject_id", "concept")
ROWS_AT_ONCE = 1 << 15  # a Parquet row group: large enough to compress well, some ten megabytes in memory


class Landing(Protocol):
    """Tables that grow by batches and can be read back."""

    def write(self, table: str, batch: pa.RecordBatch) -> None:
        """Add rows to a table."""
        ...

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table in the order in which they came, with all of their columns or some."""
        ...

    def replace(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Put other rows in place of a table's; they may be made from reading it."""
        ...


class MemoryLanding:
    """Tables in memory."""

    def __init__(self, schemas: dict[str, pa.Schema]) -> None:
        self._schemas = schemas
        self._batches: dict[str, list[pa.RecordBatch]] = {table: [] for table in schemas}

    def write(self, table: str, batch: pa.RecordBatch) -> None:
        """Add rows to a table."""
        self._batches[table].append(batch)

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table in the order in which they came, with all of their columns or some."""
        for batch in self._batches[table]:
            yield batch if columns is None else batch.select(columns)

    def replace(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Put other rows in place of a table's."""
        self._batches[table] = list(batches)

    def table(self, table: str) -> pa.Table:
        """Return one table whole."""
        return pa.Table.from_batches(self._batches[table], self._schemas[table])


class FolderLanding:
    """Tables as Parquet files in a folder, of which a few row groups at most are in memory."""

    def __init__(self, folder: Path, schemas: dict[str, pa.Schema]) -> None:
        self.folder = folder
        self._schemas = schemas
        self._writers: dict[str, _Writer] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, table: str, batch: pa.RecordBatch) -> None:
        """Add rows to a table."""
        if table not in self._writers:
            self._writers[table] = _Writer(self._path(table), self._schemas[table])
        self._writers[table].write(batch)

    def batches(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table; what is written afterwards begins the table anew."""
        self._close(table)
        with pq.ParquetFile(self._path(table)) as file:
            yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)

    def replace(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Put other rows in place of a table's."""
        changed = _Writer(self._path(f"{table}.changed"), self._schemas[table])
        for batch in batches:
            changed.write(batch)
        changed.close()
        self._path(f"{table}.changed").replace(self._path(table))

    def close(self) -> None:
        """Write what is pending, so that every table has its file, also without rows."""
        for table in self._schemas:
            self._close(table)

    def _close(self, table: str) -> None:
        writer = self._writers.pop(table, None)
        if writer is None and not self._path(table).exists():
            writer = _Writer(self._path(table), self._schemas[table])
        if writer is not None:
            writer.close()

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"


class _Writer:
    """One Parquet file, written by row groups of a fair size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in schema.names if not DISTINCT.fullmatch(name)],
            write_statistics=[
                field.name for field in schema if field.type != pa.string() or field.name in CHOSEN_BY
            ],
        )
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_batches(self._pending, self._schema), self._rows)
        self._pending, self._rows = [], 0


def fresh_folder(folder: Path) -> Path:
    """Return an empty folder beside the one that is to be replaced; its name says what it is."""
    partial = folder.with_name(f".{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror})") from error
    return partial


def publish(partial: Path, folder: Path, tables: Iterable[str]) -> None:
    """Put a finished folder in place of an older cohort; anything else that stands there is not touched.

    Raises UsageError when the folder holds files that no cohort has.
    """
    refuse_strangers(folder, tables)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def refuse_strangers(folder: Path, tables: Iterable[str]) -> None:
    """Raise UsageError when a folder that is to be replaced is none, or holds files that no cohort has."""
    if not folder.exists():
        return
    known = {f"{table}.parquet" for table in tables}
    if not folder.is_dir() or any(path.name not in known for path in folder.iterdir()):
        raise UsageError(f"{folder}: is no cohort's, or holds other files; choose another folder")


@contextmanager
def replacing(folder: Path, tables: Collection[str]) -> Iterator[Path]:
    """Give an empty folder that takes the place of an older cohort at the end, or is gone after an error.

    Raises UsageError at once when the older folder holds files that no cohort has.
    """
    refuse_strangers(folder, tables)
    partial = fresh_folder(folder)
    try:
        yield partial
        publish(partial, folder, tables)
    finally:
        if partial.exists():
            shutil.rmtree(partial)
