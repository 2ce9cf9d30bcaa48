"""Runs of the whole sync into a store on the disk, while others write to a simulated server (synthetic)."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.settings import Study
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.heads import head_of
from fhiradapter.store.place import Place
from fhiradapter.sync.running import Circumstances, run_sync

from .running import QUIET_SECONDS, READ, Loss, Outcome, Setting, expected, simulated
from .server import BASE, EPOCH, KINDS, Simulator

AWAY = frozenset({"deleted", "gone"})


class Served:
    """A simulator as a sync opens it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.base_url = simulator.base_url
        self.get = simulator.get

    def close(self) -> None:
        """Nothing is held."""


def run_stored(seed: int, writes: int, setting: Setting, folder: Path, *, every: float = 900.0) -> Outcome:
    """Sync a server into a store again and again while it is written to, then once when it is quiet.

    One request at a time, so that a seed always gives the same run. Twice is what the list of resources or a
    table of the cohort has more than once.
    """
    simulator = simulated(seed, setting)
    server = setting.server.model_copy(update={"concurrency": 1})
    study = Study.model_validate(
        {
            "study": {"id": "simulated", "title": "Synthetic"},
            "folder": folder,
            "sources": [{"name": "ehr", "kind": "server", "base_url": BASE, "server": server}],
            "sync": {"types": list(READ)},
        }
    )
    given = Circumstances(
        lambda _: Served(simulator), now=lambda: EPOCH + timedelta(microseconds=simulator.now)
    )
    end = simulator.plan_writes(writes)
    runs = 0
    while simulator.now < end:
        run_sync(study, given)
        runs += 1
        simulator.advance(every)
    simulator.advance(QUIET_SECONDS)
    made = run_sync(study, given)
    truth = expected(simulator, setting.server)
    return Outcome(
        setting.name,
        _loss(simulator, folder / "store", truth),
        None,
        len(truth),
        len(simulator.requests),
        runs + 1,
        made.partial,
    )


def _loss(simulator: Simulator, folder: Path, truth: Mapping[tuple[str, str], object]) -> Loss:
    database = Database(Place(folder).database, Disk(), read_only=True)
    try:
        rows = database.rows("SELECT resource_type, resource_id, state, content FROM base.resources")
        twice = sum(
            database.value(f"SELECT count(*) - count(DISTINCT row_id) FROM {table}") for table in SCHEMAS
        )
    finally:
        database.close()
    held = {(kind, key): (state, content) for kind, key, state, content in rows}
    lost = stale = 0
    for key, version in truth.items():
        state, content = held.get(key, ("gone", None))
        if state in AWAY:
            lost += 1
        else:
            stale += content != head_of(version.content, key[0]).content  # type: ignore[attr-defined]
    everything = simulator.truth()
    undeleted = sum(
        state == "current" and (kind, key) not in everything
        for (kind, key), (state, _) in held.items()
        if kind in KINDS
    )
    return Loss(lost, stale, undeleted, len(rows) - len(held) + twice)
