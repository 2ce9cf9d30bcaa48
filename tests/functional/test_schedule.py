"""Runs begin when the schedule says, never pile up, and end when that is asked for; the clock is a fake."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import pytest

from fhiradapter.errors import UsageError
from fhiradapter.sync.schedule import Trigger, cron, every, repeat, stopped_by_signals

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeTime(threading.Event):
    """A clock that waiting and working move; it is also the wish to stop, which comes at a time."""

    def __init__(self, *, until: timedelta, works: list[timedelta], start: datetime = MIDNIGHT) -> None:
        super().__init__()
        self.now, self.end, self.works = start, start + until, works
        self.begun: list[str] = []

    def clock(self) -> datetime:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout >= 0
        due = self.now + timedelta(seconds=timeout)
        self.now = min(due, self.end)
        if due > self.end:
            self.set()
        return self.is_set()

    def work(self) -> None:
        self.begun.append(f"{self.now:%d %H:%M}")
        self.now += self.works.pop(0) if self.works else timedelta(seconds=5)


def begun(trigger: Trigger, time: FakeTime) -> list[str]:
    assert repeat(time.work, trigger, time, clock=time.clock) == len(time.begun)
    return time.begun


def minutes(*numbers: float) -> list[timedelta]:
    return [timedelta(minutes=number) for number in numbers]


def test_an_interval_begins_now_and_keeps_its_step() -> None:
    """Every 15 minutes from 00:00, whatever the work takes within the step."""
    time = FakeTime(until=timedelta(minutes=50), works=minutes(1, 14, 3))
    assert begun(every("15m"), time) == ["01 00:00", "01 00:15", "01 00:30", "01 00:45"]


def test_the_first_run_does_not_wait_for_the_first_step() -> None:
    """The clock has moved on between the reading of `--every` and the first look at it."""
    trigger = every("6h")
    time = FakeTime(until=timedelta(hours=1), works=[], start=datetime.now(UTC) + timedelta(seconds=3))
    assert len(begun(trigger, time)) == 1


def test_times_that_pass_during_work_are_left_out() -> None:
    """Work of 40 minutes runs over 00:15 and 00:30; the next one begins at 00:45, and only once."""
    time = FakeTime(until=timedelta(minutes=80), works=minutes(40, 1))
    assert begun(every("15m"), time) == ["01 00:00", "01 00:45", "01 01:00", "01 01:15"]
    time = FakeTime(until=timedelta(minutes=70), works=minutes(30, 1))
    assert begun(every("15m"), time) == ["01 00:00", "01 00:30", "01 00:45", "01 01:00"]


def test_a_crontab_line_says_when() -> None:
    """`0 3 * * *` is three o'clock of UTC; a run that takes a day and a half leaves one time out."""
    time = FakeTime(until=timedelta(days=4), works=[timedelta(minutes=9), timedelta(hours=36)])
    assert begun(cron("0 3 * * *"), time) == ["01 03:00", "02 03:00", "04 03:00"]


def test_a_crontab_line_in_a_zone_follows_its_clocks() -> None:
    """Three o'clock in Berlin is 02:00 UTC in winter and 01:00 in summer; clocks change on 29 March 2026."""
    start = datetime(2026, 3, 28, 12, tzinfo=UTC)
    time = FakeTime(until=timedelta(days=2), works=[], start=start)
    assert begun(cron("0 3 * * *", "Europe/Berlin"), time) == ["29 01:00", "30 01:00"]
    time = FakeTime(until=timedelta(days=1), works=[], start=datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert begun(cron("0 3 * * *", "Europe/Berlin"), time) == ["28 02:00"]


def test_a_run_that_lasts_no_time_is_not_begun_twice() -> None:
    """Work that ends in the same instant waits for the next time all the same."""
    time = FakeTime(until=timedelta(minutes=2), works=minutes(0, 0, 0))
    assert begun(cron("* * * * *"), time) == ["01 00:00", "01 00:01", "01 00:02"]


def test_nothing_begins_after_a_stop() -> None:
    """A stop during work is the last of it; one before the first time lets nothing begin."""
    time = FakeTime(until=timedelta(days=1), works=[])
    usual = time.work

    def stopping() -> None:
        usual()
        time.set()

    assert repeat(stopping, every("1m"), time, clock=time.clock) == 1
    assert repeat(usual, every("1m"), time, clock=time.clock) == 0


@pytest.mark.parametrize("text", ["", "15", "m", "0m", "-5m", "1.5h", "15 m", "15min"])
def test_an_interval_that_is_none_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(UsageError, match="such as 15m"):
        every(text)


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "0 3 * * * *", "daily"])
def test_a_crontab_line_that_is_none_is_refused(text: str) -> None:
    """Five fields, each within its bounds."""
    with pytest.raises(UsageError, match="--cron"):
        cron(text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_for_the_end_and_a_second_one_ends(number: int) -> None:
    """The first signal lets the run end cleanly; handlers are given back afterwards."""
    before = signal.getsignal(number)
    stopping = threading.Event()
    with stopped_by_signals(stopping):
        os.kill(os.getpid(), number)
        assert stopping.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
