"""After a sync the analysis and the report are refreshed when the study asks, and say what they cover."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synced_trial import BEGIN, Answer, Trial, caller

from fhiradapter.results import Results

THEN = '[sync]\nthen = ["analyse", "report"]\nout = "figures"\n'


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A trial that wants both."""
    return Trial(tmp_path, THEN)


@pytest.fixture
def call(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Call verbs."""
    return caller(trial, monkeypatch, capfd)


def figures(trial: Trial) -> Results:
    return Results.from_json((trial.folder / "figures" / "results.json").read_bytes())


def void(resource: dict[str, Any]) -> None:
    resource["status"] = "entered-in-error"


def test_a_sync_refreshes_results_and_report(trial: Trial, call: Callable[..., Answer]) -> None:
    """The files are there after the first sync, and say something else after a change."""
    answer = call("sync", trial.study_file, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["files"]) == {"results", "report"}
    before = figures(trial)
    assert before.cohort.n == 6
    trial.change("AdverseEvent", void)
    assert call("sync", trial.study_file).code == 0
    after = figures(trial)
    assert before.safety.overview != after.safety.overview
    assert "report.html" in {path.name for path in (trial.folder / "figures").iterdir()}


def test_results_say_which_run_and_up_to_when_each_type_was_read(
    trial: Trial, call: Callable[..., Answer]
) -> None:
    """The server's clock stood at 01:00 UTC of 1 March; the last 60 s are left for the next run."""
    run = call("sync", trial.study_file, "--json").json["run"]
    snapshot = figures(trial).snapshot
    assert snapshot is not None
    assert (snapshot.run, snapshot.complete, snapshot.failed_units) == (run["run_id"], True, 0)
    assert BEGIN.hour == 0
    assert set(snapshot.read_up_to.values()) == {"2026-03-01T00:59:00.000Z"}
    assert {"Patient", "Observation", "AdverseEvent", "Medication"} <= set(snapshot.read_up_to)
    report = (trial.folder / "figures" / "report.html").read_text()
    start = report.index('<p id="snapshot">')
    line = report[start : report.index("</p>", start)]
    assert run["run_id"] in line
    assert "up to 2026-03-01 00:59:00 UTC" in line
    assert "not complete" not in line


def test_a_partial_run_is_said_in_the_report(trial: Trial, call: Callable[..., Answer]) -> None:
    """A type that could not be read is as of an earlier run, and its mark says so."""
    assert call("sync", trial.study_file).code == 0
    usual = trial.server.get

    def failing(url: str, **more: Any) -> Any:
        reply = usual(url, **more)
        return reply._replace(body=b"<html>") if "/Observation?" in url else reply

    trial.server.get = failing  # type: ignore[method-assign]
    assert call("sync", trial.study_file).code == 4
    snapshot = figures(trial).snapshot
    assert snapshot is not None
    assert not snapshot.complete
    assert snapshot.failed_units > 0
    assert snapshot.read_up_to["Observation"] == "2026-03-01T00:59:00.000Z"
    assert snapshot.read_up_to["Patient"] == "2026-03-01T01:59:00.000Z"
    assert "The run was not complete" in (trial.folder / "figures" / "report.html").read_text()


def test_status_tells_what_changed_since_the_analysis(trial: Trial, call: Callable[..., Answer]) -> None:
    """Nothing has, until the study no longer asks for the refreshing and somebody changes 14 events."""
    call("sync", trial.study_file)
    assert "nothing has changed since" in call("status", trial.study_file).out
    trial.study_file.write_text(trial.study_file.read_text().replace(THEN, '[sync]\nout = "figures"\n'))
    before = (trial.folder / "figures" / "results.json").read_bytes()
    count = trial.change("AdverseEvent", void)
    call("sync", trial.study_file)
    since = call("status", trial.study_file, "--json").json["since_analysis"]
    assert (since["runs"], since["new"], since["changed"], since["removed"]) == (1, 0, count, 0)
    assert f"{count} changed" in call("status", trial.study_file).out
    assert (trial.folder / "figures" / "results.json").read_bytes() == before


def test_without_a_wish_nothing_is_written(tmp_path: Path) -> None:
    """A study without [sync] then has a store and nothing else."""
    trial = Trial(tmp_path)
    trial.sync()
    assert {path.name for path in tmp_path.iterdir()} == {"server", "store", "study.toml"}


def test_files_analysed_without_a_sync_say_nothing_of_one(trial: Trial) -> None:
    """Results of files have no snapshot, and their report no such line."""
    from fhiradapter import api
    from fhiradapter.analysing import analyse
    from fhiradapter.reports.registry import write_report

    results = analyse(api.build_cohort([]), api.anonymous_study())
    assert results.snapshot is None
    assert json.loads(results.to_json())["snapshot"] is None
    assert 'id="snapshot"' not in write_report(results, trial.folder / "r.html").read_text()
