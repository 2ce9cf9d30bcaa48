"""Garbage: resources and rows have no cycles, and there are a million of them to look through."""

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


def without_modules() -> None:
    """Look through what is loaded now no more, once in a process.

    Spark's workers collect garbage after each task, and to look through all modules takes longer than a short
    task.
    """
    if not gc.get_freeze_count():
        gc.freeze()
