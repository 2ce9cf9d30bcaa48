"""Exports: the cohort's tables, or a store's resources as they were sent, in other forms."""

import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import UsageError
from fhiradapter.settings import load_study
from fhiradapter.store.bulk_ndjson import MANIFEST, write_bulk
from fhiradapter.store.current import current_resources, read_up_to
from fhiradapter.store.directory import read_cohort
from fhiradapter.store.disk import PRIVATE_FILE
from fhiradapter.store.place import Place, is_store
from fhiradapter.store.snapshot import open_snapshot, read_snapshot

Files = dict[str, Path]


def export_to(place: Path, form: str, out: Path) -> Files:
    """Write an export into a folder and return its files by what they are.

    `place` is a study file whose study has a store, a store, or a folder with a cohort. Raises UsageError for
    a form that there is not.
    """
    if form not in FORMS:
        raise UsageError(f"--to {form}: choose of {', '.join(FORMS)}")
    out.mkdir(parents=True, exist_ok=True)
    return FORMS[form](_home(place), out)


def _home(place: Path) -> Path:
    """Return the store or folder with a cohort that is meant."""
    if place.is_dir():
        return place
    study = load_study(place)
    store = study.folder / study.store.path
    return store if is_store(store) else Path("out") / study.study.id


def _cohort(home: Path) -> Cohort:
    return read_snapshot(home) if is_store(home) else read_cohort(home)


def _private(path: Path) -> BinaryIO:
    """Open a new file that only its owner may read, as in the store."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")


def to_parquet(home: Path, out: Path) -> Files:
    """Write one Parquet file per table."""
    cohort = _cohort(home)
    files = {table: out / f"{table}.parquet" for table in SCHEMAS}
    for table, path in files.items():
        with _private(path) as stream:
            pq.write_table(cohort.arrow(table), stream, compression="zstd")
    return files


def to_csv(home: Path, out: Path) -> Files:
    """Write one CSV file per table, UTF-8 with a header; a missing value is empty, an empty text quoted."""
    cohort = _cohort(home)
    files = {table: out / f"{table}.csv" for table in SCHEMAS}
    for table, path in files.items():
        with _private(path) as stream:
            pa_csv.write_csv(cohort.arrow(table), stream)
    return files


def to_ndjson(home: Path, out: Path) -> Files:
    """Write the store's resources as they were sent, a file per type, with a manifest as bulk exports have.

    Raises UsageError where there is no store: a folder with a cohort does not hold what was sent.
    """
    if not is_store(home):
        raise UsageError(f"{home}: is no store; only a store keeps resources as they were sent")
    with closing(open_snapshot(home)) as database:
        written = write_bulk(
            current_resources(database, Place(home).raw),
            out,
            transaction_time=read_up_to(database) or datetime.now(UTC),
        )
    return {path.stem: path for path in written.files} | {"manifest": out / MANIFEST}


FORMS: dict[str, Callable[[Path, Path], Files]] = {
    "parquet": to_parquet,
    "csv": to_csv,
    "ndjson": to_ndjson,
}
