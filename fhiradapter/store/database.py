"""The database of a store: one DuckDB file, its connection and its transactions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from fhiradapter.errors import FhirAdapterError
from fhiradapter.store.disk import Disk
from fhiradapter.store.tables import SCHEMA_VERSION, statements

STORAGE_VERSION = (
    "v1.4.0"  # of the oldest DuckDB that fhiradapter runs with, so that any of them reads the file
)
MEMORY = "192MB"
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": STORAGE_VERSION,
    # Hospitals' networks are closed.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": MEMORY,
    "preserve_insertion_order": "false",
    # Rows are written for good once per run; doing so in between costs a fifth of the time.
    "wal_autocheckpoint": "256MB",
}


# A writer's statements are short: to share one among threads costs more than it saves.
THREADS_WRITING, THREADS_READING = "1", "2"


@contextmanager
def _told() -> Iterator[None]:
    """Say what went wrong in our words: DuckDB's may quote what stands in the rows."""
    failure = ""
    try:
        yield
    except duckdb.ProgrammingError:
        raise  # the statement itself is wrong
    except duckdb.Error as error:
        failure = type(error).__name__
    if failure:
        raise FhirAdapterError(f"the store's database failed ({failure}); is there space on the disk?")


class Database:
    """A connection; every statement is a step of the disk, so that tests can stop between any two."""

    def __init__(
        self, path: Path, disk: Disk, *, waiting: Path | None = None, read_only: bool = False
    ) -> None:
        """Open a database, and make its tables when it is new.

        Raises FhirAdapterError when another version of fhiradapter made it, or it is none.
        """
        self._disk = disk
        self._facts: dict[str, str] | None = None  # nobody else writes while this one is open
        try:
            config = {**SETTINGS, "threads": THREADS_READING if read_only else THREADS_WRITING}
            if waiting is not None:
                config["temp_directory"] = str(waiting)
            self._connection = duckdb.connect(path, read_only=read_only, config=config)
        except duckdb.Error as error:
            raise FhirAdapterError(f"{path.name}: cannot be opened ({type(error).__name__})") from error
        try:
            self._connection.execute("SET TimeZone = 'UTC'")
            self._check(path, read_only=read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; DuckDB complains at exit of one that was left open."""
        self._connection.close()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        with _told():
            self._disk.step("sql")
            self._connection.execute(statement, list(parameters)).fetchall()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a small query."""
        with _told():
            return self._connection.execute(query, list(parameters)).fetchall()

    def value(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the one value of a query; None without a row."""
        # All of it: a connection with a result that waits does nothing else.
        rows = self.rows(query, parameters)
        return rows[0][0] if rows else None

    def table(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the rows of a query as Arrow."""
        with _told():
            return self._connection.sql(query, params=list(parameters) or None).to_arrow_table()

    def batches(self, query: str, rows: int = 20_000) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query in portions."""
        with _told():
            reader = self._connection.sql(query).to_arrow_reader(rows)
            yield from reader

    @contextmanager
    def given(self, **tables: pa.Table) -> Iterator[None]:
        """Let queries read Arrow tables by name."""
        try:
            for name, table in tables.items():
                self._connection.register(name, table)
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done inside happen as a whole, or not at all."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def meta(self, name: str) -> str | None:
        """Return a fact about the store."""
        if self._facts is None:
            self._facts = dict(self.rows("SELECT name, value FROM base.meta"))
        return self._facts.get(name)

    def set_meta(self, name: str, value: str) -> None:
        """Remember a fact about the store."""
        known = self.meta(name)
        if known is None:
            self.execute("INSERT INTO base.meta VALUES (?, ?)", [name, value])
        elif known != value:
            self.execute("UPDATE base.meta SET value = ? WHERE name = ?", [value, name])
        self._facts = {**(self._facts or {}), name: value}

    def _check(self, path: Path, *, read_only: bool) -> None:
        try:
            version = self.meta("schema_version")
        except duckdb.CatalogException:
            version = None
        if version is not None:
            if version != SCHEMA_VERSION:
                raise FhirAdapterError(
                    f"{path.name}: was made by another version of fhiradapter (tables {version}, not"
                    f" {SCHEMA_VERSION}); make it anew with `fhiradapter rebuild`"
                )
        elif read_only:
            raise FhirAdapterError(f"{path.name}: holds no store")
        else:
            with self.transaction():
                for statement in statements():
                    self._connection.execute(statement)

    def _roll_back(self) -> None:
        self._facts = None
        # When the commit itself failed the transaction is gone already.
        with suppress(duckdb.Error):
            self._connection.execute("ROLLBACK")
