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
from tests.benchmarks.observations import lab_observations
from tests.benchmarks.resources import GENERATORS

SAMPLED_EVERY = 0.02  # seconds between looks at the memory of all processes
PAGE = os.sysconf("SC_PAGE_SIZE")
LARGEST_WITH_YARDSTICKS = 100_000  # resources that are held in memory for them
LARGEST_SCAN = 1_000_000
SCAN_OF_DUCKDB = "DuckDB's typed scan"  # by two threads, as two workers map
MACHINE = "two processes of orjson.loads, times as fast as one"

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
        yardsticks: dict[str, tuple[float, float]] = {}
        for _ in range(rounds):
            for name, step in steps.items():
                best[name] = min(best[name], step())
            for name, took in _yardsticks(file, kind, count).items():
                yardsticks[name] = min(yardsticks.get(name, took), took)
    figures: dict[str, float] = {}
    for name, (seconds, processor, peak) in best.items():
        figures[f"{name}: seconds"] = seconds
        figures[f"{name}: resources a second"] = count / seconds
        figures[f"{name}: processor microseconds a resource"] = processor / count * 1e6
        figures[f"{name}: peak of all processes, MB"] = peak
    figures["two workers, times as fast as one"] = best["workers 1"][0] / best["workers 2"][0]
    for name, (processor, seconds) in yardsticks.items():
        figures[f"processor time / {name}"] = best["workers 1"][1] / processor
        if name == SCAN_OF_DUCKDB:
            figures[f"workers 2: rate / that of {name}"] = seconds / best["workers 2"][0]
    return figures


def machine() -> dict[str, float]:
    """Return how much faster two processes are than one on this machine, when they share nothing."""
    lines = b"\n".join(lab_observations(20_000))
    # They take turns, so that noise hits both.
    rounds = [(_loaded(lines, 1), _loaded(lines, 2)) for _ in range(3)]
    alone, both = map(min, zip(*rounds, strict=True))
    return {MACHINE: 2 * alone / both}


def _loaded(lines: bytes, count: int) -> float:
    """Return the seconds that some processes take to decode the same lines side by side."""
    script = (
        "import collections, sys, orjson; lines = sys.stdin.buffer.read(int(sys.argv[1])).splitlines(); "
        "print('ready', flush=True); sys.stdin.buffer.read(1); "
        "collections.deque((orjson.loads(line) for _ in range(20) for line in lines), maxlen=0)"
    )
    command = [sys.executable, "-c", script, str(len(lines))]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    for one in running:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write(lines)
        one.stdin.flush()
        one.stdout.readline()
    began = time.perf_counter()
    for one in running:  # all have begun before one is waited for
        assert one.stdin is not None
        one.stdin.write(b".")
        one.stdin.close()
    for one in running:
        assert one.wait() == 0
    seconds = time.perf_counter() - began
    for one in running:
        assert one.stdout is not None
        one.stdout.close()
    return seconds


def evenness(small: dict[str, float], large: dict[str, float], counts: tuple[int, int]) -> dict[str, float]:
    """Compare what `map_rates` found for few and for many resources, by two workers.

    Every run starts three processes once, however many resources follow; what that takes is told by the run
    of one resource, and left out of the second figure.
    """
    starting = map_rates("Observation", 1, rounds=3)["workers 2: seconds"]
    few, many = (
        found["workers 2: seconds"] / count for found, count in zip((small, large), counts, strict=True)
    )
    begun = [
        (found["workers 2: seconds"] - starting) / count
        for found, count in zip((small, large), counts, strict=True)
    ]
    peak = "workers 2: peak of all processes, MB"
    return {
        "wall time a resource, of that of few": many / few,
        "wall time a resource without the start, of that of few": begun[1] / begun[0],
        "peak of all processes, of that of few": large[peak] / small[peak],
    }


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


def _yardsticks(file: Path, kind: str, count: int) -> dict[str, tuple[float, float]]:
    """Return the processor's and the wall's seconds that bare readers take for the same file."""
    decode = msgspec.json.Decoder(AnyResource).decode
    in_memory = count <= LARGEST_WITH_YARDSTICKS
    lines = file.read_bytes().splitlines() if in_memory else []

    def load() -> None:
        for line in lines:
            orjson.loads(line)

    def typed() -> None:
        for line in lines:
            decode(line)

    def scan() -> None:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            assert connection.execute(SCAN, [str(file)]).fetchall()[0][0] == count

    steps = {"orjson.loads": load, "msgspec decode": typed} if in_memory else {}
    if kind == "Observation" and count <= LARGEST_SCAN:
        steps[SCAN_OF_DUCKDB] = scan
    took = {}
    for name, step in steps.items():
        began, clock = time.process_time(), time.perf_counter()
        step()
        took[name] = time.process_time() - began, time.perf_counter() - clock
    return took
