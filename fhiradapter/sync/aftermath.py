"""The aftermath of a sync: analysis and report refreshed when the study asks for it, and how old they are."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fhiradapter.analysing import analyse
from fhiradapter.reports.registry import write_report
from fhiradapter.results import Snapshot
from fhiradapter.settings import Study
from fhiradapter.store.ledger import Run
from fhiradapter.store.place import Place
from fhiradapter.store.snapshot import published_name, read_snapshot
from fhiradapter.store.status import Status, read_status
from fhiradapter.sync.metrics import write_metrics
from fhiradapter.sync.running import SyncRun
from fhiradapter.sync.shards import BESIDE

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
    results = msgspec.structs.replace(
        analyse(read_snapshot(made.store), study), snapshot=covered(read_status(made.store), made.run)
    )
    (out / "results.json").write_bytes(results.to_json())
    files["results"] = out / "results.json"
    if "report" in study.sync.then:
        files["report"] = write_report(results, out / "report.html")
    record = Record(name or "", made.run.run_id, datetime.now(UTC))
    (out / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    return files


def covered(status: Status, run: Run) -> Snapshot:
    """Return what the store covers after a run: up to when each type was read, by the oldest of its marks."""
    until: dict[str, str | None] = dict.fromkeys(sorted(status.resources))
    for mark in status.watermarks:
        if BESIDE not in mark.shard:
            until[mark.type] = min(mark.until, until.get(mark.type) or mark.until)
    ended = run.ended_at or run.started_at
    return Snapshot(
        run=run.run_id,
        ended=ended.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        complete=run.outcome == "complete",
        read_up_to=until,
        failed_units=len(status.failed),
    )


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
