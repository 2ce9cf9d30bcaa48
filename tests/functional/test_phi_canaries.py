"""What a server says of patients stays in its places: no verb and no failure tells it to a log or a screen.

Asked for patient content are `explain` and `quarantine show` alone. `quarantine list` names resources by type
and id, because a steward has to find them: an id is a key that says nothing of a person. The id of a Patient,
which links all that is known of one, and an id that FHIR does not allow, which may be anything, are shown as
a digest.
"""

import errno
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from charted import FAILURES, MARKS, PATIENT, Ward, charted

from fhiradapter.cli import main
from fhiradapter.runs import map_study
from fhiradapter.settings import load_study
from fhiradapter.store.disk import Disk
from fhiradapter.sync import running, source_run
from fhiradapter.sync.aftermath import follow_up

STUDY = """
[study]
id = "canaries"
title = "Synthetic"
[[sources]]
name = "ward"
kind = "server"
base_url = "{base}"
[sources.server]
tries = 1
settle_seconds = 0
request_seconds = 5
[sync]
metrics = "metrics/sync.prom"
"""
THEN = 'then = ["analyse", "report"]'
# Files that are meant to hold patients' data; everything else that a verb leaves must not.
KEPT = ("store", "results", "exported", "out", "mapped", "analysed")


class Told:
    """What a verb let anybody see."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text


Call = Callable[..., Told]


@pytest.fixture(scope="module")
def ward() -> Iterator[Ward]:
    """A server on this machine."""
    with charted() as found:
        yield found


@pytest.fixture(scope="module")
def once(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the server was synced once, and its chart as files and as a cohort."""
    folder = tmp_path_factory.mktemp("once")
    ward.failing = ""
    path = folder / "study.toml"
    path.write_text(STUDY.format(base=ward.base) + THEN)
    study = load_study(path)
    follow_up(study, running.run_sync(study, running.circumstances(study, {})))
    (folder / "chart").mkdir()
    for kind, resources in ward.chart.items():
        lines = "\n".join(json.dumps(one) for one in resources)
        (folder / "chart" / f"{kind}.ndjson").write_text(f"{lines}\n{lines[: len(lines) // 3]}\n")
    map_study([str(folder / "chart")], study, folder / "mapped")
    return folder


