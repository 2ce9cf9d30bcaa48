"""The aftermath of a sync: analysis and report refreshed when the study asks for it, and how old they are."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fhiradapter.api import analyse
from fhiradapter.reports.registry import write_report
from fhiradapter.settings import Study
from fhiradapter.store.place import Place
from fhiradapter.store.snapshot import published_name, read_snapshot
from fhiradapter.store.status import Status, read_status
from fhiradapter.sync.metrics import write_metrics
from fhiradapter.sync.running import SyncRun

RECORD = "analysis.json"


class Record(msgspec.Struct, frozen=True):
    """Which snapshot results were computed from, and when."""

    snapshot: str
    run_id: str
    at: datetime


class Since(msgspec.Struct, frozen=True):
    """What runs have changed since the analysis."""

    analysed_run: str | None
    runs: int
    new: int
    changed: int
    removed: int

    @property
    def sentence(self) -> str:
        """What an operator reads."""
        if self.analysed_run is None:
            return "never analysed; `[sync] then` or `fhiradapter analyse` does it"
        if not (self.new or self.changed or self.removed):
            return f"analysed after {self.analysed_run}; nothing has changed since"
        return (
            f"since the analysis after {self.analysed_run}: {self.runs} run(s), {self.new:,} new, "
            f"{self.changed:,} changed, {self.removed:,} removed"
        )


def follow_up(study: Study, made: SyncRun) -> dict[str, Path]:
    """Do what the study wants done after a sync; return the files that were written, by what they are."""
    files: dict[str, Path] = {}
    if study.sync.metrics:
        path = study.folder / study.sync.metrics
        write_metrics(read_status(made.store), path)
        files["metrics"] = path
    if not study.sync.then:
        return files
    out = study.folder / study.sync.out
    out.mkdir(parents=True, exist_ok=True)
    name = published_name(Place(made.store))
    results = analyse(read_snapshot(made.store), study)
    (out / "results.json").write_bytes(results.to_json())
    files["results"] = out / "results.json"
    if "report" in study.sync.then:
        files["report"] = write_report(results, out / "report.html")
    record = Record(name or "", made.run.run_id, datetime.now(UTC))
    (out / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    return files


def since_analysis(study: Study, status: Status) -> Since:
    """Return what changed since the study's results were computed."""
    try:
        record = msgspec.json.decode((study.folder / study.sync.out / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return Since(None, 0, 0, 0, 0)
    later = [run for run in status.runs if run.run_id > record.run_id]
    return Since(
        record.run_id,
        len(later),
        sum(run.new for run in later),
        sum(run.changed for run in later),
        sum(run.removed for run in later),
    )
