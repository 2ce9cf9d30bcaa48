"""The synthetic trial of the examples on a server that answers at once, and the verbs that read it."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from simulator.instant import BASE, InstantServer

from fhiradapter.cli.main import main
from fhiradapter.settings import Study, load_study
from fhiradapter.store.disk import Disk
from fhiradapter.store.store import Store
from fhiradapter.sync import running
from fhiradapter.sync.mapping import StudyMapper
from fhiradapter.sync.running import Circumstances, SyncRun, run_sync

EXAMPLE = Path(__file__).parents[2] / "examples" / "als_treg"
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SERVER = f"""[[sources]]
name = "hospital"
kind = "server"
base_url = "{BASE}"
site = "{EXAMPLE / "site.toml"}"
time_zone = "America/New_York"
"""


class Answer(NamedTuple):
    """What a verb said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Trial:
    """A study in a folder, its server, and what others do there."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder, self.store = folder, folder / "store"
        self.study_file = folder / "study.toml"
        begin, _, rest = (EXAMPLE / "study.toml").read_text().partition("[[sources]]")
        after = rest[rest.index("\n[") :] if "\n[" in rest else ""
        self.study_file.write_text(begin + SERVER + after + "\n" + settings)
        (folder / "server").mkdir()
        self.resources: dict[str, dict[str, dict[str, Any]]] = {}
        for path in sorted((EXAMPLE / "fhir").glob("*.ndjson")):
            for line in path.read_text().splitlines():
                one = json.loads(line)
                one["meta"] = {"versionId": "1", "lastUpdated": "2026-02-01T00:00:00.000Z"}
                self.resources.setdefault(one["resourceType"], {})[one["id"]] = one
        self.server = InstantServer(
            folder / "server",
            {kind: [line_of(one) for one in found.values()] for kind, found in self.resources.items()},
            now=BEGIN,
        )

    @property
    def study(self) -> Study:
        return load_study(self.study_file)

    def circumstances(self) -> Circumstances:
        """Return those of a run now; an hour later it is another now."""
        self.server.now += timedelta(hours=1)
        return Circumstances(lambda _: self.server, now=lambda: self.server.now)

    def sync(self, **more: Any) -> SyncRun:
        return run_sync(self.study, self.circumstances(), **more)

    def change(self, kind: str, edit: Callable[[dict[str, Any]], None], *ids: str) -> int:
        """Change resources on the server now, all of a type or some; return how many."""
        chosen = ids or tuple(self.resources[kind])
        at = self.server.now + timedelta(minutes=1)
        for number, key in enumerate(chosen):
            one = self.resources[kind][key]
            edit(one)
            updated = at + timedelta(milliseconds=number)
            one["meta"] = {
                "versionId": str(int(one["meta"]["versionId"]) + 1),
                "lastUpdated": updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        self.server.change({kind: {key: line_of(self.resources[kind][key]) for key in chosen}})
        return len(chosen)

    def dump(self) -> str:
        """Return the digest of what the store says."""
        mapper = StudyMapper(self.study)
        with Store.open(self.store, mapper=mapper, sources=mapper.sources, disk=Disk()) as store:
            return store.dump_hash()

    def files(self) -> dict[str, str]:
        """Return a digest of every file below the study's folder, and where links lead."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file() and not name.startswith("server/"):
                found[name] = sha256(path.read_bytes()).hexdigest()
        return found


def line_of(resource: dict[str, Any]) -> bytes:
    """Return a resource on one line."""
    return json.dumps(resource, separators=(",", ":")).encode()


def caller(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Return a function that calls a verb as the command line does; the network is the trial's server."""
    monkeypatch.setattr(running, "circumstances", lambda *_, **__: trial.circumstances())
    monkeypatch.chdir(trial.folder)

    def called(*arguments: object) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["fhiradapter", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        streams = capfd.readouterr()
        return Answer(int(code), streams.out, streams.err)

    return called
