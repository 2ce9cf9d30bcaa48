"""However many processes map, however files are cut: one cohort, with the same rows in the same order."""

import gzip
import json
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from faulty_bench import SECRET, Echo, FaultyBench
from incoming import (
    NOW,
    Json,
    administration,
    bundle,
    facts,
    line,
    observation,
    patient,
    weight,
)
from typer.testing import CliRunner

from fhiradapter import api
from fhiradapter.assembly import LANDED, Assembly
from fhiradapter.cli.main import app
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.engines.crew import IN_FLIGHT, Crew
from fhiradapter.errors import WorkerError
from fhiradapter.fhir import compression
from fhiradapter.fhir.files import PIECE, FileSource, lines_between
from fhiradapter.fhir.reading import Reader
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.store.landing import MemoryLanding
from fhiradapter.workbench import PART, Plan

SEED = 20_241
OURS, THEIRS = "https://our.example.org/fhir", "https://their.example.org/fhir"
LARGE = 1_200_000  # bytes of a piece that is read in three portions


def mixed_lines(draw: random.Random, name: str, count: int) -> list[bytes]:
    """Return lines of all kinds, each of which may refer to any other, in any order."""
    found: list[bytes] = []
    for number in range(count):
        sent = draw.choice(KINDS)(draw, f"{name}-{number}", f"Patient/p{draw.randrange(12)}")
        found.append(sent if isinstance(sent, bytes) else line(sent))
    return found


def identifier(draw: random.Random) -> Json:
    """Return one of a few identifiers of patients; some are of nobody, others of several."""
    return {"system": "urn:mrn", "value": str(draw.randrange(9))}


def nameless(draw: random.Random, _: str, subject: str) -> Json:
    """Return a resource that is named by its line."""
    sent = observation("", draw.randrange(50), subject=subject)
    del sent["id"]
    return sent


def waiting(draw: random.Random, own: str, _: str) -> Json:
    """Return a resource that waits for a Medication."""
    product = {"reference": f"Medication/m{draw.randrange(6)}"}
    return administration(own, medicationCodeableConcept=None, medicationReference=product)


def medication(draw: random.Random, _: str, __: str) -> Json:
    """Return one of several versions of a Medication."""
    return {
        "resourceType": "Medication",
        "id": f"m{draw.randrange(5)}",
        "batch": {"lotNumber": f"L{draw.randrange(99)}"},
    }


def bundled(_: random.Random, own: str, subject: str) -> Json:
    """Return a Bundle with a base of its own."""
    entry = {"fullUrl": f"{THEIRS}/Observation/b-{own}", "resource": observation(f"b-{own}", subject=subject)}
    return bundle("collection", [entry, {"resource": administration(f"ba-{own}")}])


def plain(draw: random.Random, own: str, subject: str) -> Json:
    """Return a result as most are."""
    return observation(own, draw.randrange(50), subject=subject)


KINDS: list[Callable[[random.Random, str, str], Json | bytes]] = [
    *[plain] * 6,
    nameless,
    waiting,
    medication,
    bundled,
    lambda draw, own, subject: patient(subject[8:], identifier=[identifier(draw)]),
    lambda draw, own, subject: observation(own) | {"subject": {"identifier": identifier(draw)}},
    lambda draw, own, subject: observation(own, subject=f"{draw.choice((OURS, THEIRS))}/{subject}"),
    lambda draw, own, subject: draw.choice(
        (b"{not json", b"", b"  ", b'{"resourceType": "Patient", "id": 7}')
    ),
    lambda draw, own, subject: weight(own, 70, "2024-03-01", hasMember=[{"reference": "Observation/a-1"}]),
    lambda draw, own, subject: observation(
        f"v-{draw.randrange(9)}", 41, subject=subject, meta={"versionId": str(draw.randrange(1, 9))}
    ),
    lambda draw, own, subject: observation(own, note=[{"text": "x" * draw.randrange(3_000)}]),
]


def write_inputs(folder: Path, seed: int) -> list[Path]:
    """Write files of several kinds and return them."""
    draw = random.Random(seed)
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.ndjson").write_bytes(b"\n".join(mixed_lines(draw, name, 120)))
    (folder / "d.ndjson.gz").write_bytes(gzip.compress(b"\n".join(mixed_lines(draw, "d", 120)) + b"\n"))
    entries = [{"resource": observation(f"e-{n}", n)} for n in range(30)]
    (folder / "e.json").write_text(json.dumps(bundle("collection", entries), indent=1))
    (folder / "f.ndjson").write_bytes(b"\n".join(line(patient(f"p{n}")) for n in range(12)) + b"\n")
    (folder / "g.txt").write_text("not FHIR")
    return sorted(folder.iterdir())


