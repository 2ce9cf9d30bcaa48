"""Metrics: the state of a store as a text file for Prometheus' textfile collector."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fhiradapter.store.status import Status
from fhiradapter.sync.shards import BESIDE

Sample = tuple[dict[str, str], float]


def write_metrics(status: Status, path: Path) -> None:
    """Write the metrics; a scraper sees the old file or the new one. No sample names a patient."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(exposition(status))
    Path(part).chmod(0o644)  # the collector is another user; there is nothing personal in it
    Path(part).replace(path)


def exposition(status: Status) -> str:
    """Return the metrics in Prometheus' text format."""
    lines = []
    for name, meaning, samples in _metrics(status):
        lines += [f"# HELP fhiradapter_{name} {meaning}", f"# TYPE fhiradapter_{name} gauge"]
        for labels, value in samples:
            inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            lines.append(f"fhiradapter_{name}{f'{{{inside}}}' if inside else ''} {float(value)!r}")
    return "\n".join(lines) + "\n"


def _metrics(status: Status) -> Iterator[tuple[str, str, list[Sample]]]:
    if status.runs:
        last = status.runs[0]
        ended = last.ended_at or last.started_at
        yield "last_run_end_seconds", "When the last run ended, since 1970.", [({}, ended.timestamp())]
        yield (
            "last_run_duration_seconds",
            "How long the last run took.",
            [({}, (ended - last.started_at).total_seconds())],
        )
        yield (
            "last_run_complete",
            "1 when the last run was complete.",
            [({}, float(last.outcome == "complete"))],
        )
        states = {"done": last.done, "failed": last.failed, "excluded": last.excluded}
        yield (
            "last_run_units",
            "Units of the last run by what became of them.",
            [({"state": state}, count) for state, count in states.items()],
        )
    yield (
        "resources",
        "Resources in the store.",
        [
            ({"type": kind, "state": state}, count)
            for kind, states in status.resources.items()
            for state, count in states.items()
        ],
    )
    yield (
        "quarantined",
        "Resources in quarantine by reason.",
        [({"reason": reason}, count) for reason, count in status.quarantine.items()],
    )
    waiting = Counter((unit.source, unit.type) for unit in status.failed)
    yield (
        "units_waiting",
        "Units that failed and are read again by the next run.",
        [({"source": source, "type": kind}, count) for (source, kind), count in waiting.items()],
    )
    oldest: dict[tuple[str, str], float] = {}
    for mark in status.watermarks:
        if BESIDE in mark.shard:
            continue
        at = datetime.fromisoformat(mark.until).astimezone(UTC).timestamp()
        key = (mark.source, mark.type)
        oldest[key] = min(at, oldest.get(key, at))
    yield (
        "watermark_seconds",
        "Up to when a type was read, since 1970; the oldest of its shards.",
        [({"source": source, "type": kind}, at) for (source, kind), at in oldest.items()],
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
