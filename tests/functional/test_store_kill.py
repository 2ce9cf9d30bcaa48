"""A run that is killed at any moment leaves a store in which the next run ends as if nothing had happened."""

import multiprocessing
import os
import random
import shutil
import sys
import time
from pathlib import Path

import pytest
from stores import run_in
from test_store_crash import before, change

SEED = 20_260_101
KILLS = int(os.environ.get("FHIRADAPTER_KILLS", "20"))
CONTEXT = multiprocessing.get_context("forkserver")


def run_change(folder: str, source: str) -> None:
    """Make the run that is going to be killed, in a process of its own."""
    sys.path.insert(0, source)
    run_in(Path(folder), change(), run="run-2")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_at_random_moments(tmp_path: Path) -> None:
    """kill -9 at random moments of a run; the next one needs no repair and gives the undisturbed digest."""
    here = str(Path(__file__).parent)
    CONTEXT.set_forkserver_preload(["stores", "test_store_kill"])
    run_in(tmp_path / "prepared", before())
    shutil.copytree(tmp_path / "prepared", tmp_path / "undisturbed", symlinks=True)
    _, digest = run_in(tmp_path / "undisturbed", change(), run="run-2")
    took = []
    for name in ("first", "second", "third"):  # the first one waits for the server of processes
        shutil.copytree(tmp_path / "prepared", tmp_path / name, symlinks=True)
        started = time.monotonic()
        process = CONTEXT.Process(target=run_change, args=(str(tmp_path / name), here))
        process.start()
        process.join()
        took.append(time.monotonic() - started)
        assert process.exitcode == 0
    longest = min(took)
    draw = random.Random(SEED)
    print(f"seed {SEED}, {KILLS} kills within {longest:.2f} s")
    killed = 0
    for number in range(KILLS):
        folder = tmp_path / "store"
        shutil.copytree(tmp_path / "prepared", folder, symlinks=True)
        process = CONTEXT.Process(target=run_change, args=(str(folder), here))
        process.start()
        process.join(timeout=draw.uniform(0, longest))
        process.kill()
        process.join()
        killed += process.exitcode != 0
        _, found = run_in(folder, change(), run="run-3")
        assert found == digest, f"kill {number}"
        shutil.rmtree(folder)
    print(f"{killed} of {KILLS} were killed before their end")
    assert killed > KILLS / 2
