"""Whatever fails during a sync, one clean run later the store is the undisturbed one; all data synthetic."""

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

import duckdb
import pytest
from scripted_runs import FEW, study_of, sync
from scripted_runs import digest as digest_of
from scripted_server import FAULTS, ScriptedServer, scripted_server
from scripted_ward import Ward, admit, go_on

from fhiradapter.errors import FhirAdapterError
from fhiradapter.settings import Study
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.snapshot import read_snapshot

TRIED_AGAIN = tuple(fault for fault in FAULTS if fault not in {"HTML 200", "410"})
STRIDE = 9  # between the faults of a first sync; each kind begins elsewhere


class World(NamedTuple):
    """A server, a store of its first state, and what the stores of both states are to be."""

    server: ScriptedServer
    study: Study
    folder: Path
    admitted: Path
    after_admission: str
    requests_of_admission: int
    after_change: str

    def read_with(self, **more: float) -> Study:
        """Return the study with other settings of its server."""
        return study_of(self.server, self.folder, types=tuple(self.study.sync.types), **more)

    def restarted(self, name: str) -> Path:
        """Return a store of the first state."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.admitted, folder, symlinks=True)
        return folder


def world_of(folder: Path, server: ScriptedServer, types: tuple[str, ...]) -> World:
    """Sync a server undisturbed, before and after much was changed on it."""
    study = study_of(server, folder, types=types)
    sync(server, study, folder / "undisturbed")
    requests, admission = server.number, digest_of(study, folder / "undisturbed")
    shutil.copytree(folder / "undisturbed", folder / "admitted", symlinks=True)
    before = server.ward
    server.ward = Ward()
    admit(server.ward)
    go_on(server.ward)
    made = sync(server, study, folder / "undisturbed")
    assert (made.run.outcome, made.run.removed > 0, made.run.changed > 0) == ("complete", True, True)
    after = digest_of(study, folder / "undisturbed")
    assert after != admission
    server.ward = before
    return World(server, study, folder, folder / "admitted", admission, requests, after)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """A thousand failures need not be told."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _world(folder: Path, types: tuple[str, ...]) -> Iterator[World]:
    ward = Ward()
    admit(ward)
    with scripted_server(ward) as server:
        yield world_of(folder, server, types)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which all types are read."""
    yield from _world(tmp_path_factory.mktemp("everything"), ())


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which a few types are read."""
    yield from _world(tmp_path_factory.mktemp("little"), FEW)


