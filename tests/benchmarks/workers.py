"""How fast `fhiradapter map` is as a process with one worker and with two, beside bare JSON readers."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import orjson

from fhiradapter.fhir.elements import AnyResource
from tests.benchmarks.resources import GENERATORS

SAMPLED_EVERY = 0.02  # seconds between looks at the memory of all processes
PAGE = os.sysconf("SC_PAGE_SIZE")
LARGEST_WITH_YARDSTICKS = 100_000

# What the rows of measurements are made of; aggregated, so that no column can be passed over.
SCAN = """
SELECT count(*), max(id), max(status), max(meta.lastUpdated), max(meta.versionId), max(effectiveDateTime),
       max(subject.reference), max(encounter.reference), max(code.coding[1].system), max(code.coding[1].code),
       max(code.coding[1].display), sum(valueQuantity."value"), max(valueQuantity.unit),
       max(valueQuantity.code), max(performer[1].reference), sum(referenceRange[1].low."value"),
       sum(referenceRange[1].high."value")
FROM read_json(?, format = 'newline_delimited', columns = {
  id: 'VARCHAR', status: 'VARCHAR', effectiveDateTime: 'TIMESTAMP',
  meta: 'STRUCT(versionId VARCHAR, lastUpdated TIMESTAMP)',
  subject: 'STRUCT(reference VARCHAR)', encounter: 'STRUCT(reference VARCHAR)',
  code: 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[])',
  valueQuantity: 'STRUCT("value" DOUBLE, unit VARCHAR, system VARCHAR, code VARCHAR)',
  performer: 'STRUCT(reference VARCHAR)[]',
  referenceRange: 'STRUCT(low STRUCT("value" DOUBLE), high STRUCT("value" DOUBLE))[]'
})
"""


def map_rates(kind: str, count: int, *, rounds: int = 1) -> dict[str, float]:
    """Map resources of one type with one worker and with two; the best of some rounds, which take turns."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{kind}.ndjson"
        with file.open("wb") as stream:
            stream.writelines(line + b"\n" for line in GENERATORS[kind](count))
        steps: dict[str, Callable[[], tuple[float, float, float]]] = {
            f"workers {workers}": lambda workers=workers: _mapped(file, Path(folder) / "out", workers)
            for workers in (1, 2)
        }
        best = dict.fromkeys(steps, (float("inf"), float("inf"), float("inf")))
        yardsticks: dict[str, float] = {}
        for _ in range(rounds):
            for name, step in steps.items():
                best[name] = min(best[name], step())
            if count <= LARGEST_WITH_YARDSTICKS:
                for name, seconds in _yardsticks(file, kind).items():
                    yardsticks[name] = min(yardsticks.get(name, float("inf")), seconds)
    figures: dict[str, float] = {}
    for name, (seconds, processor, peak) in best.items():
        figures[f"{name}: resources a second"] = count / seconds
        figures[f"{name}: processor microseconds a resource"] = processor / count * 1e6
        figures[f"{name}: peak of all processes, MB"] = peak
    figures["two workers, times as fast as one"] = best["workers 1"][0] / best["workers 2"][0]
    for name, seconds in yardsticks.items():
        figures[f"processor time / {name}"] = best["workers 1"][1] / seconds
    return figures


def _mapped(file: Path, out: Path, workers: int) -> tuple[float, float, float]:
    """Return seconds, seconds of the processors and megabytes that mapping a file takes in all processes."""
    command = [sys.executable, "-m", "fhiradapter", "map", str(file), "--out", str(out)]
    before = os.times()
    began = time.perf_counter()
    running = subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while running.poll() is None:
        peak = max(peak, _memory(running.pid))
        time.sleep(SAMPLED_EVERY)
    seconds = time.perf_counter() - began
    after = os.times()
    assert running.returncode == 0
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, processor, peak / 1e6


def _memory(process: int) -> int:
    """Return the resident bytes of a process and of its children; 0 where the system does not say."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * PAGE + sum(map(_memory, map(int, children)))


def _yardsticks(file: Path, kind: str) -> dict[str, float]:
    """Return the processor seconds that bare readers take for the same file."""
    decode = msgspec.json.Decoder(AnyResource).decode
    lines = file.read_bytes().splitlines()

    def load() -> None:
        for line in lines:
            orjson.loads(line)

    def typed() -> None:
        for line in lines:
            decode(line)

    def scan() -> None:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            assert connection.execute(SCAN, [str(file)]).fetchall()[0][0] == len(lines)

    steps = {"orjson.loads": load, "msgspec decode": typed}
    if kind == "Observation":
        steps["DuckDB's typed scan"] = scan
    took = {}
    for name, step in steps.items():
        began = time.process_time()
        step()
        took[name] = time.process_time() - began
    return took