@pytest.fixture
def study(ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of that server in an empty folder, which is also the current one and holds temporary files."""
    ward.failing = ""
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(base=ward.base))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def call(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    """Call a verb with every logger of the process at debug level."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "fhiradapter", "fhiradapter.sync", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)

    def called(*arguments: object) -> Told:
        caplog.clear()
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["fhiradapter", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        streams = capfd.readouterr()
        return Told(int(code), caplog.text + streams.out + streams.err)

    return called


def assert_clean(told: Told, folder: Path) -> None:
    """Nothing was told, no file is named after it or holds it, and no temporary file is left."""
    assert MARKS.found_in(told.text) == [], told.text[-3000:]
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        assert MARKS.found_in(name) == []
        if path.is_file() and not name.startswith(KEPT):
            assert MARKS.found_in(path.read_bytes().decode("latin-1")) == [], name
    assert list((folder / "tmp").iterdir()) == []
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def synced(call: Call, study: Path, *more: str) -> Told:
    return call("sync", study, "--log", study.parent / "sync.log", "--debug", *more)


def test_there_are_more_than_forty_marks_and_the_store_has_them(call: Call, study: Path) -> None:
    """The marks do arrive: what the tests below do not find was there to be found."""
    told = synced(call, study)
    assert told.code == 0, told.text
    assert_clean(told, study.parent)
    assert "unit read" in (study.parent / "sync.log").read_text()
    shown = call("quarantine", "show", study, "Observation/bad-3").text
    assert {"status", "note of Observation", "numeric value"} <= set(MARKS.found_in(shown))
    row = json.loads(call("export", study, "--to", "csv", "--out", "exported", "--json").text)
    assert PATIENT in Path(row["subjects"]).read_text()
    print(f"\n{len(MARKS.known)} marks in as many fields")
    assert len(MARKS.known) >= 40


VERBS: dict[str, tuple[str, ...]] = {
    "sync": ("sync", "STUDY"),
    "sync again, in full": ("sync", "STUDY", "--full"),
    "sync --json": ("sync", "STUDY", "--json"),
    "rehearsal": ("sync", "STUDY", "--dry-run"),
    "rehearsal --json": ("sync", "STUDY", "--dry-run", "--json"),
    "rehearsal of everything": ("sync", "STUDY", "--dry-run", "--full"),
    "status": ("status", "STUDY"),
    "status --json": ("status", "STUDY", "--json"),
    "quarantine list": ("quarantine", "list", "STUDY"),
    "quarantine replay": ("quarantine", "replay", "STUDY"),
    "quarantine replay --json": ("quarantine", "replay", "STUDY", "--json"),
    "rebuild": ("rebuild", "STUDY"),
    "rebuild --json": ("rebuild", "STUDY", "--json"),
    "check": ("check", "STUDY"),
    "check --json": ("check", "STUDY", "--json"),
    "export": ("export", "STUDY", "--to", "parquet", "--out", "exported"),
    "export --json": ("export", "STUDY", "--to", "csv", "--out", "exported", "--json"),
    "export to an unknown form": ("export", "STUDY", "--to", "xml", "--out", "exported"),
    "run": ("run", "STUDY", "--out", "out"),
    "run --json": ("run", "STUDY", "--out", "out", "--json"),
    "map": ("map", "chart", "--out", "mapped"),
    "map --json": ("map", "chart", "--out", "mapped", "--json"),
    "analyse": ("analyse", "mapped/cohort", "--study", "STUDY", "--out", "analysed"),
    "analyse --json": ("analyse", "mapped/cohort", "--study", "STUDY", "--out", "analysed", "--json"),
    "report": ("report", "results", "--out", "out/report.html"),
    "report --json": ("report", "results", "--out", "out/report.html", "--json"),
    "explain nothing": ("explain", "STUDY", "no-such-row"),
}


@pytest.fixture
def filled(once: Path, study: Path) -> Path:
    """A study that was synced, and the same chart as files."""
    shutil.copytree(once, study.parent, symlinks=True, dirs_exist_ok=True)
    return study


@pytest.mark.parametrize("name", VERBS)
def test_no_verb_tells_anything_about_a_patient(name: str, call: Call, filled: Path) -> None:
    """Whatever the verb, its streams, logs and files beside the data have none of the marks."""
    arguments = [str(filled) if one == "STUDY" else one for one in VERBS[name]]
    told = call(*arguments)
    shutil.rmtree(filled.parent / "chart")
    if name == "quarantine list":
        allowed = {"Observation id", "MedicationAdministration id", "Condition id", "Encounter id"}
        assert set(MARKS.found_in(told.text)) <= allowed
    elif name.startswith("check"):
        # The server's own name is what is asked for; it is said on the screen and stands in no file.
        assert set(MARKS.found_in(told.text)) <= {"software"}
        assert_clean(Told(told.code, ""), filled.parent)
    else:
        assert_clean(told, filled.parent)


def test_quarantine_list_shows_a_digest_of_patients_ids(call: Call, filled: Path) -> None:
    """A Patient in quarantine is listed, its id is not, and what is listed can be shown."""
    listed = json.loads(call("quarantine", "list", filled, "--json").text)
    (patient,) = [one for one in listed if one["type"] == "Patient"]
    strange = [one for one in listed if one["id"].startswith("sha256-") and one["type"] == "Observation"]
    assert patient["id"].startswith("sha256-")
    assert len(strange) == 1
    assert {"bad-2", "bad-3"} <= {one["id"] for one in listed}
    for one in (patient, *strange):
        shown = call("quarantine", "show", filled, f"{one['type']}/{one['id']}").text
        assert json.loads(shown)["resourceType"] == one["type"]


@pytest.mark.parametrize("failing", FAILURES)
def test_no_failure_of_a_server_tells_anything(failing: str, call: Call, ward: Ward, filled: Path) -> None:
    """Whatever the server answers, it is told by a reason and a status and by nothing of the answer.

    A type that is forbidden is left out with a reason; all else makes a later run partial, or ends it. Before
    a first run the probe leaves out what it cannot read.
    """
    shutil.rmtree(filled.parent / "chart")
    ward.failing = failing
    later = synced(call, filled, "--full")
    assert_clean(later, filled.parent)
    assert later.code in {4, 5, 6} or failing == "403"
    shutil.rmtree(filled.parent / "store")
    first = synced(call, filled, "--json")
    assert_clean(first, filled.parent)
    assert_clean(call("status", filled), filled.parent)
    assert_clean(call("status", filled, "--json"), filled.parent)


class FullDisk(Disk):
    """A disk that is full at some step."""

    def __init__(self, name: str) -> None:
        self.name = name

    def step(self, name: str) -> None:
        """Fail."""
        if name == self.name:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename", "sql", "copy"])
def test_a_full_disk_tells_nothing(
    step: str, call: Call, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the disk's complaint."""
    usual = running.circumstances

    def full(*arguments: Any, **more: Any) -> running.Circumstances:
        given = usual(*arguments, **more)
        given.disk = FullDisk(step)
        return given

    monkeypatch.setattr(running, "circumstances", full)
    told = synced(call, study)
    assert told.code == 1
    assert "No space left" in told.text
    assert_clean(told, study.parent)


CRASH = """
import sys
from fhiradapter.cli import main
from fhiradapter.sync.mapping import StudyMapper
def crashed(self, source, batches, stored, **more):
    text = b"".join(b"".join(batch.lines) for batch in batches).decode()
    def inner(chart):
        raise KeyError(chart)
    inner(text)
StudyMapper.map = crashed
sys.argv = ["fhiradapter", *sys.argv[1:]]
main()
"""


def test_a_crash_tells_where_and_not_what(study: Path) -> None:
    """Shown are files, lines and the kind of the error; its message may be a chart, and is left out."""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, "sync", str(study), "--log", "sync.log", "--debug"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert "commit.py" in done.stderr
    assert_clean(Told(1, done.stdout + done.stderr), study.parent)


def test_a_crash_in_a_thread_tells_nothing(call: Call, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread raises is raised where it is waited for, and told in the same way."""

    def crashed(*_: Any, **__: Any) -> None:
        raise RuntimeError(MARKS["family name"])

    monkeypatch.setattr(source_run, "fetch", crashed)
    told = synced(call, study)
    assert (told.code, "RuntimeError" in told.text) == (1, True)
    assert_clean(told, study.parent)
