"""The dump: everything that a store says, in a fixed order, as one digest."""

import hashlib

import pyarrow as pa
from pyarrow import csv

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.store.database import Database

# Where and when something was read differs between two stores that say the same.
LEFT_OUT = {"source_file", "source_line", "run_id"}
RESOURCES = """
SELECT source, resource_type, resource_id, patient, version_id, epoch_us(last_updated) AS last_updated,
    content, subsetted, differs, fate, reason, state, epoch_us(state_at) AS state_at, shown_version_id,
    epoch_us(shown_last_updated) AS shown_last_updated, shown_fate, shown_reason
FROM base.resources WHERE state NOT IN ('deleted', 'gone') ORDER BY ALL"""
# Of what is away it counts that it is, and not which version of it was read before or after that was told.
REMOVED = """
SELECT source, resource_type, resource_id, state, epoch_us(state_at) AS state_at
FROM base.resources WHERE state IN ('deleted', 'gone') ORDER BY ALL"""
WATERMARKS = "SELECT * REPLACE (array_to_string(patients, ' ') AS patients) FROM base.watermarks ORDER BY ALL"
MEMBERS = "SELECT * FROM base.members ORDER BY ALL"
LOOKUPS = "SELECT source, resource_type, resource_id, sha256(text) FROM base.lookups ORDER BY ALL"


def dump_queries() -> dict[str, str]:
    """Return what is dumped, by name, in order."""
    queries = {}
    for table, schema in SCHEMAS.items():
        columns = ", ".join(f'"{name}"' for name in schema.names if name not in LEFT_OUT)
        queries[table] = f"SELECT {columns} FROM {table} ORDER BY ALL"
    return {
        **queries,
        "resources": RESOURCES,
        "removed": REMOVED,
        "watermarks": WATERMARKS,
        "members": MEMBERS,
        "lookups": LOOKUPS,
    }


def dump_hashes(database: Database) -> dict[str, str]:
    """Return the sha256 of each part of a store; equal parts have equal ones."""
    found = {}
    for name, query in dump_queries().items():
        digest = hashlib.sha256()
        for batch in database.batches(query):
            sink = pa.BufferOutputStream()
            csv.write_csv(batch, sink, csv.WriteOptions(include_header=False))
            digest.update(sink.getvalue())
        found[name] = digest.hexdigest()
    return found


def dump_hash(database: Database) -> str:
    """Return one sha256 of everything."""
    return hashlib.sha256("\n".join(dump_hashes(database).values()).encode()).hexdigest()
