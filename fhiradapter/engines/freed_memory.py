"""Freed memory: kept by a process that maps, which needs as much for the next portion of its input."""

import ctypes

# Parameters of glibc's mallopt, see its manual page.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 16 << 20  # bytes at the end of the heap
LARGE = 4 << 20  # bytes; what is larger is given back to the system at once


def keep_freed_memory() -> None:
    """Give freed memory back less often, where the C library can be told so until the process ends.

    To get a page costs more than to fill it. For processes of our own and not for a caller's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # macOS and musl have none
        mallopt(TRIM_THRESHOLD, KEPT)
        mallopt(MMAP_THRESHOLD, LARGE)
