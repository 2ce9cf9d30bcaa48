"""A cohort directory: one Parquet file per table, or a folder of them, and `run.json` beside it."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import UsageError


def read_cohort(folder: Path) -> Cohort:
    """Read a cohort that `map` or `run` wrote: the folder itself, or the one that holds `cohort/`.

    Raises UsageError when a table is missing or has other columns.
    """
    place = folder / "cohort" if (folder / "cohort").is_dir() else folder
    tables = {}
    for table, schema in SCHEMAS.items():
        path = place / f"{table}.parquet"
        if not path.exists():
            raise UsageError(f"{folder}: is not a cohort directory: {table}.parquet is missing")
        if (path / "_delta_log").is_dir():
            raise UsageError(f"{path}: is a Delta table; map with --format parquet to analyse here")
        try:
            # The folders of Spark's buckets name a column that no row has.
            found = pq.read_table(path, partitioning="hive" if path.is_dir() else None)
            tables[table] = found.select(schema.names).cast(schema)
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise UsageError(f"{path}: was not written by this version of fhiradapter; map again") from error
    return Cohort(tables, read_accounting(place.parent / "run.json"))


def read_accounting(path: Path) -> dict[str, TypeAccount]:
    """Return the accounts of the run that wrote a cohort; none when its `run.json` is not there."""
    if not path.is_file():
        return {}
    run = msgspec.json.decode(path.read_bytes())
    return msgspec.convert(run.get("accounting", {}), dict[str, TypeAccount])
