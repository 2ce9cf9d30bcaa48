"""A store can be made anew from its raw files alone; a raw file that was touched is noticed."""

import random
from pathlib import Path

import pytest
from incoming import administration, meta, observation, patient
from stores import MAPPER, by_type, cohort_in, fetched, grave, opened, run_in
from test_store_settlement import at, story

from fhiradapter.errors import FhirAdapterError, LockedError
from fhiradapter.fhir.units import Failure
from fhiradapter.reasons import Reason
from fhiradapter.store.journal import read_journals
from fhiradapter.store.raw import read_lines, verify
from fhiradapter.store.rebuilding import rebuild

SEED = 7


def made(folder: Path) -> str:
    """Make a store with all that can happen to one, and return its digest."""
    commits = story()
    random.Random(SEED).shuffle(commits)
    _, _ = run_in(folder, commits[:6])
    _, _ = run_in(folder, commits[6:], run="run-2")
    failed = fetched("Condition", failure=Failure(Reason.FORBIDDEN, 403), watermark="2024-03-02")
    hidden = [grave("Observation", "o1", "hidden")]
    marked = fetched("Encounter", watermark="2024-03-31")
    _, _ = run_in(folder, [[failed, marked, fetched("Observation", deleted=hidden)]], run="run-3")
    _, digest = run_in(
        folder,
        [by_type([observation("o1", value=["bad"], **at(10, 3)), observation("o1", value=["bad"])])],
        run="run-4",
    )
    return digest


def test_the_same_store_from_raw_files_alone(tmp_path: Path) -> None:
    """Without its database and its snapshots a store comes back: rows, versions, tombstones, watermarks."""
    store = tmp_path / "store"
    digest = made(store)
    with opened(store, run=None) as before:
        versions = before.database.rows(
            "SELECT resource_type, resource_id, content FROM base.versions ORDER BY ALL"
        )
        assert before.watermark("ehr", "Encounter") == "2024-03-31"
    (store / "store.duckdb").unlink()
    assert rebuild(store, mapper=MAPPER, sources=MAPPER.sources) == digest
    with opened(store, run=None) as after:
        assert after.dump_hash() == digest
        assert versions == after.database.rows(
            "SELECT resource_type, resource_id, content FROM base.versions ORDER BY ALL"
        )
        assert after.watermark("ehr", "Encounter") == "2024-03-31"
        assert after.watermark("ehr", "Condition") is None
        assert [unit.type for unit in after.failed_units()] == ["Condition"]
    counts, again = run_in(store, [by_type([observation("new")])], run="run-5")
    assert counts[0].new == 1
    assert again != digest


def test_what_was_hidden_and_came_back(tmp_path: Path) -> None:
    """That a resource is shown again as it was is in no raw file; the journal has it."""
    store = tmp_path / "store"
    run_in(store, [by_type([patient(), observation()])])
    run_in(store, [[fetched("Observation", deleted=[grave("Observation", "o1", "hidden")])]], run="run-2")
    counts, digest = run_in(store, [by_type([observation()])], run="run-3")
    assert counts[0].changed == 1
    assert cohort_in(store).issues.empty
    assert rebuild(store, mapper=MAPPER, sources=MAPPER.sources) == digest


def test_every_row_shows_its_resource(tmp_path: Path) -> None:
    """A row names its raw file and line, where its resource is as it was sent."""
    run_in(tmp_path / "store", [by_type([patient(), observation(**meta("1")), administration()])])
    cohort = cohort_in(tmp_path / "store")
    for table in ("subjects", "measurements", "exposures"):
        (row,) = cohort.arrow(table).to_pylist()
        lines = list(read_lines(tmp_path / "store" / "raw", row["source_file"]))
        assert f'"id":"{row["resource_id"]}"'.encode() in lines[row["source_line"] - 1]


def test_raw_files_are_verified(tmp_path: Path) -> None:
    """One byte changed in a raw file, a journal left out, a journal changed: each is refused by name."""
    store = tmp_path / "store"
    made(store)
    raw = store / "raw"
    journals = read_journals(raw)
    for journal, _ in journals:
        for record in journal.files:
            verify(raw, record)
            assert len(list(read_lines(raw, record.file))) == record.lines
    record = journals[0][0].files[0]
    content = (raw / record.file).read_bytes()
    (raw / record.file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FhirAdapterError, match="was changed after it was written"):
        rebuild(store, mapper=MAPPER, sources=MAPPER.sources)
    (raw / record.file).write_bytes(content)
    second = raw / journals[1][0].run_id / "00000002.json"
    text = second.read_bytes()
    second.unlink()
    with pytest.raises(FhirAdapterError, match="does not follow"):
        rebuild(store, mapper=MAPPER, sources=MAPPER.sources)
    second.write_bytes(text.replace(b'"lines": 1', b'"lines": 2', 1) + b" ")
    with pytest.raises(FhirAdapterError, match="does not follow"):
        rebuild(store, mapper=MAPPER, sources=MAPPER.sources)


def test_a_database_that_is_older_than_the_raw_files(tmp_path: Path) -> None:
    """A database from a backup, or none, is not filled up silently with half of the truth."""
    store = tmp_path / "store"
    run_in(store, [by_type([patient()])])
    old = (store / "store.duckdb").read_bytes()
    run_in(store, [by_type([observation()]), by_type([observation("o2")])], run="run-2")
    (store / "store.duckdb").write_bytes(old)
    with pytest.raises(FhirAdapterError, match="rebuild"), opened(store):
        pass
    (store / "store.duckdb").unlink()
    with pytest.raises(FhirAdapterError, match="rebuild"), opened(store):
        pass
    rebuild(store, mapper=MAPPER, sources=MAPPER.sources)
    assert len(cohort_in(store).measurements) == 2


def test_a_store_in_use_is_not_rebuilt(tmp_path: Path) -> None:
    """The lock holds for rebuilding too."""
    with opened(tmp_path / "store"), pytest.raises(LockedError):
        rebuild(tmp_path / "store", mapper=MAPPER, sources=MAPPER.sources)
