"""The verbs of a store, as the command line has them: explain, export, rebuild, status and quarantine."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from synced_trial import EXAMPLE, Answer, Trial, caller

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.store.snapshot import read_snapshot

Call = Callable[..., Answer]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A trial that was synced twice: one event has two versions, one Observation cannot be read."""
    found = Trial(tmp_path)
    found.sync()
    events = list(found.resources["AdverseEvent"])
    found.change("AdverseEvent", later, events[0])
    found.change("Observation", unreadable, next(iter(found.resources["Observation"])))
    found.sync()
    return found


@pytest.fixture
def call(trial: Trial, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call verbs."""
    return caller(trial, monkeypatch, capfd)


def later(event: dict[str, Any]) -> None:
    event["recordedDate"] = "2026-02-28"


def unreadable(observation: dict[str, Any]) -> None:
    observation["status"] = ["final"]


def test_explain_leads_from_a_row_of_the_store_to_its_resource(trial: Trial, call: Call) -> None:
    """Table, cells, older versions and, when asked for, the resource as it was sent."""
    event = next(iter(trial.resources["AdverseEvent"].values()))
    rows = read_snapshot(trial.store).arrow("events").to_pylist()
    (row,) = [one for one in rows if one["resource_id"] == event["id"]]
    found = call("explain", trial.study_file, row["row_id"], "--raw", "--json").json
    assert found["table"] == "events"
    assert found["row"]["rule"] == row["rule"]
    assert found["row"]["version_id"] == "2"
    assert found["older_versions"] == ["1"]
    assert json.loads(found["raw"]) == event
    text = call("explain", trial.study_file, row["row_id"]).out
    assert row["row_id"] in text
    assert event["meta"]["lastUpdated"] not in text  # without --raw the resource is not shown


def test_explain_leads_from_a_row_of_a_folder_to_its_line(trial: Trial, call: Call) -> None:
    """What `run` wrote is explained by the file and line that each row came from."""
    study = EXAMPLE / "study.toml"
    assert call("run", study, "--out", "out").code == 0
    rows = pq.read_table(trial.folder / "out/cohort/exposures.parquet").to_pylist()
    row = rows[5]
    found = call(
        "explain", study, row["row_id"], "--cohort", trial.folder / "out/cohort", "--raw", "--json"
    ).json
    sent = json.loads(found["raw"])
    assert (sent["resourceType"], sent["id"]) == (row["resource_type"], row["resource_id"])
    assert found["row"]["source_line"] == row["source_line"]


def test_explain_of_no_row_is_a_usage_error(trial: Trial, call: Call) -> None:
    """The message says where row ids are found, and what was given is not repeated."""
    answer = call("explain", trial.study_file, "nothing-like-it")
    assert answer.code == 2
    assert "row_id" in answer.err
    assert "nothing-like-it" not in answer.err + answer.out


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_exports_hold_every_row(form: str, trial: Trial, call: Call) -> None:
    """One file per table with its columns; nobody else may read them."""
    answer = call("export", trial.study_file, "--to", form, "--out", "exported", "--json")
    assert answer.code == 0, answer.err
    cohort = read_snapshot(trial.store)
    assert set(answer.json) == set(SCHEMAS)
    for table, name in answer.json.items():
        path = trial.folder / name
        read = pq.read_table(path) if form == "parquet" else csv_of(path)
        assert read.column_names == cohort.arrow(table).column_names
        assert read.num_rows == cohort.arrow(table).num_rows
        if form == "parquet":
            assert read.equals(cohort.arrow(table))
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def csv_of(path: Path) -> pa.Table:
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=options)


def test_an_export_tells_empty_from_missing(trial: Trial, call: Call) -> None:
    """A missing value is an empty field, and a text is quoted."""
    call("export", trial.study_file, "--to", "csv", "--out", "exported")
    header, first, *_ = (trial.folder / "exported/subjects.csv").read_text().splitlines()
    assert len(header.split(",")) == len(SCHEMAS["subjects"])
    assert ',"' in first
    assert ",," in first


def test_a_cohort_folder_is_exported_too(trial: Trial, call: Call) -> None:
    """What `run` wrote, without a store."""
    call("run", EXAMPLE / "study.toml", "--out", "out")
    answer = call("export", "out/cohort", "--to", "csv", "--out", "exported", "--json")
    assert answer.code == 0, answer.err
    assert csv_of(trial.folder / answer.json["subjects"]).num_rows == 6


def test_rebuild_makes_the_same_store(trial: Trial, call: Call) -> None:
    """The database is thrown away and made from the raw files: what it says is the same."""
    before, shown = trial.dump(), read_snapshot(trial.store)
    (trial.store / "store.duckdb").unlink()
    answer = call("rebuild", trial.study_file, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["digest"] == before == trial.dump()
    after = read_snapshot(trial.store)
    for table in ("subjects", "exposures", "measurements", "events", "encounters"):
        places = [name for name in SCHEMAS[table].names if name != "run_id"]
        assert after.arrow(table).select(places).equals(shown.arrow(table).select(places))
    assert call("sync", trial.study_file, "--json").json["run"]["changed"] == 0


def test_status_shows_runs_marks_coverage_and_quarantine(trial: Trial, call: Call) -> None:
    """Both runs, how many of each type there are, up to when it was read, and what is held back."""
    text = call("status", trial.study_file).out
    assert text.count("sync, complete") == 2
    for kind, found in trial.resources.items():
        if kind in {"Patient", "AdverseEvent", "Encounter", "Condition"}:
            (line,) = [line for line in text.splitlines() if line.startswith(kind)]
            assert f" {len(found):,} " in line
            assert "2026-03-01 01:59:00Z" in line
    assert "quarantine: WRONG_TYPE 1" in text or "quarantine: NOT_FHIR 1" in text
    assert "never analysed" in text
    status = call("status", trial.study_file, "--json").json["status"]
    assert [run["outcome"] for run in status["runs"]] == ["complete", "complete"]


def test_quarantine_is_listed_shown_and_mapped_again(trial: Trial, call: Call) -> None:
    """The list says where and why; `show` prints what was sent; `replay` finds that it is still wrong."""
    key = next(iter(trial.resources["Observation"]))
    (one,) = call("quarantine", "list", trial.study_file, "--json").json
    assert (one["type"], one["id"], one["version"], one["shown"]) == ("Observation", key, "2", True)
    assert call("quarantine", "list", trial.study_file, "--reason", one["reason"], "--json").json == [one]
    assert call("quarantine", "list", trial.study_file, "--reason", "INVALID_DATE", "--json").json == []
    text = call("quarantine", "list", trial.study_file).out
    assert f"Observation/{key}" in text
    assert "1 in quarantine" in text
    shown = call("quarantine", "show", trial.study_file, f"Observation/{key}").out
    assert json.loads(shown)["status"] == ["final"]
    again = call("quarantine", "replay", trial.study_file, "--json").json
    assert again == {"mapped": 0, "still_quarantined": 1}


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("quarantine", "list"), ("rebuild",), ("quarantine", "replay")],
    ids=["status", "quarantine list", "rebuild", "quarantine replay"],
)
def test_without_a_store_verbs_say_so(arguments: tuple[str, ...], tmp_path: Path, call: Call) -> None:
    """One line and exit code 2, and no store is made."""
    other = tmp_path / "other"
    other.mkdir()
    fresh = Trial(other)
    answer = call(*arguments, fresh.study_file)
    assert answer.code == 2, answer.err
    assert "error:" in answer.err
    assert not fresh.store.exists()