@pytest.fixture
def changed(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world in the state after the changes."""
    world: World = request.getfixturevalue(request.param)
    before, world.server.ward = world.server.ward, Ward()
    admit(world.server.ward)
    go_on(world.server.ward)
    yield world
    world.server.ward = before


def hurried(fault: str) -> dict[str, float]:
    """Return a short deadline for answers that never come; nobody waits for the others."""
    return {"request_seconds": 0.2} if fault == "time-out" else {}


@pytest.mark.parametrize("fault", TRIED_AGAIN)
def test_what_a_second_try_mends(everything: World, tmp_path: Path, fault: str) -> None:
    """Every request of a first sync fails once: the run is complete, and its store the undisturbed one."""
    every = 16 if fault == "time-out" else 2
    study = everything.read_with(**hurried(fault))
    made = sync(
        everything.server,
        study,
        tmp_path / "store",
        faults=lambda number: fault if number % every == 1 else None,
        renewing=fault == "401",
    )
    injected = len(everything.server.injected)
    assert (made.partial, made.run.outcome) == ((), "complete")
    assert digest_of(everything.study, tmp_path / "store") == everything.after_admission
    print(f"{injected} requests failed once: {fault}")
    assert injected >= everything.requests_of_admission // (every - 1) - 1


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_first_sync(little: World, tmp_path: Path, fault: str) -> None:
    """Runs without second tries fail later and later, until one is complete; a clean one ends all of it."""
    study = little.read_with(tries=1, **hurried(fault))
    injected = 0
    for start in range(1 + FAULTS.index(fault) % STRIDE, little.requests_of_admission + 1, STRIDE):

        def faults(number: int, start: int = start) -> str | None:
            return fault if number >= start and (number - start) % 4 == 0 else None

        made = sync(little.server, study, tmp_path / "store", faults=faults)
        injected += len(little.server.injected)
        if made.run.outcome == "complete":
            break
    assert sync(little.server, little.study, tmp_path / "store").partial == ()
    assert digest_of(little.study, tmp_path / "store") == little.after_admission
    print(f"{injected} requests failed in a first sync: {fault}")
    assert injected >= 8


@pytest.mark.parametrize("changed", ["everything"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_later_sync(changed: World, fault: str) -> None:
    """The first request fails, in the next run every other one, odd or even; then comes a clean run."""
    study = changed.read_with(tries=1, **hurried(fault))
    injected = 0
    for remainder in (0, 1):
        folder = changed.restarted("store")
        made = sync(changed.server, study, folder, faults=lambda number: fault if number == 1 else None)
        assert (made.run.outcome, len(made.errors)) == ("partial", 1)
        injected += len(changed.server.injected)
        made = sync(
            changed.server,
            study,
            folder,
            faults=lambda number, remainder=remainder: (
                fault if number % 2 == remainder and number > 1 else None
            ),
        )
        injected += len(changed.server.injected)
        assert made.partial
        assert made.run.outcome == "partial"
        clean = sync(changed.server, changed.study, folder)
        assert clean.partial == ()
        assert digest_of(changed.study, folder) == changed.after_change, f"remainder {remainder}"
    print(f"{injected} requests failed in a later sync: {fault}")
    assert injected >= (4 if fault == "401" else 18)  # nobody goes on with a token that is refused


class Exit(BaseException):
    """The end of the process, as far as the code can see it."""


class Failing(Disk):
    """A disk of which some operations fail; a failed write leaves half of its bytes."""

    def __init__(self, fails_at: int, error: BaseException, kinds: frozenset[str]) -> None:
        self.left = fails_at
        self.injected = False
        self._error, self._kinds = error, kinds

    def step(self, name: str) -> None:
        if name in self._kinds:
            self.left -= 1
            if self.left == 0:
                self.injected = True
                raise self._error

    def write(self, file: BinaryIO, content: bytes) -> None:
        try:
            super().write(file, content)
        except BaseException:
            file.write(content[: len(content) // 2])
            file.flush()
            raise


FULL = frozenset({"folder", "create", "write", "copy", "link", "rename"})
FLUSHED = frozenset({"sync", "sync folder"})
REMOVED = frozenset({"remove"})
SQL = frozenset({"sql"})
DISKS: dict[str, tuple[Callable[[], BaseException], frozenset[str], int]] = {
    "disk full": (lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FULL, 1),
    "fsync error": (lambda: OSError(errno.EIO, os.strerror(errno.EIO)), FLUSHED, 1),
    "statement error": (lambda: duckdb.IOException("synthetic"), SQL, 8),
    "process exit": (Exit, FULL | FLUSHED | REMOVED | SQL, 6),
}


def faults_of(world: World, make: Callable[[int], Disk], points: Sequence[int]) -> int:
    """Fail at some operations, one run after the other on one store; return how many there were."""
    folder = world.restarted("store")
    injected = 0
    for point in points:
        disk = make(point)
        with suppress(OSError, duckdb.Error, FhirAdapterError, Exit):
            sync(world.server, world.study, folder, disk=disk)
        injected += getattr(disk, "injected", False)
        assert len(read_snapshot(folder).subjects) >= 5  # readers are never left without a snapshot
    assert sync(world.server, world.study, folder).partial == ()
    assert digest_of(world.study, folder) == world.after_change, f"operations {points}"
    return injected


@pytest.mark.parametrize("changed", ["little"], indirect=True)
@pytest.mark.parametrize("kind", DISKS)
def test_faults_of_the_disk(changed: World, kind: str) -> None:
    """Operations on files and statements fail, three runs in a row at three places, before a clean one."""
    error, steps, stride = DISKS[kind]
    counted = Failing(0, Exit(), steps)
    sync(changed.server, changed.study, changed.restarted("store"), disk=counted)
    total = -counted.left
    third = (total + 2) // 3
    injected = sum(
        faults_of(
            changed, lambda point: Failing(point, error(), steps), [first, first + third, first + 2 * third]
        )
        for first in range(1, third + 1, stride)
    )
    print(f"{injected} of {total} operations failed: {kind}")
    assert injected >= third // stride


@pytest.mark.parametrize("changed", ["little"], indirect=True)
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done"])
def test_faults_of_commits(changed: World, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> None:
    """A COMMIT or CHECKPOINT ends with an error, before it was done or after: the store cannot know which."""
    execute = Database.execute
    left = count(-1, 0)

    def failing(database: Database, statement: str, parameters: Sequence[object] = ()) -> None:
        ends = statement in {"COMMIT", "CHECKPOINT"}
        fails = ends and next(left) == 0
        if done or not fails:
            execute(database, statement, parameters)
        if fails:
            raise duckdb.IOException("synthetic")

    commits = 0

    def counting(database: Database, statement: str, parameters: Sequence[object] = ()) -> None:
        nonlocal commits
        commits += statement in {"COMMIT", "CHECKPOINT"}
        execute(database, statement, parameters)

    monkeypatch.setattr(Database, "execute", counting)
    sync(changed.server, changed.study, changed.restarted("store"))
    monkeypatch.setattr(Database, "execute", failing)
    injected = 0
    for point in range(commits):
        folder = changed.restarted("store")
        left = count(point, -1)
        with suppress(duckdb.Error, FhirAdapterError):
            sync(changed.server, changed.study, folder)
        injected += next(left) < 0
        left = count(-1, 0)
        assert sync(changed.server, changed.study, folder).partial == ()
        assert digest_of(changed.study, folder) == changed.after_change, f"commit {point + 1} of {commits}"
    print(f"{injected} commits failed, {'after' if done else 'before'} they were done")
    assert injected == commits
