"""The Spark engine makes the cohort of the local engine, row for row, from whatever files."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from incoming import NOW, administration, line, meta, observation, patient
from spark_cohorts import (
    ELSEWHERE,
    SPLIT,
    differences,
    record_of,
    rows_of,
    running_spark,
    why_not,
    write_cases,
    write_everything,
)
from test_several_sources import FIRST, SECOND
from test_workers import write_inputs
from typer.testing import CliRunner

from fhiradapter import api
from fhiradapter.cli.main import app
from fhiradapter.cluster.layout import Layout
from fhiradapter.errors import UsageError, WorkerError
from fhiradapter.reasons import Reason
from fhiradapter.runs import map_study
from fhiradapter.store.directory import read_cohort

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "Spark runs here"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets to Java are closed by its collector
]
EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "Erika Mustermann"


@pytest.fixture(scope="module", autouse=True)
def spark() -> Iterator[Any]:
    """One session for all tests, in which files are cut as large ones are."""
    with pytest.MonkeyPatch.context() as patch, running_spark() as session:
        patch.setattr("fhiradapter.engines.spark.frames.SMALLEST_SPLIT", SPLIT)
        yield session


@pytest.fixture(scope="module", params=["", ELSEWHERE], ids=["shared disk", "file system of Hadoop"])
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both cohorts of files of every kind; the differences are in a file beside them.

    Once workers read and write by themselves, and once Spark does so for them.
    """
    folder = tmp_path_factory.mktemp("everything")
    write_everything(folder / "in", 20_242)
    if request.param:
        (folder / "in" / "gone.ndjson").unlink()  # Hadoop does not show a link that leads nowhere
    study = folder / "study.toml"
    study.write_text('[study]\nid = "s"\ntitle = "s"\n[limits]\nresource_bytes = 2500\n')
    found = differences([folder / "in"], api.load_study(study), folder, start=request.param, buckets=3)
    (folder / "differences.json").write_text(json.dumps(found, default=str))
    return folder


def test_files_of_every_kind_give_the_same_rows(everything: Path) -> None:
    """Cut, compressed, damaged, merged, repeated, waiting: all tables, receipts and accounts agree."""
    assert json.loads((everything / "differences.json").read_text()) == {}


def test_the_files_hold_what_makes_splits_depend_on_each_other(everything: Path) -> None:
    """What only the whole shows is there, so that the agreement above means something."""
    cohort = read_cohort(everything / "spark")
    reasons = set(cohort.arrow("issues").column("reason").to_pylist())
    assert reasons >= {
        *("BEFORE_BIRTH", "DOSE_WITHOUT_WEIGHT", "DUPLICATE", "EMPTY_FILE", "FOREIGN_REFERENCE"),
        *("INVALID_ENCODING", "MERGE_CYCLE", "NOT_A_FILE", "ORPHAN_REFERENCE", "ORPHAN_SUBJECT"),
        *("SAME_VERSION_DIFFERS", "SUPERSEDED", "TRUNCATED_FILE", "UNKNOWN_FORMAT"),
    }
    measurements = cohort.arrow("measurements").to_pylist()
    nameless = [row for row in measurements if row["resource_id"] is None and row["source_line"] > 50]
    assert nameless
    assert all(f":{row['source_line']}" in row["row_id"] for row in nameless)
    assert any(row["parent_id"] for row in measurements)


def test_the_rows_of_a_subject_lie_in_one_bucket(everything: Path) -> None:
    """Every table has its buckets in folders, and all tables put a subject into the same one."""
    buckets: dict[str | None, set[str]] = {}
    for table in ("subjects", "measurements", "exposures", "issues"):
        for file in (everything / "spark" / "cohort" / f"{table}.parquet").glob("subject_bucket=*/*.parquet"):
            for subject in pq.ParquetFile(file).read(["subject_id"])["subject_id"].to_pylist():
                buckets.setdefault(subject, set()).add(file.parent.name)
    assert all(len(found) == 1 for found in buckets.values())
    assert buckets[None] == {"subject_bucket=0"}
    assert set.union(*buckets.values()) == {f"subject_bucket={number}" for number in range(3)}


