"""Syncs of a synthetic server that are killed 1,000 times; each time the next one puts everything right."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "functional"))

from killed_syncs import SEED, killed_syncs


def kills(number: int = 1_000, seed: int = SEED) -> bool:
    """Print what came of the kills, and return whether every store was the undisturbed one."""
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        found = killed_syncs(Path(folder), number, seed=seed)
    print(
        f"seed {seed}: {number:,} kills, {found.killed:,} before the end of a run of {found.longest:.2f} s,"
        f" {len(found.different)} differences, {len(found.failed)} failed runs,"
        f" {time.monotonic() - begun:.0f} s"
    )
    return not found.different and not found.failed
