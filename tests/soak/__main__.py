"""Runs the long tests: `make soak`; `--quick` makes them short."""

import sys

from tests.soak.delta import delta
from tests.soak.kills import kills
from tests.soak.live_writes import live_writes, stored_writes

if __name__ == "__main__":
    quick = "--quick" in sys.argv
    passed = [
        live_writes(20, 2_000) if quick else live_writes(),
        stored_writes(2, 2_000) if quick else stored_writes(),
        kills(20) if quick else kills(),
        delta(),
    ]
    sys.exit(not all(passed))
