"""Whatever operation fails during a run, the next run ends in the store that there would have been."""

import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest
from incoming import observation, patient
from stores import by_type, fetched, grave, opened, run_in
from test_store_settlement import at, story

from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.units import Fetched
from fhiradapter.store.disk import Disk
from fhiradapter.store.snapshot import read_snapshot

FAULTS = {"disk full": errno.ENOSPC, "input/output error": errno.EIO}


class Failing(Disk):
    """A disk of which one operation fails; a failed write leaves half of its bytes."""

    def __init__(self, fails_at: int, error: int) -> None:
        self.steps: list[str] = []
        self._fails_at, self._error = fails_at, error

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self._fails_at:
            raise OSError(self._error, os.strerror(self._error))

    def write(self, file: BinaryIO, content: bytes) -> None:
        try:
            super().write(file, content)
        except OSError:
            file.write(content[: len(content) // 2])
            file.flush()
            raise


def before() -> list[list[Fetched]]:
    return [[part for commit in story()[:7] for part in commit]]


def change() -> list[list[Fetched]]:
    """Return a commit with all that a commit may hold."""
    return [
        [
            *(part for commit in story()[7:] for part in commit),
            *by_type([patient("p3"), observation("o9", **at(11))]),
            fetched("Encounter", watermark="2024-03-31", deleted=[grave("Observation", "o1", "hidden")]),
        ],
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """Return a store, the digest that it has to have after the change, and the operations of the change."""
    folder = tmp_path_factory.mktemp("prepared")
    run_in(folder / "store", before())
    shutil.copytree(folder / "store", folder / "undisturbed", symlinks=True)
    disk = Failing(0, 0)
    _, digest = run_in(folder / "undisturbed", change(), run="run-2", disk=disk)
    return folder / "store", digest, disk.steps


@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_may_fail(prepared: tuple[Path, str, list[str]], tmp_path: Path, fault: str) -> None:
    """Each write, sync, rename, copy and statement fails once with each error."""
    original, digest, steps = prepared
    injected = range(1, len(steps) + 1)
    for number in injected:
        folder = tmp_path / "store"
        shutil.copytree(original, folder, symlinks=True)
        with pytest.raises(OSError, match=r"(Input|No space)"):
            run_in(folder, change(), run="run-2", disk=Failing(number, FAULTS[fault]))
        assert len(read_snapshot(folder).subjects) >= 2  # readers are never left without a snapshot
        _, found = run_in(folder, change(), run="run-3")
        assert found == digest, f"operation {number}, {steps[number - 1]}"
        shutil.rmtree(folder)
    print(f"{len(injected)} faults: {fault}")
    assert len(injected) > 40


def test_the_operations_are_those_of_a_store(prepared: tuple[Path, str, list[str]]) -> None:
    """What can fail is counted: raw files, journals, the database, what is published."""
    kinds = set(prepared[2])
    assert {"create", "write", "sync", "rename", "sync folder", "copy", "link", "sql"} <= kinds


def test_a_store_that_failed_takes_nothing_more(tmp_path: Path) -> None:
    """After an error nothing is written until the store was opened again and put in order."""
    with opened(tmp_path / "store", disk=Failing(0, 0)) as store:
        with pytest.raises(AttributeError):
            store.commit([fetched("Observation")._replace(entries=[None])])  # type: ignore[list-item]
        with pytest.raises(FhirAdapterError, match="open the store again"):
            store.commit(by_type([observation()]))
    counts, _ = run_in(tmp_path / "store", [by_type([observation()])], run="run-2")
    assert counts[0].new == 1


def test_what_was_not_committed_is_set_aside(tmp_path: Path) -> None:
    """Raw files and a journal without a commit stay among the raw files, and count for nothing."""
    disk = Failing(0, 0)
    run_in(tmp_path / "counted", [by_type([observation()])], disk=disk)
    last = max(
        place
        for place, name in enumerate(disk.steps)
        if name == "rename" and place < disk.steps.index("link") - 3
    )
    with pytest.raises(OSError, match=r"(Input|No space)"):
        run_in(tmp_path / "store", [by_type([observation()])], disk=Failing(last + 3, errno.EIO))
    aside = [path.name for path in (tmp_path / "store" / "raw").rglob("uncommitted/*")]
    with opened(tmp_path / "store", run=None):
        pass
    aside = sorted(path.name for path in (tmp_path / "store" / "raw").rglob("uncommitted/*"))
    assert aside == ["1-00000001-Observation.ndjson.zst", "1-00000001.json"]
