"""Bulk exports of a real server, sekmet-fhir, on this machine: what it has, and later what changed."""

import json
import time
from pathlib import Path

from real_server import RealServer, real_server

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import ExportRequest
from fhiradapter.fhir.transport import Transport
from fhiradapter.fhir.units import Fetched
from fhiradapter.sync.export_journal import ExportJournals
from fhiradapter.sync.export_plans import orders
from fhiradapter.sync.export_runs import run_exports
from fhiradapter.sync.exports import Exports
from fhiradapter.sync.known import Mark

KINDS = ("Patient", "Observation")


def _export(
    server: RealServer, folder: Path, store: dict[tuple[str, str], object], marks: dict[str, Mark]
) -> int:
    """Run what is needed, and return how many resources came."""
    came = 0

    def commit(fetched: Fetched) -> None:
        nonlocal came
        assert fetched.failure is None
        for entry in fetched.entries:
            store[entry.type, entry.id] = json.loads(entry.content)
            came += 1
        if fetched.watermark is not None:
            marks[fetched.unit.type] = Mark("all", fetched.watermark)

    settings = Server()
    with Transport(server.base_url, settings) as transport:
        exports = Exports(
            transport,
            ExportJournals(folder),
            folder,
            settings,
            source="ehr",
            sleep=lambda _: time.sleep(0.02),
        )
        request = ExportRequest(level="system", types=KINDS)
        ran = run_exports(
            exports,
            lambda: orders(request, lambda kind: [marks[kind]] if kind in marks else [], overlap_seconds=0),
            commit,
        )
    assert all(advance.over and advance.failure is None for advance in ran.advances)
    return came


def test_a_real_server_is_exported_in_full_and_then_what_changed(tmp_path: Path) -> None:
    """After each of two exports the same as by its own search; the second one asks for changes alone."""
    with real_server(tmp_path / "server") as server:
        for number in range(5):
            server.put({"resourceType": "Patient", "id": f"p{number}"})
        for number in range(40):
            observation = {"resourceType": "Observation", "id": f"o{number}", "status": "final"}
            subject = {"reference": f"Patient/p{number % 5}"}
            server.put({**observation, "code": {"text": "synthetic"}, "subject": subject})
        store: dict[tuple[str, str], object] = {}
        marks: dict[str, Mark] = {}
        assert _export(server, tmp_path / "exports", store, marks) == 45
        expected = {(kind, key): one for kind in KINDS for key, one in server.everything(kind).items()}
        assert store == expected
        server.put({**observation, "code": {"text": "changed"}, "subject": subject})
        # Its Date, by which the second one begins, has whole seconds and lags behind on a busy machine.
        assert 1 <= _export(server, tmp_path / "exports", store, marks) <= 45
        since = [kept.export.request.since for kept in ExportJournals(tmp_path / "exports").load()]
        assert [moment is None for moment in since] == [True, False]
        expected = {(kind, key): one for kind in KINDS for key, one in server.everything(kind).items()}
        assert store == expected
