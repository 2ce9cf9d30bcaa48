"""Retries: which answers are asked for again, and after how long; decisions alone, nothing waits here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
HOLDS_BACK = frozenset({429, 503})  # with Retry-After these speak for the whole server
SHORTEST, LONGEST = 1.0, 60.0  # seconds of a wait that the server did not set
SECONDS = re.compile(r"[0-9]{1,9}\Z")
ENDLESS = re.compile(r"[0-9]{10,}\Z")


class Wait(NamedTuple):
    """Ask again after some seconds; `shared` when nobody may ask this server before."""

    seconds: float
    shared: bool


class TooLong(NamedTuple):
    """The server wants us to wait longer than the settings allow."""

    seconds: float


@dataclass(frozen=True)
class Policy:
    """How often and how patiently."""

    tries: int
    longest_retry_after: float

    def after_failure(self, attempt: int, *, random: Callable[[], float]) -> Wait | None:
        """Return how long to wait after a connection failed in attempt 1, 2, ...; None: give up."""
        return Wait(backoff(attempt, random=random), False) if attempt < self.tries else None

    def after_answer(
        self,
        attempt: int,
        status: int,
        headers: Mapping[str, str],
        *,
        random: Callable[[], float],
        now: datetime,
    ) -> Wait | TooLong | None:
        """Return how long to wait after a status of `RETRIED`; None: give up."""
        asked = retry_after(headers, now=now)
        if asked is not None and asked > self.longest_retry_after:
            return TooLong(asked)
        if attempt >= self.tries:
            return None
        if asked is None:
            return Wait(backoff(attempt, random=random), False)
        # Up to a second on top, so that all who were held back do not come at once.
        return Wait(asked + random(), status in HOLDS_BACK)


def backoff(attempt: int, *, random: Callable[[], float]) -> float:
    """Return seconds with full jitter: anything from one to a ceiling that doubles up to a minute.

    >>> [backoff(attempt, random=lambda: 1.0) for attempt in (1, 2, 3, 6, 7)]
    [2.0, 4.0, 8.0, 60.0, 60.0]
    """
    ceiling = min(LONGEST, 2.0 ** min(attempt, 10))
    return SHORTEST + random() * (ceiling - SHORTEST)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for; None when it is absent or unreadable.

    A date is compared with the server's own Date, since clocks differ; `now` serves where there is none.

    >>> retry_after({"Retry-After": "120"}, now=datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    """
    text = headers.get("Retry-After", "").strip()
    if SECONDS.match(text):
        return float(text)
    if ENDLESS.match(text):
        return float("inf")
    until = http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (http_date(headers.get("Date", "")) or now)).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the instant of an HTTP date; None when it is none."""
    if len(text) > 64:
        return None
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
