"""A run leaves a folder whose files all speak of the same cohort."""

from pathlib import Path

import pytest
from incoming import NOW, ndjson, observation, patient

from fhiradapter import analysing, runs
from fhiradapter.errors import FhirAdapterError, UsageError
from fhiradapter.settings import Source, Study, StudyCard

MADE = {"results.json", "report.html", "run.json"}


def study(folder: Path, path: str = "in.ndjson") -> Study:
    card = StudyCard(id="runs", title="Runs")
    return Study(study=card, sources=[Source(path=[path])], folder=folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder of a whole run, with a file that no run wrote."""
    (tmp_path / "in.ndjson").write_bytes(ndjson([patient(), observation()]))
    runs.run_study(study(tmp_path), tmp_path / "out", now=NOW)
    (tmp_path / "out" / "notes.txt").write_text("ours")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cohort", "notes.txt", *MADE}
    return tmp_path / "out"


def test_a_failing_analysis_leaves_no_report_of_an_older_cohort(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new cohort and its run.json stay; results and report of the old one are gone, other files not."""

    def fail(*_: object, **__: object) -> None:
        raise FhirAdapterError("the analysis cannot be done")

    monkeypatch.setattr(analysing, "analyse", fail)
    with pytest.raises(FhirAdapterError, match="cannot be done"):
        runs.run_study(study(out.parent), out, now=NOW)
    assert {path.name for path in out.iterdir()} == {"cohort", "notes.txt", "run.json"}


def test_a_new_cohort_alone_leaves_no_report_of_an_older_one(out: Path) -> None:
    """Mapping without an analysis writes cohort and run.json, and nothing else is left to be taken for it."""
    runs.map_study(None, study(out.parent), out, now=NOW)
    assert {path.name for path in out.iterdir()} == {"cohort", "notes.txt", "run.json"}


def test_a_run_that_cannot_begin_leaves_everything_as_it_was(out: Path) -> None:
    """A path that is not there is no reason to lose the last report."""
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UsageError):
        runs.run_study(study(out.parent, "gone.ndjson"), out, now=NOW)
    (out / "cohort" / "notes.txt").write_text("ours")
    with pytest.raises(UsageError):
        runs.run_study(study(out.parent), out, now=NOW)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
