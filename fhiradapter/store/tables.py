"""Tables of a store's database, those of the cohort derived from its models."""

import pyarrow as pa

from fhiradapter.cohort.schema import SCHEMAS

SCHEMA_VERSION = "1"
SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}
# What the mapping said of the columns that settlement changes, so that it can be taken back.
MAPPED = {
    "subjects": ("replaced_by",),
    "exposures": ("subject_id", "dose_cells"),
    "measurements": ("subject_id", "parent_id"),
    "events": ("subject_id",),
    "encounters": ("subject_id",),
    "issues": ("subject_id",),
}
KEY = "source VARCHAR, resource_type VARCHAR, resource_id VARCHAR"

# One row per resource that was ever seen. The latest version is the newest one received; the shown one is
# that which the rows of the cohort come from, and is another one when the latest cannot be read.
RESOURCES = f"""{KEY}, patient VARCHAR,
    version_id VARCHAR, number VARCHAR, last_updated TIMESTAMPTZ, content VARCHAR, subsetted BOOLEAN,
    differs BOOLEAN, fate VARCHAR, reason VARCHAR, file VARCHAR, line INTEGER,
    state VARCHAR, state_at TIMESTAMPTZ, state_run VARCHAR,
    shown_version_id VARCHAR, shown_number VARCHAR, shown_last_updated TIMESTAMPTZ,
    shown_fate VARCHAR, shown_reason VARCHAR, shown_file VARCHAR, shown_line INTEGER, commit_number INTEGER"""

TABLES = {
    "resources": RESOURCES,
    "versions": f"""{KEY}, version_id VARCHAR, last_updated TIMESTAMPTZ, content VARCHAR,
        file VARCHAR, line INTEGER""",
    "members": f"{KEY}, member VARCHAR, panel VARCHAR",
    "dependencies": f"{KEY}, target_type VARCHAR, target VARCHAR",
    "lookups": f"{KEY}, text BLOB",
    "meta": "name VARCHAR, value VARCHAR",
    "commits": "number INTEGER, run_id VARCHAR, digest VARCHAR, changed BOOLEAN",
    "runs": """run_id VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, kind VARCHAR, outcome VARCHAR,
        new BIGINT, changed BIGINT, removed BIGINT""",
    "units": """run_id VARCHAR, source VARCHAR, type VARCHAR, name VARCHAR, feed VARCHAR, shard VARCHAR,
        since VARCHAR, until VARCHAR, state VARCHAR, reason VARCHAR, status INTEGER, received BIGINT""",
    "failures": """source VARCHAR, type VARCHAR, name VARCHAR, feed VARCHAR, shard VARCHAR,
        patients VARCHAR[], since VARCHAR, until VARCHAR, reason VARCHAR, status INTEGER,
        first_run VARCHAR, last_run VARCHAR""",
    "watermarks": "source VARCHAR, type VARCHAR, shard VARCHAR, until VARCHAR, patients VARCHAR[]",
    "warnings": "run_id VARCHAR, source VARCHAR, type VARCHAR, unit VARCHAR, code VARCHAR",
    "received": "run_id VARCHAR, source VARCHAR, type VARCHAR, fate VARCHAR, reason VARCHAR, count BIGINT",
}

# A resource whose newest version cannot be read was received twice: as that version and as the one shown.
# One of which another source sent the same facts is not shown, as it would count twice.
ACCOUNTS = """
CREATE VIEW accounts AS
WITH aside AS (
    SELECT source, source_file, source_line, set_aside FROM base.measurements WHERE set_aside IS NOT NULL
    UNION
    SELECT source, source_file, source_line, set_aside FROM base.exposures WHERE set_aside IS NOT NULL
), received AS (
    SELECT source, resource_type, fate, reason, file, line FROM base.resources
    WHERE state NOT IN ('deleted', 'gone')
    UNION ALL
    SELECT source, resource_type, shown_fate, shown_reason, shown_file, shown_line FROM base.resources
    WHERE state NOT IN ('deleted', 'gone') AND (shown_file, shown_line) IS DISTINCT FROM (file, line)
        AND shown_file IS NOT NULL
)
SELECT r.source, r.resource_type, CASE WHEN a.set_aside IS NULL THEN r.fate ELSE 'ignored' END AS fate,
    coalesce(a.set_aside, r.reason) AS reason, count(*) AS count
FROM received r LEFT JOIN aside a
    ON a.source = r.source AND a.source_file = r.file AND a.source_line = r.line
GROUP BY ALL"""


def statements() -> list[str]:
    """Return the statements that make an empty store."""
    made = ["CREATE SCHEMA base"]
    for table, schema in SCHEMAS.items():
        declared = [f'"{field.name}" {SQL_TYPES[field.type]}' for field in schema]
        declared += [f'"mapped_{name}" {SQL_TYPES[schema.field(name).type]}' for name in MAPPED[table]]
        made.append(f"CREATE TABLE base.{table} ({', '.join(declared)}, set_aside VARCHAR)")
    issues = [f'"{field.name}" {SQL_TYPES[field.type]}' for field in SCHEMAS["issues"]]
    made.append(f"CREATE TABLE base.settlement_issues ({', '.join(issues)})")
    made += [f"CREATE TABLE base.{table} ({columns})" for table, columns in TABLES.items()]
    for table, schema in SCHEMAS.items():
        columns = ", ".join(f'"{name}"' for name in schema.names)
        view = f"SELECT {columns} FROM base.{table} WHERE set_aside IS NULL"
        if table == "issues":
            view += f" UNION ALL SELECT {columns} FROM base.settlement_issues"
        made.append(f"CREATE VIEW {table} AS {view}")
    made.append(ACCOUNTS)
    made.append(f"INSERT INTO base.meta VALUES ('schema_version', '{SCHEMA_VERSION}')")
    return made
