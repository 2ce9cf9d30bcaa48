"""A store filled by bulk exports has the same cohort as one that was given the same resources by searches."""

import json
from pathlib import Path

import pytest
from incoming import Json, facts, meta, observation, patient
from simulator.bulk import TOKEN, BulkServer, FakeClock, bulk_server
from stores import by_type, cohort_in, opened, run_in

from fhiradapter.connection import Server
from fhiradapter.fhir.auth import Static
from fhiradapter.fhir.bulk import ExportRequest
from fhiradapter.fhir.transport import Transport
from fhiradapter.sync.export_journal import ExportJournals
from fhiradapter.sync.export_plans import orders
from fhiradapter.sync.export_runs import run_exports
from fhiradapter.sync.exports import Exports
from fhiradapter.sync.known import Mark

KINDS = ("Observation", "Patient")


def _resources(version: int) -> list[Json]:
    """Return ten Patients and their scores; those of every third one change with the version."""
    found: list[Json] = []
    for number in range(10):
        found.append(patient(f"p{number}", **meta("1")))
        changed = version if number % 3 == 0 else 1
        found.append(observation(f"o{number}", 40 - changed, f"Patient/p{number}", **meta(str(changed))))
    return found


def _show(server: BulkServer, resources: list[Json]) -> None:
    """Let the server have resources; those that it has already keep their time."""
    for resource in resources:
        key = (resource["resourceType"], resource["id"])
        content = json.dumps(resource, separators=(",", ":")).encode()
        if server.resources.get(key, (None, b""))[1] != content:
            server.resources[key] = (server.clock.now(), content)


def _sync(server: BulkServer, folder: Path, run: str) -> None:
    """Do one run of exports into the store of a folder."""
    settings = Server(request_seconds=1e9)
    clock = server.clock
    with (
        Transport(
            server.base,
            settings,
            auth=Static("Authorization", lambda: TOKEN),
            sleep=clock.sleep,
            clock=clock.monotonic,
            now=clock.now,
        ) as transport,
        opened(folder, run=run) as store,
    ):

        def marks(kind: str) -> list[Mark]:
            at = store.watermark("ehr", kind)
            return [Mark("all", at)] if at is not None else []

        exports = Exports(
            transport,
            ExportJournals(folder.parent / "exports"),
            folder.parent / "exports",
            settings,
            source="ehr",
            sleep=clock.sleep,
            now=clock.now,
        )
        request = ExportRequest(level="patient", types=KINDS)
        run_exports(
            exports,
            lambda: orders(request, marks, overlap_seconds=600),
            lambda fetched: store.commit([fetched]),
        )
        store.finish_run(now=clock.now())


@pytest.mark.parametrize("organized", [False, True])
def test_exports_make_the_same_cohort(organized: bool, tmp_path: Path) -> None:
    """In full, then incremental with a deletion: the same facts as from the same resources in another way."""
    first, second = _resources(1), [one for one in _resources(2) if one["id"] != "o4"]
    with bulk_server(FakeClock(), organized=organized, resources_per_file=4) as server:
        _show(server, first)
        server.clock.sleep(7200)
        _sync(server, tmp_path / "bulk", "run-1")
        run_in(tmp_path / "other", [by_type(first)])
        assert facts(cohort_in(tmp_path / "bulk")) == facts(cohort_in(tmp_path / "other"))
        assert len(cohort_in(tmp_path / "bulk").arrow("measurements")) == 10
        server.clock.sleep(7200)
        del server.resources["Observation", "o4"]
        server.traps.deleted = [("Observation", "o4")]
        _show(server, second)
        server.clock.sleep(1)
        _sync(server, tmp_path / "bulk", "run-2")
        assert "_since" in server.kick_offs[1]["parameters"]
        assert sum(file["part"] == "output" for file in server.jobs[2].files) <= 2
        run_in(tmp_path / "third", [by_type(second)])
        assert facts(cohort_in(tmp_path / "bulk")) == facts(cohort_in(tmp_path / "third"))