def assembled(
    paths: list[Path], *, workers: int = 1, piece: int = PIECE, part: int = PART
) -> tuple[Cohort, dict[str, TypeAccount]]:
    """Map files with injected sizes and return the cohort and the account."""
    files = FileSource(tuple(paths), Reader(2_500), tuple(MAPPERS), piece)
    context_now = int(NOW.timestamp() * 1_000_000)
    plans = (Plan("site", context_now, "run", files=files, part_bytes=part),)
    landing = MemoryLanding(LANDED)
    assembly = Assembly(landing, "run", plans, workers=workers)
    assembly.add_all([files])
    accounts = assembly.settle()
    return Cohort({table: landing.table(table) for table in SCHEMAS}, accounts), accounts


def same(found: Cohort, expected: Cohort) -> None:
    """Compare all rows of all tables, in their order."""
    for table in SCHEMAS:
        mine, theirs = found.arrow(table).combine_chunks(), expected.arrow(table).combine_chunks()
        if not mine.equals(theirs):
            pairs = zip(mine.to_pylist(), theirs.to_pylist(), strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), None)
            pytest.fail(f"{table}: {len(mine)} and {len(theirs)} rows; {first}")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of all kinds."""
    print(f"seed {SEED}")
    return write_inputs(tmp_path_factory.mktemp("workers") / "in", SEED)


@pytest.fixture(scope="module")
def expected(inputs: list[Path]) -> tuple[Cohort, dict[str, TypeAccount]]:
    """The cohort of whole files in one process."""
    return assembled(inputs)


def test_the_inputs_hold_what_makes_pieces_depend_on_each_other(
    expected: tuple[Cohort, dict[str, TypeAccount]],
) -> None:
    """Nameless resources, Bundles in lines, foreign bases, waiting resources and quarantine are all there."""
    cohort, accounts = expected
    reasons = set(cohort.arrow("issues").column("reason").to_pylist())
    assert {"FOREIGN_REFERENCE", "MALFORMED_JSON", "UNKNOWN_FORMAT", "TOO_LARGE"} <= reasons
    measurements = cohort.arrow("measurements").to_pylist()
    assert any(row["resource_id"] is None for row in measurements)
    assert any("ndjson:" in row["source_file"] for row in measurements)
    assert any((row["batch"] or "").startswith("L") for row in cohort.arrow("exposures").to_pylist())
    assert accounts["Observation"].ignored


@pytest.mark.parametrize("part", [1, 2_000, PART])
@pytest.mark.parametrize("piece", [1, 400, 3_000, 20_000, PIECE])
def test_where_files_are_cut_makes_no_difference(
    piece: int, part: int, inputs: list[Path], expected: tuple[Cohort, dict[str, TypeAccount]]
) -> None:
    """Pieces from one byte to the whole file: the same rows in the same order, and the same account."""
    if piece == 1:
        inputs = [path for path in inputs if path.name in ("b.ndjson", "f.ndjson")]
        expected = assembled(inputs)
    cohort, accounts = assembled(inputs, piece=piece, part=part)
    same(cohort, expected[0])
    assert accounts == expected[1]


@pytest.mark.parametrize("size", [7, 1_000, 5_000])
def test_where_batches_end_makes_no_difference_to_the_order_of_rows(
    size: int,
    inputs: list[Path],
    expected: tuple[Cohort, dict[str, TypeAccount]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of less than a line and of several; regular results are made in other ways than the others."""
    monkeypatch.setattr("fhiradapter.fhir.compression.PORTION", size)
    cohort, accounts = assembled(inputs, piece=3_000)
    same(cohort, expected[0])
    assert accounts == expected[1]


@pytest.mark.parametrize(("workers", "piece", "part"), [(2, 3_000, 1_000), (3, 700, PART), (2, PIECE, 1_000)])
def test_the_number_of_workers_makes_no_difference(
    workers: int, piece: int, part: int, inputs: list[Path], expected: tuple[Cohort, dict[str, TypeAccount]]
) -> None:
    """Two and three processes, with many small pieces and with whole files."""
    cohort, accounts = assembled(inputs, workers=workers, piece=piece, part=part)
    same(cohort, expected[0])
    assert accounts == expected[1]


@pytest.mark.parametrize("seed", range(1, 7))
def test_other_inputs(seed: int, tmp_path: Path) -> None:
    """Other draws of the same kinds, in a shuffled order of files."""
    print(f"seed {seed}")
    paths = write_inputs(tmp_path / "in", seed)
    whole = assembled(paths)
    random.Random(seed).shuffle(paths)
    workers = 2 if seed % 3 == 0 else 1
    cohort, accounts = assembled(paths, workers=workers, piece=1_000 * seed, part=500 * seed)
    same(cohort, whole[0])
    assert accounts == whole[1]


def test_several_sources_have_several_homes(tmp_path: Path) -> None:
    """Each source has bases and look-ups of its own, also when one crew maps them all."""
    write_inputs(tmp_path / "one", 8)
    write_inputs(tmp_path / "two", 9)
    file = tmp_path / "study.toml"
    file.write_text(
        '[study]\nid = "s"\ntitle = "s"\n[[sources]]\nname = "one"\npath = ["one"]\n'
        '[[sources]]\nname = "two"\npath = ["two"]\n'
    )
    study = api.load_study(file)
    alone = api.build_cohort(study=study, now=NOW)
    same(api.build_cohort(study=study, now=NOW, workers=2), alone)
    assert set(alone.arrow("measurements").column("source").to_pylist()) == {"one", "two"}


