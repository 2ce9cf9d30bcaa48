"""`fhiradapter sync` ends with the promised exit code, and cleanly when it is told to; all data synthetic."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_runs import FEW, digest, study_file, study_of, sync
from scripted_server import ScriptedServer, scripted_server
from scripted_ward import Ward, admit, go_on
from test_command_line import call

from fhiradapter.store.status import read_status

ENDED_SECONDS = 30.0  # within which a command ends that is told to; a busy machine needs some of them


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server of a small ward."""
    ward = Ward()
    admit(ward)
    with scripted_server(ward) as running:
        yield running


def assert_plain(done: "subprocess.CompletedProcess[str]") -> None:
    """What is said is one line for people."""
    assert "Traceback" not in done.stderr
    assert "nanobind" not in done.stderr, done.stderr


def started(path: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start the command."""
    command = [sys.executable, "-m", "fhiradapter", "sync", str(path), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_to_end(process: "subprocess.Popen[str]") -> tuple[int, float, str]:
    """Send SIGTERM; return the exit code, the seconds that it took, and what was said."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=ENDED_SECONDS)
    return process.returncode, time.monotonic() - begun, said


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_complete_then_partial_then_complete(tmp_path: Path, server: ScriptedServer) -> None:
    """0 when all was read, 4 when a type could not be, and 0 again when that was made good."""
    path = study_file(server, tmp_path, types=FEW, concurrency=1)
    first = call("sync", path)
    assert (first.returncode, read_status(tmp_path / "store").runs[0].outcome) == (0, "complete")
    go_on(server.ward)
    server.begin(lambda number: "HTML 200" if number == 3 else None)
    second = call("sync", path)
    assert (second.returncode, read_status(tmp_path / "store").runs[0].outcome) == (4, "partial")
    assert "partial: 1 of" in second.stderr
    server.begin()
    third = call("sync", path)
    assert (third.returncode, read_status(tmp_path / "store").runs[0].outcome) == (0, "complete")
    assert read_status(tmp_path / "store").failed == []
    for done in (first, second, third):
        assert_plain(done)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("401", 5, "does not accept our credentials"),
        ("500", 6, "answered with status 500"),
        ("refused", 6, "cannot be reached"),
        ("HTML 200", 6, "the server's answer is refused: NOT_JSON"),
    ],
)
def test_servers_that_do_not_answer(
    tmp_path: Path, server: ScriptedServer, fault: str, code: int, words: str
) -> None:
    """5 when the server does not know us, 6 when its answers cannot be used."""
    server.begin(lambda _: fault)
    done = call("sync", study_file(server, tmp_path, types=FEW, tries=1))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert_plain(done)


def test_settings_and_usage(tmp_path: Path, server: ScriptedServer) -> None:
    """3 for a study that is wrong, 2 for a call that is; nobody is asked anything."""
    wrong = study_file(server, tmp_path, types=FEW, concurrency=0)
    unknown = tmp_path / "unknown.toml"
    unknown.write_text(wrong.read_text().replace('"Patient"', '"Invoice"').replace("= 0", "= 1"))
    right = tmp_path / "right.toml"
    right.write_text(wrong.read_text().replace("concurrency = 0", "concurrency = 1"))
    calls: list[tuple[tuple[Any, ...], int, str]] = [
        ((wrong,), 3, "concurrency"),
        ((unknown,), 3, "Invoice cannot be mapped"),
        ((right, "--cron", "at night"), 2, "--cron"),
        ((right, "--cron", "61 * * * *"), 2, "--cron"),
        ((right, "--every", "soon"), 2, "--every soon"),
        ((right, "--once", "--every", "1h"), 2, "exclude each other"),
    ]
    for arguments, code, words in calls:
        done = call("sync", *arguments)
        assert (done.returncode, words in done.stderr) == (code, True), (arguments, done.stderr)
        assert_plain(done)
    assert server.number == 0


def test_sigterm_between_runs_and_during_one(tmp_path: Path, server: ScriptedServer) -> None:
    """`--every 1s` goes on for ever, and ends with 0 soon after SIGTERM; the store is what it is to be."""
    study, path = study_of(server, tmp_path, types=FEW), study_file(server, tmp_path, types=FEW)
    sync(server, study, tmp_path / "undisturbed")
    server.begin()
    process = started(path, "--every", "1s")
    until((tmp_path / "store/published/current").exists)
    before = server.number
    until(lambda: server.number >= before + 8)  # a later run is under way, or over
    code, seconds, said = told_to_end(process)
    print(
        f"SIGTERM: exit code {code} after {seconds:.1f} s, {len(read_status(tmp_path / 'store').runs)} runs"
    )
    assert (code, "Traceback" in said, "nanobind" in said) == (0, False, False), said
    assert sync(server, study, tmp_path / "store").partial == ()
    assert digest(study, tmp_path / "store") == digest(study, tmp_path / "undisturbed")


def test_sigterm_while_the_server_is_busy(tmp_path: Path, server: ScriptedServer) -> None:
    """A wait that the server asked for ends at once, and so does the command; the next run makes it good."""
    study, path = study_of(server, tmp_path, types=FEW), study_file(server, tmp_path, types=FEW)
    sync(server, study, tmp_path / "store")
    go_on(server.ward)
    server.begin(lambda number: "503" if number > 2 else None)  # each time: in 30 seconds
    process = started(path)
    until(lambda: server.number >= 3)
    code, seconds, said = told_to_end(process)
    print(f"SIGTERM while the server is busy: exit code {code} after {seconds:.1f} s")
    assert seconds < 15
    assert (code, "Traceback" in said, "nanobind" in said) == (4, False, False), said
    assert read_status(tmp_path / "store").runs[0].outcome == "partial"
    assert sync(server, study, tmp_path / "store").partial == ()
    whole = tmp_path / "whole"
    sync(server, study, whole)
    assert read_status(tmp_path / "store").resources["Patient"] == read_status(whole).resources["Patient"]
