"""What a later sync makes of a change is what a fresh one makes of everything."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.benchmarks.sync import BEGIN, changes, differing, resources, synced
from tests.simulator.instant import InstantServer

COUNT = 5_000


@pytest.mark.parametrize("one_in", [100, 3])
def test_a_change_gives_the_tables_of_a_fresh_sync(one_in: int, tmp_path: Path) -> None:
    """One in a hundred, or in three, of 4,500 lab results gets another value: all tables are equal."""
    server = InstantServer(tmp_path, resources(COUNT), now=BEGIN)
    assert synced(server, tmp_path).run.new == COUNT
    changed = changes(COUNT, one_in=one_in)
    server.change(changed)
    server.now += timedelta(days=1)
    server.requests.clear()
    run = synced(server, tmp_path).run
    assert (run.new, run.changed, run.removed) == (0, len(changed["Observation"]), 0)
    assert server.requests.total() < 40
    assert differing(server, tmp_path) == []