def test_tables_that_copies_leave_empty(tmp_path: Path) -> None:
    """A result and a dose that came twice, nobody's Patient, and of the dose no row is left."""
    sent = [
        *(observation("o", value, **meta(str(value), f"2024-03-0{value}T00:00:00Z")) for value in (1, 2)),
        administration("a", **meta("1", "2024-03-01T00:00:00Z")),
        administration("a", status="entered-in-error", **meta("2", "2024-03-02T00:00:00Z")),
    ]
    (tmp_path / "in.ndjson").write_bytes(b"\n".join(map(line, sent)))
    assert differences([tmp_path / "in.ndjson"], api.anonymous_study(), tmp_path) == {}
    assert len(rows_of(tmp_path / "spark" / "cohort", "measurements")) == 1
    assert rows_of(tmp_path / "spark" / "cohort", "exposures") == []


def test_several_sources_keep_apart_what_is_theirs(tmp_path: Path) -> None:
    """Two sources with bases, look-ups and a site file of their own, persons and facts in both."""
    write_inputs(tmp_path / "one", 8)
    write_inputs(tmp_path / "two", 9)
    (tmp_path / "one" / "same.ndjson").write_text("\n".join(FIRST))
    (tmp_path / "two" / "same.ndjson").write_text("\n".join(SECOND))
    (tmp_path / "site.toml").write_bytes((EXAMPLES / "als_treg" / "site.toml").read_bytes())
    file = tmp_path / "study.toml"
    file.write_text(
        '[study]\nid = "s"\ntitle = "s"\n[[sources]]\nname = "one"\npath = ["one"]\n'
        'site = "site.toml"\n[[sources]]\nname = "two"\npath = ["two"]\n'
    )
    assert differences(None, api.load_study(file), tmp_path) == {}
    reasons = rows_of(tmp_path / "spark" / "cohort", "issues")
    assert any("SAME_FACT" in row for row in reasons)


def test_the_record_is_that_of_a_local_run(tmp_path: Path) -> None:
    """run.json: the same accounts, counts, hashes and inputs; only the versions add Spark's."""
    write_cases(tmp_path / "cases.ndjson")
    study = api.anonymous_study()
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark" / "report.html").write_text("of older data")
    for engine in ("local", "spark"):
        map_study([tmp_path / "cases.ndjson"], study, tmp_path / engine, now=NOW, engine=engine)
    (_, local), (_, found) = record_of(tmp_path / "local"), record_of(tmp_path / "spark")
    assert found.pop("versions").keys() - local.pop("versions").keys() == {"spark"}
    assert found == local
    assert not (tmp_path / "spark" / "report.html").exists()


def test_a_url_names_what_a_path_names(tmp_path: Path, spark: Any) -> None:
    """Folders, files and globs of a file system of Hadoop give the names that rows of local files carry."""
    from fhiradapter.cluster.inputs import inputs_of
    from fhiradapter.engines.spark.storage import Storage
    from fhiradapter.fhir.files import FileSource

    folder = tmp_path / "in"
    write_everything(folder, 1)
    (folder / "gone.ndjson").unlink()  # Hadoop does not show a link that leads nowhere
    (folder / "inner" / ".hidden").mkdir(parents=True)
    (folder / "inner" / "a.ndjson").write_bytes(line(patient()))
    (folder / "inner" / ".hidden" / "b.ndjson").write_bytes(line(patient()))
    (folder / "readme.txt").write_text("passed over")
    storage = Storage(spark)
    for given in ("", "/a.ndjson", "/*.ndjson"):
        here, there = (
            [
                (one.name, one.form, one.url)
                for one in inputs_of(storage, [FileSource((f"{start}{folder}{given}",))])
            ]
            for start in ("", "file:")
        )
        assert here == there
        assert here
    with pytest.raises(UsageError, match="there is no such file"):
        inputs_of(storage, [FileSource((f"file:{folder}/none*",))])


