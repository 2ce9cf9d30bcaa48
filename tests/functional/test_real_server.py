"""Against a real server, the store ends as the server does: full and later runs, deletions and merges."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fhiradapter.api import build_cohort
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.settings import Source, Study
from fhiradapter.store.snapshot import read_snapshot
from fhiradapter.sync.running import Circumstances, SyncRun, circumstances, run_sync
from tests.functional.real_server import RealServer, real_server

EXAMPLE = Path(__file__).parents[2] / "examples" / "als_treg" / "fhir"
KINDS = ("Patient", "Observation", "MedicationAdministration", "Condition", "Encounter", "AdverseEvent")


class Counted:
    """A fetcher that remembers what was asked."""

    def __init__(self, fetcher: Any, asked: list[str]) -> None:
        self._fetcher, self._asked = fetcher, asked
        self.base_url: str = fetcher.base_url

    def get(self, url: str, *, headers: Any = NO_HEADERS, fresh: bool = True) -> Reply:
        self._asked.append(url)
        reply: Reply = self._fetcher.get(url, headers=headers, fresh=fresh)
        return reply

    def close(self) -> None:
        self._fetcher.close()


class Hospital:
    """A study that is synced from a real server."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.asked: list[str] = []
        self.study = Study.model_validate(
            {
                "study": {"id": "real", "title": "Synthetic", "synthetic": True},
                "folder": folder,
                "sources": [
                    {
                        "name": "hospital",
                        "kind": "server",
                        "base_url": server.base_url,
                        "server": {"page_size": 200, "settle_seconds": 0},
                    }
                ],
            }
        )

    def sync(self, *, full: bool = False) -> SyncRun:
        """Run once, when the time that the server tells, which lags by a second, is past the last writing."""
        time.sleep(2.5)
        usual = circumstances(self.study, {})
        self.asked = []

        def opened(source: Source) -> Counted:
            return Counted(usual.open_fetcher(source), self.asked)

        made = run_sync(self.study, Circumstances(opened), full=full)
        assert not made.partial, made.partial
        return made

    def cohort(self) -> Cohort:
        """Return what is published."""
        return read_snapshot(self.folder / "store")

    def truth(self) -> Cohort:
        """Return the cohort of what the server has now, read by other means."""
        resources = [
            one
            for kind in (*KINDS, "QuestionnaireResponse", "Medication", "Specimen")
            for one in self.server.everything(kind).values()
        ]
        return build_cohort(resources, self.study)


def rows(cohort: Cohort) -> dict[str, list[dict[str, Any]]]:
    """Return all rows but for the places they were read from; look-ups that nobody refers to say nothing."""
    found = {}
    for table in ("subjects", "exposures", "measurements", "events", "encounters", "issues"):
        listed = cohort.arrow(table).to_pylist()
        for row in listed:
            for name in ("run_id", "source_file", "source_line"):
                row.pop(name)
        listed = [row for row in listed if row["resource_type"] not in {"Medication", "Specimen"}]
        found[table] = sorted(listed, key=lambda row: json.dumps(row, default=str, sort_keys=True))
    return found


def differing(ours: Cohort, theirs: Cohort) -> list[Any]:
    """Return the rows that only one of two cohorts has."""
    found = []
    for table, listed in rows(theirs).items():
        held = rows(ours)[table]
        found += [("missing", table, row) for row in listed if row not in held]
        found += [("too many", table, row) for row in held if row not in listed]
        if len(held) != len(listed):
            found.append((len(held), table, len(listed)))
    return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real server with the synthetic example in it."""
    with real_server(tmp_path_factory.mktemp("server")) as server:
        for file in sorted(EXAMPLE.glob("*.ndjson")):
            for line in file.read_text(encoding="utf-8").splitlines():
                server.put(json.loads(line))
        yield Hospital(server, tmp_path_factory.mktemp("study"))


def test_the_store_follows_the_server(hospital: Hospital) -> None:
    """After each run the store says what the server says: first read, changes, deletions, merges and back."""
    server = hospital.server
    first = hospital.sync()
    assert first.run.new > 1_500
    assert differing(hospital.cohort(), hospital.truth()) == []
    print(f"first run: {first.run.new} resources, {first.run.done} units")

    again = hospital.sync()
    kinds = len({url.split("/fhir/")[-1].split("?")[0].split("/")[0] for url in hospital.asked})
    assert (again.run.new, again.run.changed, again.run.removed) == (0, 0, 0)
    print(f"nothing changed: {len(hospital.asked)} requests for {kinds} kinds of request")

    observations = server.everything("Observation")
    numbers = sorted(
        key for key, one in observations.items() if "valueInteger" in one and one["status"] == "final"
    )
    corrected = {**observations[numbers[0]], "valueInteger": 7, "status": "corrected"}
    server.put({name: value for name, value in corrected.items() if name != "meta"})
    server.put({**observations[numbers[1]], "status": "entered-in-error"})
    server.delete("Observation", numbers[2])
    server.delete("MedicationAdministration", next(iter(server.everything("MedicationAdministration"))))
    late = {**observations[numbers[3]], "id": "late-arrival", "effectiveDateTime": "2020-02-02"}
    server.put({name: value for name, value in late.items() if name != "meta"})
    changed = hospital.sync()
    assert (changed.run.new, changed.run.changed, changed.run.removed) == (1, 2, 2)
    assert differing(hospital.cohort(), hospital.truth()) == []

    patients = server.everything("Patient")
    one, other = sorted(patients)[:2]
    link = [{"other": {"reference": f"Patient/{other}"}, "type": "replaced-by"}]
    server.put({**patients[one], "active": False, "link": link})
    hospital.sync()
    merged = hospital.cohort()
    assert differing(merged, hospital.truth()) == []
    assert one not in set(merged.arrow("measurements")["subject_id"].to_pylist())

    server.put(patients[one])
    hospital.sync()
    assert differing(hospital.cohort(), hospital.truth()) == []
    assert one in set(hospital.cohort().arrow("measurements")["subject_id"].to_pylist())

    moved = next(
        key
        for key, found in observations.items()
        if found["subject"]["reference"] == f"Patient/{one}" and key not in numbers[:3]
    )
    server.put({**observations[moved], "subject": {"reference": f"Patient/{other}"}})
    hospital.sync()
    assert differing(hospital.cohort(), hospital.truth()) == []

    full = hospital.sync(full=True)
    assert (full.run.new, full.run.changed, full.run.removed) == (0, 0, 0)
    assert differing(hospital.cohort(), hospital.truth()) == []
