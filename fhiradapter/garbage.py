"""Garbage: resources, rows and modules are no cyclic garbage, and there are a million to look through."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause the search for cyclic garbage."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def without_what_is_loaded() -> None:
    """Take all that is in memory now for what stays, and look through it no more; once in a process.

    Spark's workers collect garbage after each task, and to look through all modules takes longer than a short
    task. Cycles that are garbage already stay, those of this once.
    """
    if not gc.get_freeze_count():
        gc.freeze()
