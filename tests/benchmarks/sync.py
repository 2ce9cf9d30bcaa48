"""How fast a sync is from a server that answers at once, its memory, and what a change costs (synthetic).

Seconds of this process's own work stand beside those of the clock: others may use the machine, too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median

from fhiradapter.settings import Study
from fhiradapter.store.snapshot import read_snapshot
from fhiradapter.sync.running import Circumstances, SyncRun, run_sync
from tests.benchmarks.memory import peak
from tests.benchmarks.observations import lab_observations
from tests.simulator.instant import BASE, InstantServer

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = BEGIN + timedelta(days=2)
PER_SUBJECT = 500
ENCOUNTERS = 10  # a subject, as lab_observations refers to them
INFUSIONS = 25
CONDITIONS = 15
ROUNDS = 5  # of later syncs


def line(**resource_: object) -> bytes:
    """Return a resource as a server writes it."""
    return json.dumps(resource_, separators=(",", ":")).encode()


def meta(number: int, version: str = "1") -> dict[str, str]:
    """Return the meta of a resource, each with a time of its own."""
    at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=37 * number)
    return {"versionId": version, "lastUpdated": f"{at:%Y-%m-%dT%H:%M:%S}.000Z"}


def resources(count: int) -> dict[str, Iterable[bytes]]:
    """Return some resources by type: nine in ten are lab results."""
    subjects = max(1, count // PER_SUBJECT)
    others = subjects * (1 + ENCOUNTERS + INFUSIONS + CONDITIONS)
    return {
        "Patient": patients(subjects),
        "Encounter": (
            line(
                resourceType="Encounter",
                id=str(number),
                meta=meta(number),
                status="finished",
                **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
                subject={"reference": f"Patient/{number % subjects}"},
                period={"start": "2024-01-01T08:00:00Z", "end": "2024-01-01T12:00:00Z"},
            )
            for number in range(subjects * ENCOUNTERS)
        ),
        "MedicationAdministration": (
            line(
                resourceType="MedicationAdministration",
                id=f"a{number}",
                meta=meta(number),
                status="completed",
                medicationCodeableConcept={
                    "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "35623"}]
                },
                subject={"reference": f"Patient/{number % subjects}"},
                effectivePeriod={"start": "2024-02-01T08:00:00Z", "end": "2024-02-01T09:00:00Z"},
                dosage={"dose": {"value": 50, "unit": "mg", "code": "mg"}},
            )
            for number in range(subjects * INFUSIONS)
        ),
        "Condition": (
            line(
                resourceType="Condition",
                id=f"c{number}",
                meta=meta(number),
                clinicalStatus={"coding": [{"code": "active"}]},
                code={"coding": [{"system": "http://snomed.info/sct", "code": "86044005"}]},
                subject={"reference": f"Patient/{number % subjects}"},
                onsetDateTime="2021-05-01",
            )
            for number in range(subjects * CONDITIONS)
        ),
        "Observation": lab_observations(count - others, subjects=subjects),
    }


def patients(subjects: int) -> Iterator[bytes]:
    """Yield Patients."""
    for number in range(subjects):
        yield line(
            resourceType="Patient",
            id=str(number),
            meta=meta(number),
            active=True,
            gender="female" if number % 2 else "male",
            birthDate=f"19{40 + number % 50}-03-01",
            identifier=[{"system": "urn:mrn", "value": f"{number:06d}"}],
        )


def changes(count: int, *, one_in: int = 100, day: int = 0) -> dict[str, dict[str, bytes]]:
    """Return every hundredth lab result in another version, made some days later, by type and id."""
    found = {}
    for number, content in enumerate(islice(resources(count)["Observation"], 0, None, one_in)):
        one = json.loads(content)
        at = BEGIN + timedelta(days=day, hours=6, seconds=number)
        one["meta"] |= {"versionId": str(day + 2), "lastUpdated": f"{at:%Y-%m-%dT%H:%M:%S}.000Z"}
        one["valueQuantity"]["value"] = round(one["valueQuantity"]["value"] * (1.1 + day / 10), 2)
        found[one["id"]] = line(**one)
    return {"Observation": found}


def study_in(folder: Path) -> Study:
    """Return a study that reads the instant server."""
    return Study.model_validate(
        {
            "study": {"id": "benchmark", "title": "Synthetic"},
            "folder": folder,
            "sources": [{"name": "ehr", "kind": "server", "base_url": BASE}],
        }
    )


def synced(server: InstantServer, folder: Path) -> SyncRun:
    """Sync once."""
    return run_sync(study_in(folder), Circumstances(lambda _: server, now=lambda: server.now))


class Watch:
    """Measures the clock's seconds and those of work since it was made."""

    def __init__(self) -> None:
        self._clock, self._work = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Return both."""
        return time.perf_counter() - self._clock, time.process_time() - self._work


def sync_costs(count: int, *, change: bool) -> dict[str, float]:
    """Measure a first sync, some of 1 % changed, and as many of nothing; of these the one in the middle."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server = InstantServer(folder, resources(count), now=BEGIN)
        figures["memory before, MB"] = peak()
        watch = Watch()
        made = synced(server, folder)
        clock, work = watch.read()
        assert (made.run.new, made.run.outcome) == (count, "complete"), made
        figures |= {
            "resources a second, first sync": count / clock,
            "resources a second of work, first sync": count / work,
            "seconds, first sync": clock,
            "seconds of work, first sync": work,
            "peak, MB": peak(),
        }
        if change:
            figures |= _later(server, folder, count, clock, work)
    return figures


