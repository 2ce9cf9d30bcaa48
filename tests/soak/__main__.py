"""Runs the long tests: `make soak`; `--quick` makes them short."""

import sys

from tests.soak.live_writes import live_writes

if __name__ == "__main__":
    quick = "--quick" in sys.argv
    sys.exit(not (live_writes(20, 2_000) if quick else live_writes()))
