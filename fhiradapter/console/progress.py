"""Progress: bars on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from fhiradapter.console.screens import talk

SECONDS_BETWEEN_LINES = 10
NOTE = ""  # the task that is no resource type


class ProgressView:
    """Shows how many resources and bytes were read, and how long it will still take."""

    def __init__(self, total_bytes: int | None) -> None:
        self._total = total_bytes
        self._resources = self._bytes = 0
        self._begun = self._last = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("reading"),
                BarColumn(),
                DownloadColumn(),
                TextColumn("{task.fields[resources]} resources, {task.fields[rate]}/s"),
                TimeRemainingColumn(),
                console=talk,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total_bytes, resources="0", rate="0")

    def __enter__(self) -> "ProgressView":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if kind is None:
            talk.print(f"read {self._resources:,} resources in {time.monotonic() - self._begun:.1f} s")

    def advance(self, resources: int, bytes_read: int) -> None:
        """Count what was read since the last call."""
        self._resources += resources
        self._bytes += bytes_read
        now = time.monotonic()
        seconds = max(now - self._begun, 1e-3)
        rate = f"{self._resources / seconds:,.0f}"
        if self._bar:
            self._bar.update(self._task, completed=self._bytes, resources=f"{self._resources:,}", rate=rate)
        elif now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            so_far = share_and_rest(self._bytes, self._total, seconds)
            talk.print(f"read {self._resources:,} resources, {rate}/s{so_far}", soft_wrap=True)


def share_and_rest(done: int, total: int | None, seconds: float) -> str:
    """Return how much is done and how long the rest takes at the same rate; nothing when it is not known.

    >>> share_and_rest(250, 1_000, 60.0)
    ', 25 %, 3 min left'
    >>> share_and_rest(990, 1_000, 60.0)
    ', 99 %, 1 s left'
    >>> share_and_rest(1, 1_000, 60.0)
    ', 0 %, 16 h 39 min left'
    """
    if not total or not 0 < done <= total:
        return ""
    left = round(seconds * (total - done) / done)
    minutes = -(-left // 60)  # nobody waits less than was said
    if left < 60:
        words = f"{left} s"
    elif minutes < 60:
        words = f"{minutes} min"
    else:
        words = f"{minutes // 60} h {minutes % 60} min"
    return f", {100 * done // total} %, {words} left"


class SyncView:
    """Shows by resource type how many have come, and how fast; how many there will be no server says."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()
        self._counts: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<26}"),
                BarColumn(),
                TextColumn("{task.fields[received]:>12} received, {task.fields[rate]}/s"),
                console=talk,
                transient=True,
            )

    def __enter__(self) -> "SyncView":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        self._line("received")

    def note(self, text: str) -> None:
        """Show a sentence beside the counts in place of the one before, such as how far an export is."""
        now = time.monotonic()
        if self._bar:
            if NOTE not in self._tasks:
                self._tasks[NOTE] = self._bar.add_task(text, total=None, received="", rate="")
            self._bar.update(self._tasks[NOTE], description=text)
        elif now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            talk.print(text, soft_wrap=True, markup=False)

    def advance(self, kind: str, received: int) -> None:
        """Count what came since the last call."""
        self._counts[kind] = self._counts.get(kind, 0) + received
        now = time.monotonic()
        if self._bar:
            rate = f"{self._counts[kind] / max(now - self._begun, 1e-3):,.0f}"
            if kind not in self._tasks:
                self._tasks[kind] = self._bar.add_task(kind, total=None, received="0", rate="0")
            self._bar.update(self._tasks[kind], received=f"{self._counts[kind]:,}", rate=rate)
        elif now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            self._line("so far")

    def _line(self, word: str) -> None:
        seconds = time.monotonic() - self._begun
        counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self._counts.items()))
        total = sum(self._counts.values())
        talk.print(f"{word}: {counts or 'nothing'} ({total / max(seconds, 1e-3):,.0f}/s)", soft_wrap=True)