def _later(server: InstantServer, folder: Path, count: int, clock: float, work: float) -> dict[str, float]:
    """Return what later syncs cost beside the first one."""
    taken: dict[str, list[tuple[float, float]]] = {"1 % changed": [], "nothing changed": []}
    figures: dict[str, float] = {}
    for day in range(ROUNDS):
        changed = changes(count, day=day)
        server.change(changed)
        server.now += timedelta(days=1)
        for name, expected in zip(taken, (len(changed["Observation"]), 0), strict=True):
            server.requests.clear()
            watch = Watch()
            made = synced(server, folder)
            taken[name].append(watch.read())
            assert (made.run.changed, made.run.outcome) == (expected, "complete"), made
            figures[f"requests, {name}"] = server.requests.total()
            server.now += timedelta(minutes=30)
    for name, rounds in taken.items():
        seconds, worked = (median(column) for column in zip(*rounds, strict=True))
        figures |= {
            f"seconds, {name}": seconds,
            f"seconds of work, {name}": worked,
            f"percent of the first sync, {name}": 100 * seconds / clock,
            f"percent of the first sync's work, {name}": 100 * worked / work,
        }
    return figures | {"tables that differ from a fresh sync": len(differing(server, folder))}


def differing(server: InstantServer, folder: Path) -> list[str]:
    """Return the tables that a fresh store has otherwise; rows' places in raw files are their own matter."""
    fresh = folder / "fresh"
    fresh.mkdir()
    synced(server, fresh)
    one, other = read_snapshot(folder / "store"), read_snapshot(fresh / "store")
    places = {"source_file", "source_line", "run_id"}
    found = []
    for name in one.tables:
        columns = [column for column in one.arrow(name).column_names if column not in places]
        tables = (each.arrow(name).select(columns) for each in (one, other))
        left, right = (sorted(map(repr, table.to_pylist())) for table in tables)
        if left != right:
            found.append(name)
    return found


def sync_costs_in_a_process(count: int, *, change: bool = False) -> dict[str, float]:
    """Measure in a fresh process, so that its memory is the sync's."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.sync", str(count), *(["--change"] if change else [])],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    figures: dict[str, float] = json.loads(found.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(sync_costs(int(sys.argv[1]), change="--change" in sys.argv), indent=1))
