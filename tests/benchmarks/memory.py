"""The most memory that this process has had, without what it inherited from the one that started it."""

import resource
import sys
from pathlib import Path


def peak() -> float:
    """Return megabytes. Linux hands `ru_maxrss` on to whatever a large process starts; `VmHWM` is its own."""
    status = Path("/proc/self/status")
    if status.exists():
        marks = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")]
        if marks:
            return int(marks[0].split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
