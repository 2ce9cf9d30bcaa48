"""The metrics file keeps to Prometheus' text format, says what the store says, and names nobody.

The format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from synced_trial import Trial

from fhiradapter.fhir.units import Unit
from fhiradapter.store.ledger import Run
from fhiradapter.store.status import Status, Watermark, read_status
from fhiradapter.sync.aftermath import follow_up
from fhiradapter.sync.metrics import exposition, write_metrics

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')
SAMPLE = re.compile(r"(?P<name>[^\s{]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)\Z")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Return the samples, and refuse what breaks a rule of the format."""
    assert text.endswith("\n")
    found: Samples = {}
    helped: dict[str, str] = {}
    typed: dict[str, str] = {}
    last: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            known = {"HELP": helped, "TYPE": typed}[word]
            assert name not in known  # one of each
            assert not any(sample[0] == name for sample in found)  # before the first sample
            known[name] = rest
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, inside = match["name"], match["labels"] or ""
        assert NAME.match(name)
        labels = {one[1]: one[2] for one in LABEL.finditer(inside)}
        assert ",".join(f'{key}="{value}"' for key, value in labels.items()) == inside
        assert not any(label.startswith("__") for label in labels)
        key = (name, frozenset(labels.items()))
        assert key not in found
        found[key] = float(match["value"])
        if name not in last[-1:]:
            assert name not in last  # all of a metric in one group
            last.append(name)
    assert {name for name, _ in found} <= typed.keys() & helped.keys()
    assert set(typed.values()) <= {"gauge", "counter"}
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"fhiradapter_{name}", frozenset(labels.items())]


def test_after_a_sync_the_file_says_what_the_store_says(tmp_path: Path) -> None:
    """Counts by type, the run's units and end, and up to when each type was read."""
    trial = Trial(tmp_path, '[sync]\nmetrics = "metrics/fhiradapter.prom"\n')
    made = trial.sync()
    files = follow_up(trial.study, made)
    samples = parsed(files["metrics"].read_text())
    assert value(samples, "resources", type="Patient", state="current") == 6
    assert value(samples, "resources", type="AdverseEvent", state="current") == 14
    assert value(samples, "last_run_complete") == 1
    assert value(samples, "last_run_end_seconds") == trial.server.now.timestamp()
    assert value(samples, "last_run_units", state="done") == made.run.done
    mark = datetime(2026, 3, 1, 0, 59, tzinfo=UTC).timestamp()
    assert value(samples, "watermark_seconds", source="hospital", type="Observation") == mark
    assert files["metrics"].stat().st_mode & 0o777 == 0o644
    assert [path.name for path in files["metrics"].parent.iterdir()] == ["fhiradapter.prom"]


def status_of(**more: object) -> Status:
    """Return a status with little in it."""
    empty = {
        "runs": [],
        "watermarks": [],
        "resources": {},
        "quarantine": {},
        "failed": [],
        "received": {},
        "warnings": {},
    }
    return Status(**(empty | more))  # type: ignore[arg-type]


def test_a_store_without_a_run_has_metrics_without_samples() -> None:
    """A file without samples is a valid one."""
    assert parsed(exposition(status_of())) == {}


def test_numbers_are_whole_and_labels_escaped() -> None:
    """Millions are not cut to six digits; quotes, backslashes and breaks are escaped."""
    odd = 'a"b\\c\nd'
    samples = parsed(
        exposition(
            status_of(
                resources={"Observation": {"current": 12_345_678}},
                quarantine={odd: 1_234_567},
                watermarks=[Watermark("ehr", "Patient", "all", "2026-01-01T00:00:00.123Z")],
            )
        )
    )
    assert value(samples, "resources", type="Observation", state="current") == 12_345_678
    assert value(samples, "quarantined", reason='a\\"b\\\\c\\nd') == 1_234_567
    assert value(samples, "watermark_seconds", source="ehr", type="Patient") == pytest.approx(
        1_767_225_600.123, abs=1e-3
    )


def test_the_oldest_shard_and_no_auxiliary_mark_says_up_to_when() -> None:
    """Shards of one type count together; marks of deletions and reconciliations do not."""
    marks = [
        Watermark("ehr", "Patient", "0123456789abcdef", "2026-01-02T00:00:00.000Z"),
        Watermark("ehr", "Patient", "fedcba9876543210", "2026-01-03T00:00:00.000Z"),
        Watermark("ehr", "Patient", "reconcile/all", "2025-01-01T00:00:00.000Z"),
        Watermark("ehr", "Patient", "history/all", "2025-06-01T00:00:00.000Z"),
    ]
    samples = parsed(exposition(status_of(watermarks=marks)))
    expected = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    assert value(samples, "watermark_seconds", source="ehr", type="Patient") == expected


def test_a_failed_run_shows_and_patients_do_not(tmp_path: Path) -> None:
    """What an alert needs is there; the ids of Patients whose unit failed are not."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    run = Run("run-1", at, at, "sync", "partial", 1, 0, 0, 3, 1, 1, 1)
    unit = Unit("ehr", "Observation", "Observation/reread/x", "reread", "x", ("patient-7",))
    text = exposition(status_of(runs=[run], failed=[unit]))
    samples = parsed(text)
    assert value(samples, "last_run_complete") == 0
    assert value(samples, "last_run_units", state="failed") == 1
    assert value(samples, "units_waiting", source="ehr", type="Observation") == 1
    assert "patient-7" not in text
    path = tmp_path / "x.prom"
    path.write_text("old")
    write_metrics(status_of(runs=[run]), path)
    assert parsed(path.read_text())


def test_a_store_is_read_while_nobody_holds_it(tmp_path: Path) -> None:
    """The metrics of a store are those of its status."""
    trial = Trial(tmp_path)
    trial.sync()
    found = read_status(trial.store)
    total = sum(number for states in found.resources.values() for number in states.values())
    samples = parsed(exposition(found))
    assert sum(count for (name, _), count in samples.items() if name.endswith("_resources")) == total
