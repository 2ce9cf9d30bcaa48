"""Ten syncs of an unchanged server change no row, publish nothing, and cost at most three requests a type."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from real_server import real_server
from simulator.server import Simulator
from simulator.traits import Traits
from synced_trial import Trial

from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.settings import Study
from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.dump import dump_hashes
from fhiradapter.sync.running import Circumstances, circumstances, run_sync

TIMES = 10
BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


class Counted:
    """A fetcher that counts what is asked of each type."""

    def __init__(self, fetcher: Any) -> None:
        self.fetcher, self.base_url = fetcher, fetcher.base_url
        self.asked: Counter[str] = Counter()

    def get(self, url: str, *, headers: Any = NO_HEADERS, fresh: bool = True) -> Reply:
        place = urlsplit(url).path.removeprefix(urlsplit(self.base_url).path)
        self.asked[place.strip("/").split("/")[0]] += 1
        reply: Reply = self.fetcher.get(url, headers=headers, fresh=fresh)
        return reply

    def close(self) -> None:
        """The next run goes on with it."""


def without_marks(store: Path) -> dict[str, str]:
    """Return digests of all that a store says but its watermarks: these move with the server's clock."""
    with closing(Database(store / "store.duckdb", Disk())) as database:
        return {part: digest for part, digest in dump_hashes(database).items() if part != "watermarks"}


def shown(store: Path) -> tuple[str, int, int]:
    """Return which snapshot is published, and the number and time of its file."""
    current = store / "published" / "current"
    found = (current / "cohort.duckdb").stat()
    return str(current.readlink()), found.st_ino, found.st_mtime_ns


def assert_idle(study: Study, given: Callable[[], Circumstances], fetcher: Counted) -> None:
    """Sync once, then ten times."""
    assert not run_sync(study, given()).partial
    run_sync(study, given())  # what was younger than the windows' end comes now
    store = study.folder / "store"
    digest, snapshot = without_marks(store), shown(store)
    most: Counter[str] = Counter()
    for _ in range(TIMES):
        fetcher.asked.clear()
        made = run_sync(study, given())
        assert (made.run.new, made.run.changed, made.run.removed, made.partial) == (0, 0, 0, ())
        most |= fetcher.asked
    assert without_marks(store) == digest
    assert shown(store) == snapshot
    print(f"\nmost requests of an idle sync: {dict(most)}")
    assert max(most.values()) <= 3, most


def test_a_server_whose_clock_stands_still_leaves_the_very_same_dump(tmp_path: Path) -> None:
    """Watermarks included, ten runs leave the digest of the whole store as it was."""
    trial = Trial(tmp_path)
    trial.sync()
    digest, moment = trial.dump(), trial.server.now
    for number in range(1, TIMES + 1):
        begun = moment + timedelta(minutes=number)
        run_sync(trial.study, Circumstances(lambda _: trial.server, now=lambda at=begun: at))  # type: ignore[misc]
    assert trial.dump() == digest


def test_the_trial(tmp_path: Path) -> None:
    """1,577 resources of the synthetic trial."""
    trial = Trial(tmp_path)
    fetcher = Counted(trial.server)

    def given() -> Circumstances:
        usual = trial.circumstances()
        return Circumstances(lambda _: fetcher, now=usual.now)

    assert_idle(trial.study, given, fetcher)


@pytest.mark.parametrize(
    "traits",
    [
        Traits(),
        Traits(sorts=False, order="newest", paging="snapshot"),
        Traits(history=False, seconds_shown=True),
        Traits(last_updated="ignored"),
    ],
    ids=["sorted with a history", "unsorted", "counts, whole seconds", "read as a whole"],
)
def test_simulated_servers(traits: Traits, tmp_path: Path) -> None:
    """Whatever the server's manners; a type that is read as a whole costs what its pages cost."""
    server = Simulator(5, traits)
    fetcher = Counted(server)
    number = iter(range(1_000))
    study = Study.model_validate(
        {
            "study": {"id": "idle", "title": "Synthetic"},
            "folder": tmp_path,
            "sources": [
                {
                    "name": "ehr",
                    "kind": "server",
                    "base_url": server.base_url,
                    "server": {"page_size": 1_000, "concurrency": 1},
                }
            ],
            "sync": {"types": ["Patient", "Observation", "MedicationAdministration", "Condition"]},
        }
    )
    server.traits = Traits(**(vars(traits) | {"page_cap": 1_000}))
    server.advance(3_600)

    def given() -> Circumstances:
        server.advance(300)
        begun = BEGIN + timedelta(minutes=next(number))
        return Circumstances(lambda _: fetcher, now=lambda: begun)

    assert_idle(study, given, fetcher)


def test_a_real_server(tmp_path: Path) -> None:
    """A server of others, over the network."""
    with real_server(tmp_path / "server") as server:
        study = Study.model_validate(
            {
                "study": {"id": "idle", "title": "Synthetic"},
                "folder": tmp_path,
                "sources": [
                    {
                        "name": "ehr",
                        "kind": "server",
                        "base_url": server.base_url,
                        "server": {"settle_seconds": 0},
                    }
                ],
            }
        )
        for number in range(5):
            server.put({"resourceType": "Patient", "id": f"p{number}", "gender": "female"})
            server.put(
                {
                    "resourceType": "Observation",
                    "id": f"o{number}",
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
                    "subject": {"reference": f"Patient/p{number}"},
                    "effectiveDateTime": "2026-01-01",
                    "valueQuantity": {"value": 20 + number, "unit": "U/L"},
                }
            )
        time.sleep(2.1)
        usual = circumstances(study, {})
        fetcher = Counted(usual.open_fetcher(study.sources[0]))
        try:
            assert_idle(study, lambda: Circumstances(lambda _: fetcher), fetcher)
        finally:
            fetcher.fetcher.close()
