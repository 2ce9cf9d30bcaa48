"""Instants: when a version was made, as servers show it and as they are asked for it."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = 1_000  # instants are counted in microseconds since 1970-01-01T00:00Z
SECOND = 1_000_000


def instant(text: str | None) -> int | None:
    """Return an instant's microseconds since 1970; null for a text that is none.

    >>> instant("1970-01-01T01:00:00.5+01:00")
    500000
    """
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return ((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def shown_to(text: str) -> int:
    """Return the microseconds that an instant is shown to: its true time is less than that away.

    >>> shown_to("2026-11-01T00:00:00Z"), shown_to("2026-11-01T00:00:00.120+01:00")
    (1000000, 1000)
    """
    whole, point, fraction = text[:19], text[19:20], text[20:]
    if point != "." or len(whole) < 19:
        return SECOND
    digits = len(fraction) - len(fraction.lstrip("0123456789"))
    return int(10 ** max(0, 6 - digits))


def written(moment: int) -> str:
    """Return an instant as searches say it: UTC with milliseconds and Z.

    >>> written(500_999)
    '1970-01-01T00:00:00.500Z'
    """
    at = EPOCH + timedelta(microseconds=moment)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z".rjust(24, "0")


def milliseconds(moment: int) -> int:
    """Return the whole millisecond at or before an instant."""
    return moment - moment % MILLISECOND
