"""Export waits: how long to wait before a server is asked again how its export goes."""

from collections.abc import Callable, Mapping
from datetime import datetime

from fhiradapter.fhir.retries import retry_after

SHORTEST, LONGEST = 1.0, 300.0  # seconds of a wait that the server did not set


def poll_pause(
    attempt: int, headers: Mapping[str, str], *, random: Callable[[], float], now: datetime
) -> float:
    """Return seconds until the next question, attempt being 1, 2, ...: the server's wish, else doubling ones.

    >>> [poll_pause(n, {}, random=lambda: 1.0, now=datetime(2026, 1, 1)) for n in (1, 2, 3, 12)]
    [2.0, 4.0, 8.0, 300.0]
    """
    asked = retry_after(headers, now=now)
    if asked is not None:
        return max(SHORTEST, asked)
    ceiling = min(LONGEST, 2.0 ** min(attempt, 10))
    return max(SHORTEST, ceiling * (0.5 + random() / 2))
