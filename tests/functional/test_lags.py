"""What a server shows late makes the next windows begin earlier, by twice the longest lag seen."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from simulator.instant import InstantServer
from simulator.running import EVERYONE, sync
from simulator.server import Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.fhir.instants import SECOND, instant, written
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.sync.lags import Lags, overlap_with
from fhiradapter.sync.plans import Plan
from tests.benchmarks.sync import BEGIN, line, resources, synced

HOUR = 3600
SETTLE = int(EVERYONE.settle_seconds)
OVERLAP = int(EVERYONE.overlap_seconds)


def show_late(ward: "Ward", key: str, *, before: int) -> float:
    """Show an Observation that was updated some seconds before the last reading; return how many exactly."""
    simulator = ward.simulator
    simulator.now -= before * SECOND
    simulator.put("Observation", key, "p1")
    simulator.now += before * SECOND
    updated = simulator.visible["Observation"][key].updated // 1000 * 1000
    return ((instant(ward.last.until) or 0) + SETTLE * SECOND - updated) / SECOND


def overlap_of(plan: Plan, last: Plan) -> float:
    """Return how many seconds before the last end a plan's Observations begin."""
    (unit,) = [unit for unit in plan.units if unit.type == "Observation"]
    return ((instant(last.until) or 0) - (instant(unit.since) or 0)) / SECOND


class Ward:
    """A simulated server, what was read of it, and the lags that it has shown."""

    def __init__(self) -> None:
        self.simulator = Simulator(1, Traits(commit_seconds=0), facts=40)
        self.simulator.advance(HOUR)
        self.store, self.lags = MemoryStore(), Lags(settle_seconds=SETTLE)
        self.last = self.sync()

    def sync(self) -> Plan:
        probed = self.last.probed if hasattr(self, "last") else None
        self.last = sync(self.simulator, self.store, EVERYONE, probed, self.lags)
        return self.last

    def has(self, key: str) -> bool:
        return key in self.store.held("Observation")


def test_the_overlap_is_twice_the_longest_lag_seen() -> None:
    """A row of 9 minutes before the last reading: then windows begin 18 minutes before the last end."""
    ward = Ward()
    lag = show_late(ward, "o900", before=540)
    ward.simulator.advance(HOUR)
    first, second = ward.last, ward.sync()
    assert overlap_of(second, first) == OVERLAP
    assert ward.has("o900")
    assert 480 < lag < 541
    assert ward.lags.longest == lag
    ward.simulator.advance(HOUR)
    assert overlap_of(ward.sync(), second) == pytest.approx(2 * lag, abs=0.001)


def test_what_comes_later_than_the_overlap_is_found_once_a_long_lag_was_seen() -> None:
    """Of 16 minutes: lost to windows of ten, found by windows of eighteen."""
    for warned in (False, True):
        ward = Ward()
        if warned:
            show_late(ward, "o900", before=540)
            ward.simulator.advance(HOUR)
            ward.sync()
        show_late(ward, "o901", before=960)
        ward.simulator.advance(HOUR)
        ward.sync()
        assert ward.has("o901") is warned


def test_what_was_read_before_is_no_lag() -> None:
    """The overlap shows again what there is already; a change since the last end is in time."""
    ward = Ward()
    ward.simulator.advance(-30)
    ward.simulator.put("Observation", "o900", "p1")
    ward.simulator.advance(120)
    ward.sync()
    assert ward.has("o900")
    ward.simulator.put("Observation", "o901", "p1")
    for _ in range(3):
        ward.simulator.advance(200)
        ward.sync()
    assert ward.has("o901")
    assert ward.lags.longest == 0


def test_an_older_version_of_the_store_is_a_lag() -> None:
    """It counts when a version became visible, also of a resource that was there before."""
    ward = Ward()
    show_late(ward, "o900", before=400)
    ward.simulator.advance(HOUR)
    ward.sync()
    lag = show_late(ward, "o900", before=500)
    ward.simulator.advance(HOUR)
    ward.sync()
    assert ward.lags.longest == lag > 450


@pytest.mark.parametrize(("lag", "expected"), [(0, 600), (299, 600), (301, 602), (90_000, 86_400)])
def test_the_overlap_has_two_bounds(lag: float, expected: float) -> None:
    """At least what the settings say, and at most a day: a server with strange times is not read for ever."""
    assert overlap_with(lag, at_least=600) == expected


def test_the_settings_may_say_more_than_a_day() -> None:
    """What an operator asks for is not cut."""
    assert overlap_with(90_000, at_least=200_000) == 200_000


def test_the_store_remembers_the_longest_lag(tmp_path: Path) -> None:
    """Of a result that was updated 5 minutes before the last reading and shown after it; it stays."""
    server = InstantServer(tmp_path, resources(1_000), now=BEGIN)
    synced(server, tmp_path)
    first = json.loads(next(iter(resources(1_000)["Observation"])))
    shown = {
        **first,
        "id": "late",
        "meta": {"versionId": "1", "lastUpdated": written((instant(BEGIN.isoformat()) or 0) - 300 * SECOND)},
    }
    server.change({"Observation": {"late": line(**shown)}})
    for _ in range(2):
        server.now += timedelta(hours=6)
        assert synced(server, tmp_path).run.outcome == "complete"
        database = Database(tmp_path / "store" / "store.duckdb", Disk(), read_only=True)
        assert database.meta("lag/ehr") == "300.000"
        database.close()
