"""Readers see the cohort as one run left it, at any moment of the next run; writers come one at a time."""

import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest
from incoming import observation, patient
from stores import MAPPER, NOW, by_type, cohort_in, fetched, opened, run_in
from test_store_settlement import at

from fhiradapter.errors import LockedError, UsageError
from fhiradapter.store.snapshot import open_snapshot, read_snapshot
from fhiradapter.store.status import read_status
from fhiradapter.store.store import Store

OPENINGS = int(os.environ.get("FHIRADAPTER_OPENINGS", "200"))
READS_EACH = 5  # of one opening, as an analysis reads table by table
RESULTS = 20
WHOLE = "SELECT min(value), max(value), count(*) FROM measurements"
CONTEXT = multiprocessing.get_context("forkserver")


def keep_writing(folder: str, source: str, stop: object) -> None:
    """Make runs until told to stop; after run n each result has the value n."""
    sys.path.insert(0, source)
    number = 1
    with opened(Path(folder), run=None) as store:
        while not stop.is_set():  # type: ignore[attr-defined]
            number += 1
            store.begin_run(f"run-{number:05d}", now=NOW)
            for half in (range(RESULTS // 2), range(RESULTS // 2, RESULTS)):
                store.commit(by_type([observation(f"o{one}", value=number, **at(1, number)) for one in half]))
            store.finish_run(now=NOW)


def test_a_thousand_reads_during_runs(tmp_path: Path) -> None:
    """None sees two runs at once, and none meets a lock."""
    folder = tmp_path / "store"
    run_in(
        folder, [by_type([patient(), *(observation(f"o{one}", value=1, **at(1)) for one in range(RESULTS))])]
    )
    CONTEXT.set_forkserver_preload(["stores", "test_snapshot"])
    stop = CONTEXT.Event()
    writer = CONTEXT.Process(target=keep_writing, args=(str(folder), str(Path(__file__).parent), stop))
    writer.start()
    seen = set()
    try:
        for number in range(OPENINGS):
            database = open_snapshot(folder)
            try:
                for _ in range(READS_EACH):
                    ((low, high, count),) = database.rows(WHOLE)
                    assert (low, count) == (high, RESULTS)
                    seen.add(low)
            finally:
                database.close()
            if number % 50 == 0:
                assert read_snapshot(folder).measurements["value"].nunique() == 1
                assert read_status(folder).runs
        assert writer.is_alive()
    finally:
        stop.set()
        writer.join()
    assert writer.exitcode == 0
    print(f"{OPENINGS * READS_EACH} reads, {len(seen)} snapshots seen, 0 torn, 0 lock errors")
    assert len(seen) >= 3
    assert len([path for path in (folder / "published").iterdir() if not path.is_symlink()]) == 2


def test_two_writers(tmp_path: Path) -> None:
    """The second one is told that another run holds the store, and comes in when that is over."""
    with opened(tmp_path / "store"), pytest.raises(LockedError, match="another run holds the store"):
        Store.open(tmp_path / "store", mapper=MAPPER, sources=MAPPER.sources)
    assert LockedError.exit_code == 7
    with opened(tmp_path / "store", run="run-2"):
        pass


def test_nobody_else_may_look(tmp_path: Path) -> None:
    """Folders and files are their owner's alone, and what is published nobody writes, whatever the umask."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o755)
    mask = os.umask(0)
    try:
        run_in(folder, [by_type([patient(), observation()])])
        assert os.umask(0) == 0  # the mask of the process is as before
    finally:
        os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        expected = 0o700 if path.is_dir() else 0o400 if path.name == "cohort.duckdb" else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path.name


def test_a_run_without_a_change_publishes_nothing(tmp_path: Path) -> None:
    """The snapshot stays when all is as it was, although the run is in the ledger."""
    folder = tmp_path / "store"
    run_in(folder, [by_type([patient()])])
    before = (folder / "published" / "current").readlink()
    run_in(folder, [by_type([patient()]), [fetched("Observation", watermark="2024-03-31")]], run="run-2")
    assert (folder / "published" / "current").readlink() == before
    assert [run.run_id for run in read_status(folder).runs] == ["run-2", "run-1"] or len(
        read_status(folder).runs
    ) == 2
    run_in(folder, [by_type([observation()])], run="run-3")
    assert len(cohort_in(folder).measurements) == 1


def test_folders_that_are_no_stores(tmp_path: Path) -> None:
    """A folder with other files is left alone; one without a snapshot says so."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("")
    with pytest.raises(UsageError, match="other files"), opened(tmp_path / "letters"):
        pass
    with opened(tmp_path / "store"), pytest.raises(UsageError, match="no run of this store has ended"):
        read_snapshot(tmp_path / "store")
    with pytest.raises(UsageError, match="is no store"):
        read_status(tmp_path / "letters")
