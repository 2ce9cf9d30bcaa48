"""While others write to a server, a sync loses nothing: synthetic servers, seeded, with their own clocks."""

from pathlib import Path

import pytest
from simulator.running import SETTINGS, Loss, Outcome, Setting, outcomes, run_seed, table
from simulator.stored import run_stored
from simulator.traits import Traits

from fhiradapter.connection import Server

SEEDS, WRITES = 50, 5_000


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    """What came of every seed."""
    return list(outcomes(SEEDS, WRITES))


def test_nothing_is_lost_after_quiescence_and_one_run(
    found: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    """50 seeds x 5,000 writes: every resource is there once, in its newest version, and no deleted one is."""
    with capsys.disabled():
        print(f"\n{SEEDS} seeds x {WRITES:,} writes\n{table(found)}")
    assert [outcome for outcome in found if any(outcome.loss) or outcome.failures] == []


@pytest.mark.parametrize("seed", range(len(SETTINGS)))
def test_nothing_is_lost_by_the_store_either(seed: int, tmp_path: Path) -> None:
    """2,000 writes to a server of each kind, while whole syncs bring them into a store on the disk."""
    outcome = run_stored(seed, 2_000, SETTINGS[seed], tmp_path)
    assert outcome.runs > 2
    assert (outcome.loss, outcome.failures) == (Loss(0, 0, 0, 0), ()), outcome


def test_a_cursor_on_the_newest_time_loses_on_the_same_seeds(found: list[Outcome]) -> None:
    """The writes are of the kind that loses: late commits and equal times cost a plain cursor rows."""
    naive = [outcome.naive for outcome in found if outcome.naive is not None]
    assert sum(loss.lost + loss.stale for loss in naive) > 50


def test_every_seed_was_synced_several_times_while_it_was_written(found: list[Outcome]) -> None:
    """Each setting was run on the same number of seeds, each seed in several runs."""
    assert len(found) == SEEDS
    assert {outcome.setting for outcome in found} == {setting.name for setting in SETTINGS}
    assert min(outcome.runs for outcome in found) >= 4


def test_without_settling_and_overlap_rows_are_lost() -> None:
    """What becomes visible after its time is lost when windows end now and begin where the last one ended."""
    hasty = Setting("hasty", Traits(), Server(page_size=100, settle_seconds=0, overlap_seconds=0))
    lost = [run_seed(seed, 2_000, hasty, every=60.0, naive=False).loss for seed in range(3)]
    assert sum(loss.lost + loss.stale for loss in lost) > 0


def test_the_same_seed_gives_the_same_run() -> None:
    """Nothing depends on the machine's clock or randomness."""
    one, other = (run_seed(3, 500, SETTINGS[3]) for _ in range(2))
    assert one == other
