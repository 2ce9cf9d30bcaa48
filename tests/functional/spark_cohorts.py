"""Cohorts made by Spark and by the local engine from the same files, to be held against each other."""

import gzip
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from incoming import NOW, administration, line, meta, observation, patient, weight
from test_streaming import resources
from test_workers import mixed_lines

from fhiradapter import api
from fhiradapter.assembly import LANDED
from fhiradapter.cluster.layout import Layout
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.settings import Study
from fhiradapter.store.directory import read_accounting

CASES = Path(__file__).parents[1] / "cases"
SPLIT = 16_000  # bytes, so that small files are cut several times
PER_KILOGRAM = {"dose": {"value": 2, "unit": "10*6.{cells}/kg", "code": "10*6.{cells}/kg"}}
OLDEST_JAVA = 17
ELSEWHERE = "viewfs://tests"
SHOWN = Path(tempfile.gettempdir()).resolve()


def why_not() -> str:
    """Return why Spark cannot run here; nothing when it can."""
    java = shutil.which("java")
    if java is None:
        return "there is no Java, and Spark needs 17 or newer"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = said.partition('"')[2].partition(".")[0]
    if not version.isdecimal() or int(version) < OLDEST_JAVA:
        return f"Spark needs Java 17 or newer, and this is {version or 'unknown'}"
    return ""


@contextmanager
def running_spark() -> Iterator[Any]:
    """Give an active session of two processors, as a notebook has one."""
    from pyspark.sql import SparkSession

    from fhiradapter.engines.spark.session import BRIEF_JAVA

    builder = SparkSession.builder.master("local[2]").appName("tests")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        # Little is computed, and compiling it well would take longer.
        "spark.driver.extraJavaOptions": BRIEF_JAVA,
        # A file system of Hadoop that Python does not know, with the files of this machine's tests.
        f"spark.hadoop.fs.viewfs.mounttable.tests.link.{SHOWN}": f"file://{SHOWN}",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.sparkContext.pythonExec = sys.executable
    try:
        yield session
    finally:
        session.stop()


def rows_of(folder: Path, table: str) -> list[str]:
    """Return all rows of a table, in an order of their own; what a bucket's folder adds is left out."""
    found = pq.read_table(folder / f"{table}.parquet").select(LANDED[table].names).cast(LANDED[table])
    return sorted(repr(sorted(row.items())) for row in found.to_pylist())


def differences(source: Any, study: Study, folder: Path, *, start: str = "", **layout: Any) -> dict[str, Any]:
    """Map with both engines and return what differs; nothing when nothing does.

    `start` stands before the paths that Spark is given, and names their file system.
    """
    accounts = api.map_to_folder(source, study, folder / "local", now=NOW)
    given = [f"{start}{path}" for path in source] if source is not None else None
    made = api.map_on_spark(given, study, f"{start}{folder}/spark", now=NOW, layout=Layout(**layout))
    found: dict[str, Any] = {}
    for table in LANDED:
        ours, theirs = rows_of(folder / "local", table), rows_of(folder / "spark" / "cohort", table)
        if ours != theirs:
            missing, added = set(ours) - set(theirs), set(theirs) - set(ours)
            found[table] = (len(ours), len(theirs), sorted(missing)[:2], sorted(added)[:2])
    if made.accounting != accounts:
        found["accounting"] = (accounts, made.accounting)
    return found


def write_everything(folder: Path, seed: int) -> None:
    """Write files of every kind: whole, damaged, compressed, empty, hidden, strangely named."""
    draw = random.Random(seed)
    folder.mkdir()
    for name in ("a", "b c %20#é[1]{2}"):
        (folder / f"{name}.ndjson").write_bytes(b"\n".join(mixed_lines(draw, name[0], 100)))
    sent = b"\n".join(mixed_lines(draw, "d", 60)) + b"\n"
    (folder / "d.ndjson.gz").write_bytes(gzip.compress(sent))
    (folder / "cut.ndjson.gz").write_bytes(gzip.compress(sent)[:-900])
    (folder / "e.ndjson.zst").write_bytes(zstandard.compress(b"\n".join(mixed_lines(draw, "e", 30))))
    (folder / "named_like_bzip.ndjson.bz2").write_bytes(line(observation("bz", 3)) + b"\n")
    (folder / "_passed_over.ndjson").write_bytes(line(observation("under", 3)) + b"\n")
    (folder / "marked.ndjson").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(mixed_lines(draw, "m", 40)))
    (folder / "raw.ndjson").write_bytes(line(patient("raw")) + b'\n{"id": "\xff\xfe"}\n\n' + b"\0\n")
    (folder / "empty.ndjson").write_bytes(b"")
    (folder / "wide.ndjson").write_bytes(line(patient()).decode().encode("utf-16"))
    (folder / "other.txt").write_text("not FHIR")
    (folder / "folder.ndjson").mkdir()
    (folder / "gone.ndjson").symlink_to(folder / "nowhere")
    write_cases(folder / "cases.ndjson")
    (folder / "settled.ndjson").write_bytes(b"\n".join(line(one) for one in to_settle()))


def write_cases(file: Path) -> None:
    """Write every golden case into one file, each resource on a line."""
    cases = [json.loads(path.read_text()) for path in sorted(CASES.glob("[!s]*/*.json"))]
    file.write_text("\n".join(json.dumps(case) for case in cases))


def to_settle() -> list[dict[str, Any]]:
    """Return resources of which something can be said only when all were read."""
    dose = {"dosage": PER_KILOGRAM, "medicationCodeableConcept": {"text": "cells"}}
    return [
        *resources(),
        patient("young", birthDate="2024-06-01"),
        observation("before", 4, subject="Patient/young"),
        observation("nobody", 4, subject="Patient/unknown"),
        patient("x", link=[{"other": {"reference": "Patient/y"}, "type": "replaced-by"}]),
        patient("y", link=[{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]),
        weight("w2", 82, "2024-03-02", subject={"reference": "Patient/p2"}),
        administration("light", subject={"reference": "Patient/y"}, **dose),
        administration("visited", context={"reference": "Encounter/never"}, **dose),
        observation("panel-a", valueQuantity=None, hasMember=[{"reference": "Observation/o3"}]),
        *(observation("twin", value, **meta("1")) for value in (1, 2, 2)),
        *(observation("named", value, meta={"versionId": name}) for value, name in ((1, "b"), (2, "a"))),
    ]


def record_of(folder: Path) -> tuple[dict[str, TypeAccount], dict[str, Any]]:
    """Return the accounts and the whole of run.json."""
    return read_accounting(folder / "run.json"), json.loads((folder / "run.json").read_text())


def schema_of(folder: Path, table: str) -> pa.Schema:
    """Return the columns of a table as they are written."""
    return pq.read_table(folder / f"{table}.parquet").schema
