"""How fast fetched resources come into a store, and what a change costs beside a full load (synthetic)."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.settings import Source, Study, StudyCard
from fhiradapter.store.store import Store
from fhiradapter.sync.mapping import StudyMapper
from tests.benchmarks.memory import peak
from tests.benchmarks.observations import lab_observations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESOURCES = 100_000
PER_COMMIT = 10_000


class Sent(NamedTuple):
    """An entry of a page, as far as the store looks at it."""

    content: bytes


def fetched(contents: list[bytes], name: str) -> Fetched:
    """Return a unit that brought some Observations."""
    unit = Unit("ehr", "Observation", f"Observation/updated/all/{name}", "updated")
    return Fetched(unit, [Sent(content) for content in contents], watermark=name)


def portions(contents: list[bytes], size: int) -> Iterator[list[bytes]]:
    """Yield some contents at a time."""
    for start in range(0, len(contents), size):
        yield contents[start : start + size]


def store_costs(count: int = RESOURCES) -> dict[str, float]:
    """Resources a second from fetched to committed, and seconds of a run that changes 1 %, published."""
    study = Study(
        study=StudyCard(id="benchmark", title="Synthetic"),
        sources=[Source(name="ehr", base_url="https://ehr.example.org/fhir")],
    )
    mapper = StudyMapper(study)
    full = list(lab_observations(count))
    figures = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "store", mapper=mapper, sources=mapper.sources) as store,
    ):
        start, worked = time.perf_counter(), time.process_time()
        store.begin_run("run-1", now=NOW)
        for number, contents in enumerate(portions(full, PER_COMMIT)):
            store.commit([fetched(contents, f"{number:03d}")])
        committed = time.perf_counter() - start
        store.finish_run(now=NOW)
        took = time.perf_counter() - start
        figures["resources a second, committed"] = count / committed
        figures["resources a second of work of a core, published"] = count / (time.process_time() - worked)
        figures["seconds of the full run, published"] = took
        changed = []
        for number, content in enumerate(full[::100]):
            one = json.loads(content)
            one["meta"] |= {"versionId": "2", "lastUpdated": "2025-06-01T00:00:00Z"}
            one["valueQuantity"]["value"] += 1 + number % 3
            changed.append(json.dumps(one, separators=(",", ":")).encode())
        start, worked = time.perf_counter(), time.process_time()
        store.begin_run("run-2", now=NOW)
        counts = store.commit([fetched(changed, "changed")])
        figures["seconds of committing 1 % changed"] = time.perf_counter() - start
        store.finish_run(now=NOW)
        figures["seconds of the run with 1 % changed, published"] = time.perf_counter() - start
        figures["seconds of work of a core in the run with 1 % changed"] = time.process_time() - worked
        assert counts.changed == len(changed)
        start = time.perf_counter()
        store.begin_run("run-3", now=NOW)
        counts = store.commit([fetched(changed, "again")])
        store.finish_run(now=NOW)
        figures["seconds of a run that finds the same 1 % again"] = time.perf_counter() - start
        assert not counts.changed
    figures["percent of the full run that a change of 1 % takes"] = (
        100
        * figures["seconds of the run with 1 % changed, published"]
        / figures["seconds of the full run, published"]
    )
    figures["peak, MB"] = peak()
    return figures


def store_costs_in_a_process(count: int = RESOURCES) -> dict[str, float]:
    """Measure in a fresh process, so that its memory is the store's."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.store", str(count)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    figures: dict[str, float] = json.loads(found.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(store_costs(int(sys.argv[1]) if len(sys.argv) > 1 else RESOURCES), indent=1))
