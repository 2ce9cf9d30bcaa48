"""Logs: what a sync did as lines of JSON, without anything about a patient."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

# What may be said; anything else that is given is left out, so that no value, id or query gets in by mistake.
FIELDS = (
    "run",
    "source",
    "type",
    "feed",
    "units",
    "done",
    "failed",
    "excluded",
    "received",
    "new",
    "changed",
    "removed",
    "seconds",
    "status",
    "reason",
    "outcome",
    "count",
)

logger = logging.getLogger("fhiradapter.sync")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, event and the known fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; of an exception its kind alone, because its text may hold a path or an answer."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


@contextmanager
def logged_to(path: Path | None, *, debug: bool = False) -> Iterator[None]:
    """Append the log to a file that only its owner reads; without a path nothing is attached."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)


def say(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log an event; `fields` are of FIELDS."""
    logger.log(level, event, extra={name: value for name, value in fields.items() if name in FIELDS})