def test_the_lines_of_pieces_are_those_of_the_file(tmp_path: Path) -> None:
    """Every line is in exactly one piece, and lines are counted as they stand in the file."""
    content = b"".join(b"x" * (number % 23) + b"\n" for number in range(300)) + b"end"
    file = tmp_path / "lines.ndjson"
    file.write_bytes(b'{"a": 1}\n' + content)
    for size in (1, 2, 10, 64, 1_000):
        source = FileSource((file,), piece_bytes=size)
        read: list[bytes] = []
        for piece in source.pieces():
            for batch in source.read(piece):
                read += batch.lines[:]
        assert read == file.read_bytes().split(b"\n")
    assert lines_between(file, 9, file.stat().st_size) == 300


def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, kind: str, start: int, parts: int) -> Path:
    """Put benches into the workers that fail, and return the folder of their marks."""
    marks = tmp_path / "marks"
    marks.mkdir()
    bench = partial(FaultyBench, start=start, parts=parts, marks=str(marks), kind=kind)
    monkeypatch.setattr("fhiradapter.assembly.RemoteBench", bench)
    return marks


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of which a piece takes several parts."""
    file = tmp_path_factory.mktemp("large") / "large.ndjson"
    note = [{"text": "x" * 2_000}]
    file.write_bytes(b"".join(line(observation(f"o{n}", n, note=note)) + b"\n" for n in range(1_200)))
    assert file.stat().st_size > 2 * LARGE
    return file


@pytest.mark.parametrize("parts", [0, 2])
def test_a_killed_worker_loses_nothing(
    parts: int, tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one does its piece again; what had come of it already is not there twice."""
    marks = faulty(monkeypatch, tmp_path, kind="killed once", start=LARGE, parts=parts)
    cohort, accounts = assembled([large], workers=2, piece=LARGE, part=1)
    assert len(list(marks.iterdir())) == 1
    whole = assembled([large])
    same(cohort, whole[0])
    assert accounts == whole[1]
    assert accounts["Observation"].mapped == 1_200


def test_a_piece_that_kills_workers_is_named(
    tmp_path: Path, inputs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which bytes of which file, and what ended the worker; no process stays."""
    before = threading.active_count()
    marks = faulty(monkeypatch, tmp_path, kind="killed", start=6_000, parts=0)
    with pytest.raises(WorkerError, match=r"\w\.ndjson, bytes 6000 to 12000: 2 workers ended .*SIGKILL"):
        assembled(inputs, workers=2, piece=6_000)
    assert len(list(marks.iterdir())) >= 2
    assert threading.active_count() <= before


def test_a_fault_in_a_worker_is_told_without_content(
    tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the piece, the class of the error and its place, and not what the error said."""
    before = threading.active_count()
    faulty(monkeypatch, tmp_path, kind="fault", start=LARGE, parts=1)
    with pytest.raises(WorkerError) as caught:
        assembled([large], workers=2, piece=LARGE, part=1)
    assert f"large.ndjson, bytes {LARGE} to {2 * LARGE}: RuntimeError at _fail" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert threading.active_count() <= before


def test_few_tasks_are_on_their_way() -> None:
    """No more tasks are taken than the workers have in flight, and parts wait with the worker."""
    asked = done = most = 0

    def tasks() -> Iterator[int]:
        nonlocal asked, most
        for _ in range(30):
            asked += 1
            most = max(most, asked - done)
            yield 40

    crew = Crew(Echo, 2)
    try:
        for task, parts in crew.results(tasks()):
            assert len(list(parts)) == task
            done += 1
    finally:
        crew.close()
    assert done == 30
    assert most <= IN_FLIGHT * 2


def test_the_command_line_takes_workers(tmp_path: Path, inputs: list[Path]) -> None:
    """`--workers 2` writes the tables that one process writes; none at all is refused."""
    found = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        called = [*map(str, inputs), "--out", str(out), "--workers", workers]
        CliRunner().invoke(app, ["map", *called])
        record = json.loads((out / "run.json").read_bytes())
        cohort = Cohort({t: pa.parquet.read_table(out / "cohort" / f"{t}.parquet") for t in SCHEMAS}, {})
        found.append((record["accounting"], record["inputs"], record["tables"], facts(cohort)))
    assert found[0] == found[1]
    refused = CliRunner().invoke(app, ["map", str(inputs[0]), "--out", str(tmp_path / "x"), "--workers", "0"])
    assert refused.exit_code == 2


def test_portions_are_what_the_tests_cut() -> None:
    """The sizes that tests change are those of the program."""
    assert compression.PORTION > 10_000
    assert PART < PIECE
