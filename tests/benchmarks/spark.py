"""How long `fhiradapter map --engine spark` takes beside the local engine, for the same rows."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from fhiradapter.cohort.schema import SCHEMAS
from tests.benchmarks.observations import lab_observations

SAMPLED_EVERY = 0.1  # seconds between looks at all processes
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
ENGINES = {"local, 2 workers": ["--workers", "2"], "Spark local[2]": ["--engine", "spark", "--workers", "2"]}


def beside_local(count: int) -> dict[str, float]:
    """Map Observations with both engines, each as a process that starts from nothing."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "observations.ndjson"
        with file.open("wb") as stream:
            stream.writelines(line + b"\n" for line in lab_observations(count))
        for engine, options in ENGINES.items():
            out = f"{folder}/{options[1]}"
            seconds, processor, peak = _mapped([str(file), "--out", out, *options])
            figures[f"{engine}: seconds"] = seconds
            figures[f"{engine}: processor microseconds a resource"] = processor / count * 1e6
            figures[f"{engine}: peak of all processes, MB"] = peak / 1e6
        local, spark = (Path(folder) / options[1] / "cohort" for options in ENGINES.values())
        figures["Spark local[2] / local, wall time"] = (
            figures["Spark local[2]: seconds"] / figures["local, 2 workers: seconds"]
        )
        figures["tables that differ"] = sum(_sum(local, table) != _sum(spark, table) for table in SCHEMAS)
    return figures


def _mapped(arguments: list[str]) -> tuple[float, float, float]:
    """Return the seconds, the processors' seconds and the bytes that mapping takes in all processes."""
    began = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "fhiradapter", "map", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak, took = 0.0, {}
    while running.poll() is None:
        sampled = {process: _sample(process) for process in _family(running.pid)}
        took |= {process: seconds for process, (seconds, _) in sampled.items() if seconds}
        peak = max(peak, sum(memory for _, memory in sampled.values()))
        time.sleep(SAMPLED_EVERY)
    assert running.returncode == 0
    return time.perf_counter() - began, sum(took.values()), peak


def memory_of_family() -> float:
    """Return the resident bytes of this process and of all that descend from it."""
    return sum(_sample(process)[1] for process in _family(os.getpid()))


def _family(process: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return [process]
    return [process, *(found for child in children for found in _family(child))]


def _sample(process: int) -> tuple[float, float]:
    """Return the processors' seconds and the resident bytes of a process; nothing when it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE


def _sum(cohort: Path, table: str) -> tuple[int, int | None]:
    """Return the number of rows, and a sum of their hashes, which does not depend on their order."""
    place = cohort / f"{table}.parquet"
    files = f"{place}/**/*.parquet" if place.is_dir() else str(place)
    names = [f'"{name}"' for name in SCHEMAS[table].names if name != "run_id"]
    query = (
        f"SELECT count(*), sum(hash({', '.join(names)})::HUGEINT)"
        " FROM read_parquet(?, hive_partitioning = false)"
    )
    with duckdb.connect() as connection:
        found: tuple[int, int | None] = connection.execute(query, [files]).fetchall()[0]
    return found
