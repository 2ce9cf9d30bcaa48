"""Syncs that are killed at random moments, each followed by one that puts everything right by itself."""

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import NamedTuple

from forking import forking
from scripted_runs import digest, study_file, study_of
from scripted_server import scripted_server
from scripted_ward import Ward, admit, go_on

TYPES = ("Patient", "Observation")
SEED = 20_261_123


class Kills(NamedTuple):
    """What came of them."""

    killed: int
    """How many were killed before their end."""
    different: tuple[int, ...]
    """After which of them the store was not the undisturbed one."""
    failed: tuple[int, ...]
    """After which of them the next run did not end with 0."""
    longest: float
    """Seconds of an undisturbed run, within which they were killed."""


def killed_syncs(folder: Path, number: int, *, seed: int = SEED) -> Kills:
    """Kill `fhiradapter sync` a number of times while it takes many changes of a synthetic server."""
    draw = random.Random(seed)
    ward = Ward()
    admit(ward)
    with scripted_server(ward) as server, forking() as command:
        study = study_of(server, folder, types=TYPES)
        path = study_file(server, folder, types=TYPES)
        store, prepared = folder / "store", folder / "prepared"
        assert command.run("sync", path) == 0
        store.rename(prepared)
        go_on(ward)
        longest = 0.0
        for _ in range(3):  # the first one is slower
            shutil.rmtree(store, ignore_errors=True)
            shutil.copytree(prepared, store, symlinks=True)
            begun = time.monotonic()
            assert command.run("sync", path) == 0
            longest = time.monotonic() - begun
        expected = digest(study, store)
        killed, different, failed = 0, [], []
        for kill in range(number):
            shutil.rmtree(store)
            shutil.copytree(prepared, store, symlinks=True)
            process = command.start("sync", path)
            time.sleep(draw.uniform(0, longest))
            os.kill(process, signal.SIGKILL)  # it is there until its end is asked for
            killed += command.end() == -signal.SIGKILL
            if command.run("sync", path) != 0:
                failed.append(kill)
            if digest(study, store) != expected:
                different.append(kill)
    return Kills(killed, tuple(different), tuple(failed), longest)
