"""Lags: how long after their time of update a server showed what it had changed."""

import threading
from collections.abc import Sequence

from fhiradapter.fhir.instants import SECOND, instant, milliseconds
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.units import Unit
from fhiradapter.sync.known import Known
from fhiradapter.sync.shards import BESIDE

MARGIN = 2  # the overlap is so many times the longest lag seen: the next one may be longer
MOST_SECONDS = 86_400.0  # of an overlap; what is shown later still, the comparison every some days finds


class Lags:
    """The longest lag that a source has shown, in seconds; threads tell it what they read."""

    def __init__(self, longest: float = 0.0, *, settle_seconds: float = 0.0) -> None:
        self.longest = longest
        self._settle = int(settle_seconds * SECOND)
        self._lock = threading.Lock()

    def note(self, unit: Unit, mark: str | None, entries: Sequence[Entry], known: Known) -> None:
        """Look at what a window shows that ended before `mark`, up to when its shard was read before.

        What the store does not have of it was not there then: it became visible later than its time says, by
        at least what lay between that time and the last reading.
        """
        end = instant(mark)
        if end is None or unit.since is None:
            return
        early = {
            entry.id: milliseconds(time)
            for entry in entries
            if not entry.subsetted and (time := instant(entry.updated)) is not None and time < end
        }
        if not early:
            return
        held = known.held(unit.type, ids=list(early))
        late = [
            time
            for key, time in early.items()
            if key not in held or (before := instant(held[key].updated)) is None or before < time
        ]
        if late:
            seconds = (end + self._settle - min(late)) / SECOND
            with self._lock:
                self.longest = max(self.longest, seconds)


def mark_of(unit: Unit, known: Known) -> str | None:
    """Return up to when a unit's shard was read; null for what is read beside the shards of its type."""
    if BESIDE in unit.shard:
        return None
    return max((mark.at for mark in known.marks(unit.type) if mark.shard == unit.shard), default=None)


def overlap_with(lag_seconds: float, *, at_least: float) -> float:
    """Return how many seconds before the last end a window begins.

    >>> overlap_with(20.0, at_least=600.0), overlap_with(500.0, at_least=600.0)
    (600.0, 1000.0)
    """
    return max(at_least, min(MARGIN * lag_seconds, MOST_SECONDS))
