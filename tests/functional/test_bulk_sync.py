"""A sync by bulk exports, from a real server with SMART Backend Services: the same tables as by searches."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from real_server import RealServer, real_server

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.errors import AuthenticationError, TransientServerError
from fhiradapter.exporting import export_to
from fhiradapter.fhir.keys import public_members
from fhiradapter.settings import Study
from fhiradapter.store.snapshot import read_snapshot
from fhiradapter.store.status import read_status
from fhiradapter.sync.checking import check_servers
from fhiradapter.sync.export_listing import list_all
from fhiradapter.sync.running import Circumstances, SyncRun, circumstances, run_sync

KEY = ec.generate_private_key(ec.SECP384R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
KINDS = ("Patient", "Observation", "Encounter", "Condition", "MedicationAdministration")
EXAMPLE = Path(__file__).parents[2] / "examples" / "als_treg" / "fhir"


def clients() -> list[dict[str, Any]]:
    """Two registered clients with one public key: one may read all, one Patients alone."""
    keys = {"keys": [public_members(KEY)]}
    scopes = {"all": "system/*.*", "patients": "system/Patient.rs"}
    return [{"client_id": name, "jwks": keys, "scopes": scope} for name, scope in scopes.items()]


class Hospital:
    """A server that asks who we are, filled without asking: the example's first 300 resources of a type."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def study(self, name: str, feed: str, *, client_id: str) -> Study:
        auth: dict[str, Any] = {"kind": "smart", "client_id": client_id, "private_key": "env:KEY"} | {
            "algorithm": "ES384"
        }
        if feed == "bulk":
            auth["scopes"] = ["system/*.*"]  # this server asks for them at $export, and for its DELETE
        server = {"auth": auth, "settle_seconds": 0, "feeds": dict.fromkeys(KINDS, feed)}
        return Study.model_validate(
            {
                "study": {"id": name, "title": "Synthetic"},
                "folder": self.folder / name,
                "sync": {"types": list(KINDS)},
                "sources": [
                    {"name": "hospital", "kind": "server", "base_url": self.server.base_url, "server": server}
                ],
            }
        )


def sync(study: Study) -> SyncRun:
    study.folder.mkdir(exist_ok=True)
    made = run_sync(study, circumstances(study, {"KEY": PEM}))
    failed = [(unit.name, unit.feed) for unit in read_status(study.folder / "store").failed]
    assert not made.partial, (made.partial, failed)
    return made


def rows(study: Study) -> dict[str, list[str]]:
    """Return the cohort's rows but for where they were read from."""
    cohort: Cohort = read_snapshot(study.folder / "store")
    found = {}
    for table in ("subjects", "exposures", "measurements", "events", "encounters"):
        listed = cohort.arrow(table).drop_columns(["source_file", "source_line", "run_id"]).to_pylist()
        found[table] = sorted(json.dumps(row, default=str, sort_keys=True) for row in listed)
    return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A real server that asks who we are, with part of the synthetic example."""
    auth = {"types": ["smart", "bearer"], "tokens": ["writer"], "smart_clients": clients()}
    with real_server(tmp_path_factory.mktemp("server"), server_auth=auth) as server:
        server.introduce("writer")
        for kind in KINDS:
            for line in (EXAMPLE / f"{kind}.ndjson").read_text(encoding="utf-8").splitlines()[:150]:
                server.put(json.loads(line))
        yield Hospital(server, tmp_path_factory.mktemp("studies"))


def test_exports_make_the_same_tables_as_searches(hospital: Hospital, tmp_path: Path) -> None:
    """In full and after changes; then the store gives its resources back as a bulk export."""
    time.sleep(2.5)
    by_export = hospital.study("export", "bulk", client_id="all")
    by_search = hospital.study("search", "updated", client_id="all")
    first = sync(by_export)
    assert first.run.new > 350
    sync(by_search)
    assert rows(by_export) == rows(by_search)
    observations = hospital.server.everything("Observation")
    some = sorted(observations)
    hospital.server.put({**observations[some[0]], "status": "entered-in-error"})
    hospital.server.put({**observations[some[1]], "id": "new-one"})
    hospital.server.delete("Observation", some[2])
    time.sleep(2.5)
    second = sync(by_export)
    assert (second.run.new, second.run.changed, second.run.removed) == (1, 1, 1)
    sync(by_search)
    assert rows(by_export) == rows(by_search)
    exports = list_all(by_export)
    assert [line.since is None for line in exports] == [True, False]
    assert {line.step for line in exports} == {"DELETED"}
    print(f"{first.run.new} resources by export, then 3 changes; exports: {len(exports)}")

    files = export_to(by_export.folder / "store", "ndjson", tmp_path / "out")
    manifest = json.loads(files["manifest"].read_bytes())
    given = {
        (one["resourceType"], one["id"]): one
        for file in manifest["output"]
        for one in map(json.loads, (tmp_path / "out" / Path(file["url"]).name).read_bytes().splitlines())
    }
    held = {(kind, key): one for kind in KINDS for key, one in hospital.server.everything(kind).items()}
    assert given == held


def test_missing_scopes_are_named_before_anything_is_read(hospital: Hospital) -> None:
    """A client that may read Patients alone ends with the names of the other types, and exit code 5."""
    study = hospital.study("narrow", "updated", client_id="patients")
    study.folder.mkdir()
    made = run_sync(study, circumstances(study, {"KEY": PEM}))
    assert [type(error) for error in made.errors] == [AuthenticationError]
    assert "Condition, Encounter, Medication, MedicationAdministration, Observation, Specimen" in str(
        made.errors[0]
    )
    assert made.run.new == 0


def test_check_says_what_the_server_can_do(hospital: Hospital) -> None:
    """Software, exports, scopes, and of each type the feed and why; a missing scope is a problem."""
    study = hospital.study("checked", "updated", client_id="all")
    [found] = check_servers(study, circumstances(study, {"KEY": PEM}))
    assert found.problem is None
    assert (found.fhir_version, found.authentication, found.patients) == ("4.0.1", "smart", None)
    assert found.exports == ("group", "patient", "system")
    assert "system/Observation.rs" in found.granted
    assert found.feeds["Observation"].startswith("updated: ")
    assert "the settings ask for updated" in found.feeds["Observation"]
    narrow = hospital.study("narrow-check", "updated", client_id="patients")
    [found] = check_servers(narrow, circumstances(narrow, {"KEY": PEM}))
    assert "no scope to read Condition" in str(found.problem)
    [found] = check_servers(narrow, Circumstances(lambda _: Nobody()))
    assert "nobody answers" in str(found.problem)


class Nobody:
    """A server that is not there."""

    base_url = "http://127.0.0.1:9/fhir"

    def get(self, url: str, *, headers: Any = None, fresh: bool = True) -> Any:
        raise TransientServerError("nobody answers", reason="UNREACHABLE")

    def close(self) -> None:
        """Nothing is open."""
