"""Deriving on Spark: the rows of endpoints bucket by bucket, where the cohort lies."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from fhiradapter.analysis.parts import deriving_with, settled_names, study_of
from fhiradapter.analysis.population import FACTS, unmatched_names
from fhiradapter.analysis.together import SUBJECT, together
from fhiradapter.cluster.layout import Format
from fhiradapter.cluster.naming import naming
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.deriving import NOT_ANALYSED
from fhiradapter.engines.spark import frames, tables
from fhiradapter.engines.spark.derived import of_buckets
from fhiradapter.engines.spark.faults import without_content
from fhiradapter.engines.spark.frames import Rows, Session
from fhiradapter.engines.spark.session import spark_session
from fhiradapter.settings import Study

BUCKET = "analysed_with"
ROWS_OF_A_BUCKET = 500_000  # some hundred megabytes in a worker while they are analysed
SCHEMAS_ANALYSED = {
    table: pa.schema([field for field in schema if field.name not in NOT_ANALYSED])
    for table, schema in SCHEMAS.items()
}
MERGED = pa.schema([("gone", pa.string()), ("survivor", pa.string())])
NAMES = {"subjects": (SUBJECT, "source", "replaced_by"), **dict.fromkeys(FACTS, (SUBJECT, "source"))}


class Derived(NamedTuple):
    """The rows of all subjects, and sentences on names of the study file that mean nobody."""

    rows: Any
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class BucketWork:
    """What is done with the rows of one bucket."""

    derive: Callable[..., Any]
    study: Study
    given: tuple[Any, ...]
    accounting: Mapping[str, TypeAccount]

    def __call__(self, batches: dict[str, list[pa.RecordBatch]]) -> bytes:
        """Return what is derived of the rows of a bucket, which holds whole persons."""
        found = {
            table: pa.Table.from_batches(batches[table]).select(schema.names).cast(schema)
            if table in batches
            else schema.empty_table()
            for table, schema in SCHEMAS_ANALYSED.items()
        }
        ids = pa.concat_arrays([table.column(SUBJECT).unique() for table in found.values()])
        study = study_of(self.study, frozenset(ids.drop_null().to_pylist()))
        with naming("a bucket of subjects"), deriving_with(None):
            rows = self.derive(Cohort(found, self.accounting), study, *self.given)
        return pickle.dumps(rows, pickle.HIGHEST_PROTOCOL)


def derive_on_spark(
    cohort: str,
    derive: Callable[..., Any],
    study: Study,
    given: tuple[Any, ...],
    *,
    accounting: Mapping[str, TypeAccount],
    format: Format = "parquet",  # noqa: A002 - Spark's own name
    workers: int | None = None,
    buckets: int | None = None,
) -> Derived:
    """Return what `derive` gives of a cohort in a folder that Spark knows, derived of buckets of subjects.

    cohort: the folder of the tables. given: what `derive` is given beside the cohort and the study, whole.
    A merged record goes with its survivor. Raises WorkerError when a bucket cannot be derived.
    """
    with without_content(), spark_session(workers) as spark:
        read = {table: tables.read(spark, f"{cohort}/{table}.parquet", format) for table in SCHEMAS}
        named = _names(read, study)
        count = buckets or max(1, -(-sum(rows.count() for rows in read.values()) // ROWS_OF_A_BUCKET))
        bucket = f"cast({tables.bucket_of('person', count)} AS int) AS {BUCKET}"
        chosen = {
            table: rows.selectExpr(*SCHEMAS_ANALYSED[table].names, bucket)
            for table, rows in _with_persons(spark, read).items()
        }
        settled = study if named is None else settled_names(named, study)
        work = BucketWork(derive, settled, given, dict(accounting))
        derived = [pickle.loads(rows) for rows in of_buckets(chosen, BUCKET, work, buckets=count)]  # noqa: S301
    if not derived:  # of a cohort without any row
        derived = [pickle.loads(work({}))]  # noqa: S301 - what was just written
    return Derived(together(derived), () if named is None else unmatched_names(named, study))


def _with_persons(spark: Session, read: Mapping[str, Rows]) -> dict[str, Rows]:
    """Return the tables with the `person` of each row."""
    found = {table: rows.selectExpr("*", f"{SUBJECT} AS person") for table, rows in read.items()}
    return found | {"subjects": _with_survivors(spark, read["subjects"])}


def _with_survivors(spark: Session, people: Rows) -> Rows:
    """Return the Patients with the `person` that each is about; who replace each other in a circle stay."""
    merged = people.where("replaced_by IS NOT NULL AND subject_id IS NOT NULL")
    # Ids as the survivor of a merge has them: 'Patient/b' and 'b' mean one person.
    into = "regexp_replace(replaced_by, '^.*/', '')"
    rows = frames.home(merged.selectExpr(f"{SUBJECT} AS gone", f"{into} AS survivor"), MERGED).to_pylist()
    found, _ = survivors({row["gone"]: row["survivor"] for row in rows})
    known = frames.frame(
        spark, pa.table({"gone": list(found), "survivor": list(found.values())}, schema=MERGED)
    )
    joined = people.join(known, frames.sql(f"{SUBJECT} = gone"), "left")
    return joined.selectExpr("*", f"coalesce(survivor, {SUBJECT}) AS person")


def _names(read: Mapping[str, Rows], study: Study) -> Cohort | None:
    """Return the ids that there are, with their sources; None where the study file names nobody."""
    if not study.subjects.ids and not study.subjects.arms:
        return None
    found = {}
    for table, columns in NAMES.items():
        schema = pa.schema([SCHEMAS[table].field(name) for name in columns])
        own = frames.home(read[table].select(*columns).distinct(), schema).to_pylist()
        found[table] = [{**row, "row_id": ""} for row in own]
    return Cohort.from_rows(found)
