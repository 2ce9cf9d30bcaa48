"""Tasks that are tried again, or by two workers at once, write everything once; seen without a session."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from incoming import NOW, line, observation, patient

pytest.importorskip("pyspark", reason="PySpark is not installed")

from fhiradapter.cluster.buckets import Writing, write_buckets
from fhiradapter.cluster.divided import DIVIDED, Dividing, divided
from fhiradapter.cluster.inputs import Form, Input
from fhiradapter.cluster.mapped import MAPPED, PLANNED, TOLD, Moves, unpacked
from fhiradapter.cluster.order import in_order
from fhiradapter.cluster.rows import LANDED
from fhiradapter.cluster.tasks import Range, Work, map_here
from fhiradapter.cohort.settlement import Settlement
from fhiradapter.errors import WorkerError
from fhiradapter.fhir.reading import Reader
from fhiradapter.workbench import Plan

SUBJECTS, RESULTS, BUCKETS = 40, 3, 3


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A file in two ranges, cut within a line."""
    file = tmp_path / "in.ndjson"
    people = [patient(f"p{number}") for number in range(SUBJECTS)]
    results = [
        observation(f"o{number}-{n}", n, subject=f"Patient/p{number}")
        for number in range(SUBJECTS)
        for n in range(1, RESULTS + 1)
    ]
    file.write_bytes(b"\n".join(map(line, people + results)))
    size = file.stat().st_size
    given = Input(0, file.name, f"file:{file}", f"file:{file}", size, Form.LINES, place=str(file))
    plan = Plan("s", int(NOW.timestamp() * 1e6), run_id="r")
    ranges = ((Range(0, 0, size // 2),), (Range(0, size // 2),))
    return Work("t", (plan,), {}, (Reader(),), (given,), PLANNED, {0: frozenset()}, ranges=ranges)


def numbers(count: int) -> Iterator[pa.RecordBatch]:
    """Yield the numbers of all tasks, as Spark gives them."""
    yield pa.record_batch({"id": pa.array(range(count), pa.int64())})


def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return the folder of the cohort, and that of files which are not complete."""
    cohort, beside = tmp_path / "cohort", tmp_path / "beside"
    (cohort / "receipts.parquet").mkdir(parents=True)
    beside.mkdir()
    return cohort, beside


def ordered(rows: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return rows of `DIVIDED` as Spark gives them to who writes buckets."""
    table = pa.Table.from_batches(rows, DIVIDED).sort_by([("bucket", "ascending"), ("rank", "ascending")])
    found: list[pa.RecordBatch] = table.to_batches()
    return found


def test_an_attempt_that_ends_early_or_comes_twice_adds_no_row(work: Work, tmp_path: Path) -> None:
    """Each table holds what was sent, in files that are named by task; nothing begun is among them."""
    cohort, beside = folders(tmp_path)
    made = pa.Table.from_batches(map_here(work, numbers(2)), MAPPED)
    kinds = made["kind"].to_pylist()
    told = [
        unpacked(row) for row, kind in zip(made["content"].to_pylist(), kinds, strict=True) if kind == TOLD
    ]
    assert len(told) > 1
    moves = Moves(in_order(told, work.inputs, work.homes).lines)
    tables = made.filter(pa.array([kind in LANDED for kind in kinds])).to_batches(max_chunksize=1)
    dividing = Dividing(moves, (0,), Settlement(), BUCKETS, cohort / "receipts.parquet", beside)
    writing = Writing(cohort, beside)

    broken = divided(dividing, iter(tables))
    next(broken)
    broken.close()
    rows = [list(divided(dividing, iter(tables))) for _ in range(2)][-1]
    broken = write_buckets(writing, iter(ordered(rows)))
    next(broken)
    broken.close()
    reports = [list(write_buckets(writing, iter(ordered(rows)))) for _ in range(2)]

    assert len(reports[0]) == len(reports[1]) == BUCKETS
    found = {
        table: sum(
            pq.ParquetFile(file).metadata.num_rows
            for file in (cohort / f"{table}.parquet").rglob("*")
            if file.is_file()
        )
        for table in ("subjects", "measurements", "receipts")
    }
    assert found == {
        "subjects": SUBJECTS,
        "measurements": SUBJECTS * RESULTS,
        "receipts": SUBJECTS * (RESULTS + 1),
    }
    assert {file.name for file in cohort.rglob("*") if file.is_file()} == {"part-00000.parquet"}
    lines = pq.read_table(cohort / "receipts.parquet")["source_line"].to_pylist()
    assert sorted(lines) == list(range(1, SUBJECTS * (RESULTS + 1) + 1))


def test_a_disk_that_is_not_shared_is_said(work: Work, tmp_path: Path) -> None:
    """A worker that does not see the input, or the place of the cohort, names it and does not go on."""
    missing = Dividing(Moves(), (0,), Settlement(), 1, tmp_path / "cohort", tmp_path / "elsewhere")
    with pytest.raises(WorkerError, match="--out is not on the disk"):
        list(divided(missing, iter([])))
    (tmp_path / "in.ndjson").unlink()
    with pytest.raises(WorkerError, match=r"in\.ndjson: is not on the disk of one of Spark's workers"):
        list(map_here(work, numbers(1)))
