"""`sync --dry-run` says what a sync would change and what that does to the slopes, and changes nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_server import real_server
from synced_trial import Answer, Trial, caller, line_of

from fhiradapter.analysing import analyse
from fhiradapter.settings import Study
from fhiradapter.store.snapshot import read_snapshot
from fhiradapter.sync.rehearsal import rehearse
from fhiradapter.sync.running import circumstances, run_sync

TOTAL = "Observation"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A trial that was synced once."""
    found = Trial(tmp_path)
    found.sync()
    return found


@pytest.fixture
def call(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Call verbs."""
    return caller(trial, monkeypatch, capfd)


def scores(trial: Trial) -> list[str]:
    """Return the ids of the ALSFRS-R totals: Observations whose value is a whole number up to 48."""
    return [
        key
        for key, one in trial.resources["Observation"].items()
        if any(coding.get("code") == "82939-0" for coding in one["code"].get("coding", ()))
    ]


def void(resource: dict[str, Any]) -> None:
    resource["status"] = "entered-in-error"


def test_an_unchanged_server_would_change_nothing(trial: Trial, call: Callable[..., Answer]) -> None:
    """Nothing new, and the slopes then are the slopes now."""
    answer = call("sync", trial.study_file, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert (found["new"], found["changed"], found["removed"], found["partial"]) == (0, 0, 0, [])
    assert found["slopes"]
    for line in found["slopes"]:
        assert (line["n"], line["slope"]) == (line["n_then"], line["slope_then"])


def test_a_rehearsal_says_what_the_sync_then_does(trial: Trial, call: Callable[..., Answer]) -> None:
    """It names the counts and slopes that the real run ends with, and leaves every file and row as it was."""
    before = analyse(read_snapshot(trial.store), trial.study).progression.periods
    voided = [
        key
        for key, one in trial.resources["Observation"].items()
        if one.get("valueQuantity", {}).get("value") is not None or one.get("valueInteger") is not None
    ][::2]
    changed = trial.change("Observation", void, *voided)
    files, dump = trial.files(), trial.dump()
    files = trial.files()
    found = call("sync", trial.study_file, "--dry-run", "--json").json
    assert trial.files() == files
    assert trial.dump() == dump
    assert (found["new"], found["changed"], found["removed"]) == (0, changed, 0)
    trial.sync()
    after = analyse(read_snapshot(trial.store), trial.study).progression.periods
    assert {line["period"]: (line["n"], line["slope"]) for line in found["slopes"]} == {
        name: (period.n, period.mean_slope) for name, period in before.items()
    }
    assert {line["period"]: (line["n_then"], line["slope_then"]) for line in found["slopes"]} == {
        name: (period.n, period.mean_slope) for name, period in after.items()
    }
    assert any(line["slope"] != line["slope_then"] for line in found["slopes"])


def test_people_read_it_as_sentences(trial: Trial, call: Callable[..., Answer]) -> None:
    """Counts, and a line for each period with both means and their unit."""
    trial.change("Observation", void, *list(trial.resources["Observation"])[:7])
    answer = call("sync", trial.study_file, "--dry-run")
    assert answer.code == 0
    assert "would add 0, change 7 and remove 0 resources" in answer.out
    assert "mean slope then" in answer.out


def test_before_the_first_sync_there_is_no_now(tmp_path: Path) -> None:
    """Everything would be new, and afterwards there still is no store."""
    trial = Trial(tmp_path)
    files = trial.files()
    found = rehearse(trial.study, trial.circumstances())
    assert found.new == sum(
        len(trial.resources[kind])
        for kind in trial.resources
        if kind not in {"MedicationStatement", "Medication", "Specimen"}
    ) + referred(trial)
    assert {line.slope for line in found.slopes} == {None}
    assert any(line.slope_then is not None for line in found.slopes)
    assert trial.files() == files
    assert not trial.store.exists()


def referred(trial: Trial) -> int:
    """Return how many Medications and Specimens other resources that are read refer to."""
    text = b"".join(
        line_of(one)
        for kind, found in trial.resources.items()
        if kind not in {"MedicationStatement", "Medication", "Specimen"}
        for one in found.values()
    )
    return sum(
        f'"{kind}/{key}"'.encode() in text
        for kind in ("Medication", "Specimen")
        for key in trial.resources[kind]
    )


def test_a_real_server_is_rehearsed_too(tmp_path: Path) -> None:
    """With a server of others: one new and one changed resource are told, and the store stays as it was."""
    with real_server(tmp_path / "server") as server:
        source = {"name": "ehr", "kind": "server", "base_url": server.base_url}
        study = Study.model_validate(
            {
                "study": {"id": "t", "title": "Synthetic"},
                "folder": tmp_path,
                "sources": [source | {"server": {"settle_seconds": 0}}],
            }
        )
        server.put({"resourceType": "Patient", "id": "p1", "gender": "female"})
        time.sleep(2.1)  # its times are in whole seconds, and windows end with the last whole one
        run_sync(study, circumstances(study, {}))
        server.put({"resourceType": "Patient", "id": "p1", "gender": "male"})
        server.put({"resourceType": "Patient", "id": "p2", "gender": "female"})
        time.sleep(2.1)
        store = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
        found = rehearse(study, circumstances(study, {}))
        assert (found.new, found.changed, found.removed) == (1, 1, 0)
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
        assert {path.name for path in after if after[path] != store.get(path)} <= {"lock", "store"}
        assert read_snapshot(tmp_path / "store").arrow("subjects").num_rows == 1
