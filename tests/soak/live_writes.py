"""Syncs while others write, many seeds long: 200 x 20,000 writes to synthetic servers."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulator.running import Outcome, outcomes, table


def live_writes(seeds: int = 200, writes: int = 20_000) -> bool:
    """Print what was lost, and return whether it was nothing."""
    begun = time.monotonic()
    found: list[Outcome] = []
    for outcome in outcomes(seeds, writes):
        found.append(outcome)
        if any(outcome.loss) or outcome.failures:
            print(f"seed {len(found) - 1}: {outcome}")
    print(f"{seeds} seeds x {writes:,} writes, {time.monotonic() - begun:.0f} s\n{table(found)}")
    return not any(any(outcome.loss) or outcome.failures for outcome in found)
