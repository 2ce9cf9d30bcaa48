"""A sync that is killed at any moment leaves a store that the next one completes as if it had not been."""

import sys
import time
from pathlib import Path

import pytest
from killed_syncs import SEED, killed_syncs

KILLS = 100
PARTS = 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("part", range(PARTS))
def test_kill_at_random_moments(tmp_path: Path, part: int) -> None:
    """kill -9 at 50 random moments, twice; the next command ends with 0, repairs nothing, all is equal."""
    begun = time.monotonic()
    found = killed_syncs(tmp_path, KILLS // PARTS, seed=SEED + part)
    print(
        f"seed {SEED + part}: {KILLS // PARTS} kills within {found.longest:.2f} s of a run, {found.killed}"
        f" before its end, {len(found.different)} differences, {time.monotonic() - begun:.0f} s"
    )
    assert (found.different, found.failed) == ((), ())
    assert found.killed > KILLS // PARTS // 2
