"""Syncs while others write, many seeds long: 200 x 20,000 writes to synthetic servers."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulator.running import SETTINGS, Outcome, outcomes, table
from simulator.stored import run_stored


def live_writes(seeds: int = 200, writes: int = 20_000) -> bool:
    """Print what was lost, and return whether it was nothing."""
    return _told(outcomes(seeds, writes), seeds, writes, "in memory")


def stored_writes(seeds: int = len(SETTINGS), writes: int = 20_000) -> bool:
    """Do the same with whole syncs into stores on the disk."""
    return _told(_stored(seeds, writes), seeds, writes, "into stores")


def _stored(seeds: int, writes: int) -> Iterator[Outcome]:
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            yield run_stored(seed, writes, SETTINGS[seed % len(SETTINGS)], Path(folder))


def _told(outcomes_: Iterator[Outcome], seeds: int, writes: int, where: str) -> bool:
    begun = time.monotonic()
    found: list[Outcome] = []
    for outcome in outcomes_:
        found.append(outcome)
        if any(outcome.loss) or outcome.failures:
            print(f"seed {len(found) - 1}: {outcome}")
    print(
        f"{seeds} seeds x {writes:,} writes {where}, {time.monotonic() - begun:.0f} s\n{table(found)}",
        flush=True,
    )
    return not any(any(outcome.loss) or outcome.failures for outcome in found)
