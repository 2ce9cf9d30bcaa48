"""Rows: those of the cohort that come from a resource, taken out and put in as a whole."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.store.database import Database
from fhiradapter.store.tables import MAPPED

BESIDE = ("members", "dependencies", "lookups")
KEYED = ("source", "resource_type", "resource_id")
NO_PLACES = pa.table({"file": pa.array([], pa.string()), "line": pa.array([], pa.int32())})


def key_table(keys: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Return (source, type, id) as a table."""
    columns = zip(*keys, strict=True) if keys else ([], [], [])
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(KEYED))


def take_out(database: Database, keys: pa.Table, *, tables: Sequence[str] = (*SCHEMAS, *BESIDE)) -> None:
    """Take out the rows of resources, and what is known of their references."""
    if not keys.num_rows:
        return
    kinds = keys.column("resource_type").unique().to_pylist()
    with database.given(gone=keys):
        for table in _holding(database, kinds, tables):
            database.execute(
                f"DELETE FROM base.{table} t USING gone g WHERE t.resource_id = g.resource_id"
                " AND t.resource_type = g.resource_type AND t.source = g.source"
            )


def _holding(database: Database, kinds: list[str], tables: Sequence[str]) -> list[str]:
    """Return the tables with rows of some types: to ask that of all costs as much as one deletion in vain."""
    of_kinds = " UNION ALL ".join(
        f"(SELECT '{table}' FROM base.{table} WHERE list_contains($1, resource_type) LIMIT 1)"
        for table in tables
    )
    return [table for (table,) in database.rows(of_kinds, [kinds])]


def take_out_places(database: Database, places: pa.Table) -> None:
    """Take out the rows that come from certain lines: source, file, line."""
    if not places.num_rows:
        return
    with database.given(gone=places):
        for table in SCHEMAS:
            database.execute(
                f"DELETE FROM base.{table} t USING gone g"
                " WHERE t.source_line = g.line AND t.source_file = g.file AND t.source = g.source"
            )


def put_in(database: Database, tables: Mapping[str, Sequence[pa.RecordBatch]], without: pa.Table) -> None:
    """Put in mapped rows, but for those from the lines `without`."""
    for table, batches in tables.items():
        columns = ", ".join(f'"{name}"' for name in SCHEMAS[table].names)
        mapped = ", ".join(f'"{name}"' for name in MAPPED[table])
        query = f"INSERT INTO base.{table} SELECT {columns}, {mapped}, NULL FROM arrived a"
        if without.num_rows:
            query += " ANTI JOIN without w ON a.source_file = w.file AND a.source_line = w.line"
        given = {"arrived": pa.Table.from_batches(batches), **({"without": without} if len(without) else {})}
        with database.given(**given):
            database.execute(query)
