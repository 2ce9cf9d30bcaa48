"""Export keeping: the states and the time of one export, each state stored before the next request."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.instants import MICROSECOND
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Export, ExportLedger, Landed

WORTH_KEEPING = 60.0  # seconds of a pause that a restart must keep to
LONGEST = 10**8  # seconds


class Later(Exception):  # noqa: N818 - it is no error
    """The next question has to wait for longer than this run does."""


class Keeper:
    """Keeps one export in a ledger, and waits for it.

    `gives_up` is when this run does not wait any longer; null: only `days` after the export began.
    """

    def __init__(
        self,
        export: Export,
        ledger: ExportLedger,
        *,
        days: float,
        sleep: Callable[[float], object],
        now: Callable[[], datetime],
        wait: float | None = None,
    ) -> None:
        self.export = export
        self.now = now
        self._ledger, self._days, self._sleep = ledger, days, sleep
        self._gives_up = None if wait is None else now() + timedelta(seconds=wait)

    def save(self, **changes: object) -> Export:
        """Store a state."""
        self.export = msgspec.structs.replace(self.export, **changes)
        self._ledger.save(self.export)
        return self.export

    def land(self, landed: Landed) -> None:
        """Store that a file is here."""
        self._ledger.land(self.export, landed)

    def time(self, seconds: float = 0) -> str:
        """Return the time in some seconds."""
        return (self.now() + timedelta(seconds=min(seconds, LONGEST))).astimezone(UTC).isoformat()

    def elapsed(self) -> int:
        """Return the microseconds since the server began."""
        began = datetime.fromisoformat(self.export.kicked or self.export.began)
        return max(0, (self.now() - began) // MICROSECOND)

    def pause(self, seconds: float) -> None:
        """Let the next question wait; long waits are kept to after a restart too."""
        self.export = msgspec.structs.replace(self.export, ask_again=self.time(seconds))
        if seconds >= WORTH_KEEPING:
            self._ledger.pause(self.export)

    def wait(self) -> None:
        """Wait until the server may be asked again.

        Raises Later when this run does not wait that long, RefusedAnswerError when the days are over.
        """
        self.in_time()
        if self.export.ask_again is None:
            return
        at = min(datetime.fromisoformat(self.export.ask_again), self._ends())
        if self._gives_up is not None and at > self._gives_up:
            self._ledger.pause(self.export)
            raise Later
        seconds = (at - self.now()).total_seconds()
        if seconds > 0:
            self._sleep(seconds)
        self.in_time()

    def is_late(self) -> bool:
        """Return True when the export took longer than it may."""
        return self.now() >= self._ends()

    def in_time(self) -> None:
        """Raise RefusedAnswerError when the export took longer than it may."""
        if self.is_late():
            raise RefusedAnswerError("$export: not ready within export_days", reason=Reason.EXPORT_LATE)

    def _ends(self) -> datetime:
        return datetime.fromisoformat(self.export.began) + timedelta(days=self._days)