def test_a_file_that_java_cannot_hold_is_said(
    tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed file of more than 2 GB is not read; an issue says what to do."""
    from fhiradapter.cluster import inputs
    from fhiradapter.engines.spark.storage import Storage
    from fhiradapter.fhir.files import FileSource

    (tmp_path / "large.json").write_text(json.dumps(patient(), indent=1))
    monkeypatch.setattr(inputs, "LARGEST_WHOLE", 10)
    (found,) = inputs.inputs_of(Storage(spark), [FileSource((f"{ELSEWHERE}{tmp_path}",))])
    assert found.reason is Reason.FILE_TOO_LARGE
    (here,) = inputs.inputs_of(Storage(spark), [FileSource((tmp_path,))])
    assert here.reason is None  # workers read it piece by piece


def test_a_fault_names_the_input_and_not_what_it_holds(tmp_path: Path, spark: Any) -> None:
    """What a worker stumbles over reaches the driver as the input's name, the error's class and its place."""
    import faulty_spark

    from fhiradapter.engines.spark import frames
    from fhiradapter.engines.spark.faults import without_content

    (tmp_path / "in.ndjson").write_bytes(line(patient(name=[{"text": SECRET}])))
    spark.sparkContext.addPyFile(faulty_spark.__file__)  # workers do not look into folders of tests
    given = frames.lines(spark, [str(tmp_path / "in.ndjson")])
    with pytest.raises(WorkerError) as caught, without_content():
        frames.mapped(given, faulty_spark.stumble, SECRET, faulty_spark.SCHEMA).collect()
    assert str(caught.value).startswith("in.ndjson, from byte 0: ValueError at stumble:")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_run_that_fails_leaves_the_older_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-done stays beside it, and files of others are not replaced."""
    (tmp_path / "in.ndjson").write_bytes(line(observation("o", 1)))
    out = tmp_path / "out"
    (out / "cohort" / "subjects.parquet").mkdir(parents=True)
    monkeypatch.setattr("fhiradapter.cluster.mapping.Settling.settle", _broken)
    with pytest.raises(WorkerError, match="broken"):
        api.map_on_spark([tmp_path / "in.ndjson"], api.anonymous_study(), out, now=NOW)
    assert [path.name for path in out.iterdir()] == ["cohort"]
    (out / "cohort" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        api.map_on_spark([tmp_path / "in.ndjson"], api.anonymous_study(), out, now=NOW)


def test_without_java_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PySpark's own error says that a gateway ended; ours names Java, its version and where it is sought."""
    from pyspark import SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    def ended(**_: Any) -> None:
        raise PySparkRuntimeError(errorClass="JAVA_GATEWAY_EXITED", messageParameters={})

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkContext, "_ensure_initialized", ended)
    with pytest.raises(UsageError, match="Java 17 or newer, found by JAVA_HOME"):
        api.map_on_spark([tmp_path], api.anonymous_study(), tmp_path / "out")


def _broken(_: Any) -> None:
    raise WorkerError("broken")


def test_what_cannot_be_done_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No PySpark, no Delta Lake, processors of a running session, no files, the other engine's options."""
    study = api.anonymous_study()
    (tmp_path / "in.ndjson").write_bytes(line(patient()))
    source, out = [tmp_path / "in.ndjson"], tmp_path / "out"
    with pytest.raises(UsageError, match=r"io\.delta:delta-spark"):
        api.map_on_spark(source, study, out, layout=Layout("delta"))
    with pytest.raises(UsageError, match="leave out --workers"):
        api.map_on_spark(source, study, out, workers=2)
    with pytest.raises(UsageError, match="reads files"):
        api.map_on_spark([patient()], study, out)
    with pytest.raises(UsageError, match="--engine spark reads other file systems"):
        api.map_to_folder(["s3a://bucket/none"], study, out)
    refused = CliRunner().invoke(app, ["map", str(source[0]), "--out", str(out), "--buckets", "3"])
    assert isinstance(refused.exception, UsageError)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setattr(api, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'fhiradapter\[spark\]'"):
        api.map_on_spark(source, study, out)
    assert not out.exists()
