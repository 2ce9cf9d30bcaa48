"""The schedule: when the next sync begins, and an end as soon as one is asked for."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

from fhiradapter.errors import UsageError

EVERY = re.compile(r"(\d+)(s|m|h|d)\Z")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Trigger(Protocol):
    """Says when to begin."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the next time; None when there is none any more."""
        ...


@dataclass(frozen=True)
class Interval:
    """Says: now, and from then on at whole steps."""

    step: timedelta

    def get_next_fire_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first step after the last one that is not over."""
        if previous is None:
            return now
        return previous + max(1, -((previous - now) // self.step)) * self.step


def every(text: str) -> Trigger:
    """Return the trigger of an interval such as 15m, 6h or 1d; the first time is now.

    >>> every("fifteen")
    Traceback (most recent call last):
    ...
    fhiradapter.errors.UsageError: --every fifteen: write a number and s, m, h or d, such as 15m
    """
    found = EVERY.match(text)
    if not found or not int(found[1]):
        raise UsageError(f"--every {text}: write a number and s, m, h or d, such as 15m")
    return Interval(timedelta(**{UNITS[found[2]]: int(found[1])}))


def cron(text: str, zone: str = "UTC") -> Trigger:
    """Return the trigger of a crontab line of five fields, in a time zone."""
    try:
        trigger: Trigger = CronTrigger.from_crontab(text, timezone=zone)
    except (ValueError, LookupError) as error:
        raise UsageError(f"--cron {text!r}: {error}") from None
    return trigger


def repeat(
    work: Callable[[], object],
    trigger: Trigger,
    stopping: threading.Event,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Do the work at each time of a trigger until `stopping` is set; return how often it was done.

    Times that pass while the work goes on are left out, so that runs never pile up.
    """
    count, previous = 0, None
    while not stopping.is_set():
        now = clock()
        due = trigger.get_next_fire_time(previous, now)
        while due is not None and due < now:
            due = trigger.get_next_fire_time(due, now)
        if due is None or stopping.wait((due - now).total_seconds()):
            break
        work()
        previous, count = due, count + 1
    return count


@contextmanager
def stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    """Set `stopping` at SIGTERM and SIGINT, as service managers send them; a second one ends at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if stopping.is_set():
            raise KeyboardInterrupt(number)
        stopping.set()

    before = {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
