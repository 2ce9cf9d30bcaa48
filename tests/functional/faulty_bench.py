"""Benches that fail in a worker: killed, once or always, or by a fault that speaks of a patient."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from fhiradapter.mappers.parts import Part
from fhiradapter.workbench import Bench, Plan, Task

SECRET = "Jane Doe"


class FaultyBench(Bench):
    """Fails at one piece after some parts; `marks` is where it leaves a mark each time."""

    def __init__(self, plans: tuple[Plan, ...], *, start: int, parts: int, marks: str, kind: str) -> None:
        super().__init__(plans)
        self._start, self._parts, self._marks, self._kind = start, parts, Path(marks), kind

    def run(self, task: Task) -> Iterator[Part]:
        """Do a task, or fail at it."""
        for number, part in enumerate(super().run(task)):
            if number == self._parts and getattr(task, "piece", None) and task.piece.start == self._start:  # type: ignore[union-attr]
                self._fail()
            yield part.packed()  # type: ignore[misc]

    def _fail(self) -> None:
        marks = len(list(self._marks.iterdir()))
        if self._kind == "killed once" and marks:
            return
        (self._marks / str(marks)).touch()
        if self._kind == "fault":
            raise RuntimeError(f"cannot read the record of {SECRET}")
        os.kill(os.getpid(), signal.SIGKILL)


class Echo:
    """A bench that returns something as many times as its task says."""

    def hear(self, news: object) -> None:
        """Hear nothing."""

    def run(self, task: int) -> Iterator[bytes]:
        """Return it."""
        yield from [b"x" * 1_000] * task
