"""Whole syncs of a scripted server into a store: time and chance are given, so that nothing waits."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from scripted_server import Faults, ScriptedServer, no_faults

from fhiradapter.connection import Server
from fhiradapter.errors import ServerError
from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.fhir.transport import Transport
from fhiradapter.settings import Source, Study
from fhiradapter.store.disk import Disk
from fhiradapter.store.store import Store
from fhiradapter.sync.mapping import StudyMapper
from fhiradapter.sync.running import Circumstances, SyncRun, run_sync

FIRST_RUN = datetime(2026, 5, 1, tzinfo=UTC)
RUNS = count()
FEW = ("Patient", "Observation", "MedicationAdministration")


class Reopening(Transport):
    """A transport whose server is there again after it refused a connection."""

    def __init__(self, server: ScriptedServer, settings: Server, **more: Any) -> None:
        super().__init__(server.base_url, settings, **more)
        self._server = server

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        try:
            return super().get(url, headers=headers, fresh=fresh)
        except ServerError:
            self._server.reopen()
            raise


class Renewing:
    """An authorization whose token can always be renewed."""

    def headers(self) -> dict[str, str]:
        return {}

    def refresh(self, rejected: str | None) -> bool:
        del rejected
        return True


def study_of(server: ScriptedServer, folder: Path, *, types: tuple[str, ...] = (), **more: Any) -> Study:
    """Return a study of one scripted server, whose requests come one after the other."""
    source = {
        "name": "ehr",
        "kind": "server",
        "base_url": server.base_url,
        "server": {"concurrency": 1, "page_size": 10, **more},
    }
    document = {"study": {"id": "test", "title": "Synthetic"}, "folder": folder, "sources": [source]}
    return Study.model_validate({**document, "sync": {"types": list(types)}})


def sync(
    server: ScriptedServer,
    study: Study,
    store: Path,
    *,
    faults: Faults = no_faults,
    disk: Disk | None = None,
    renewing: bool = False,
) -> SyncRun:
    """Run one sync; at a wait the clock goes on, and a server that refuses connections is there again."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        server.reopen()

    def opened(source: Source) -> Transport:
        assert source.server is not None
        return Reopening(
            server,
            source.server,
            auth=Renewing() if renewing else None,
            sleep=sleep,
            clock=lambda: clock[0],
            random=lambda: 0.5,
            now=lambda: server.ward.now,
        )

    def now() -> datetime:
        return FIRST_RUN + timedelta(seconds=next(RUNS))

    server.begin(faults)
    made = run_sync(study, Circumstances(opened, now=now, disk=disk), folder=store)
    server.reopen()
    return made


def digest(study: Study, folder: Path) -> str:
    """Return the digest of a store that is at rest."""
    mapper = StudyMapper(study)
    with Store.open(folder, mapper=mapper, sources=mapper.sources) as store:
        return store.dump_hash()


def states(study: Study, folder: Path) -> Mapping[str, str]:
    """Return the digests of the parts of a store, to see in which of them two differ."""
    from fhiradapter.store.dump import dump_hashes

    mapper = StudyMapper(study)
    with Store.open(folder, mapper=mapper, sources=mapper.sources) as store:
        return dump_hashes(store.database)


def study_file(server: ScriptedServer, folder: Path, *, types: tuple[str, ...] = (), **more: Any) -> Path:
    """Write the study of one scripted server as a file for the command line."""
    settings = {"concurrency": 2, "page_size": 10, **more}
    lines = [
        '[study]\nid = "test"\ntitle = "Synthetic"',
        f"[sync]\ntypes = {json.dumps(list(types))}",
        f'[[sources]]\nname = "ehr"\nkind = "server"\nbase_url = "{server.base_url}"\n[sources.server]',
        *(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
    ]
    path = folder / "study.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
