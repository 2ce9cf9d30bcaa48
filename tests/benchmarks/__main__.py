"""Runs the benchmarks, prints their table, and writes docs/benchmarks.md and build/benchmarks.json.

`make bench`; `--quick` leaves out the million, the large models and the peers, and writes only the JSON.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import (
    analysis,
    bulk,
    library,
    mapping,
    missed,
    mixed_model,
    peers,
    spark,
    sync,
    workers,
)
from tests.benchmarks.resources import GENERATORS

# How many resources are mapped.
FEW = {"Observation": (100_000,), "MedicationAdministration": (100_000,), "Patient": (100_000,)}
MANY = {
    "Observation": (10_000, 100_000, 1_000_000, 3_000_000),
    "MedicationAdministration": (100_000, 500_000),
    "Patient": (100_000, 500_000),
}
BESIDE = "3,000,000 Observations beside 100,000"
FIGURES = Path(__file__).parents[2] / "build" / "benchmarks.json"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
TARGETS = {
    "mapped / orjson.loads, best rounds": "at least 0.35",
    "1,000,000 Observations, `fhiradapter map`: peak, MB": "under 600",
    "1,000,000 Observations, workers 2: resources a second": "at least 250,000",
    "1,000,000 Observations, two workers, times as fast as one": "at least 1.7",
    "1,000,000 Observations, workers 2: rate / that of DuckDB's typed scan": "at least 0.5",
    "1,000,000 Observations, workers 2: peak of all processes, MB": "under 800",
    "500,000 MedicationAdministrations, workers 2: resources a second": "at least 120,000",
    "500,000 Patients, workers 2: resources a second": "at least 120,000",
    "3,000,000 Observations, workers 2: peak of all processes, MB": "under 800",
    f"{BESIDE}: wall time a resource, of that of few": "at most 1.15",
    f"{BESIDE}: wall time a resource without the start, of that of few": "at most 1.15",
    f"{BESIDE}: peak of all processes, of that of few": "at most 1.2",
    "3,000,000 Observations: Spark local[2] / local, wall time": "at most 2.5",
    "3,000,000 Observations: tables that differ": "0",
    "library: from fhiradapter import build_cohort, seconds": "at most 0.5",
    "library: a Bundle of 50, milliseconds": "at most 3",
    "sync of 100,000 resources: resources a second, first sync": "at least 10,000",
    "sync of 100,000 resources: peak, MB": "under 600",
    "sync of 500,000 resources: peak, MB": "under 600",
    "sync of 1,500,000 resources: peak, MB": "under 600",
    "sync of 100,000 resources: percent of the first sync, 1 % changed": "at most 5",
    "sync of 100,000 resources: tables that differ from a fresh sync": "0",
    "bulk files from loopback: ours / curl, median round": "at least 0.5",
    "bulk files from loopback: peak, MB": "under 300",
    "start-up: --help, seconds": "under 0.4",
    "mixed model, 10,000 subjects x 10 visits: times faster than statsmodels": "at least 50",
    "mixed model, 100,000 subjects x 20 visits: seconds": "under 10",
    "mixed model, 100,000 subjects x 20 visits: peak, GB": "under 2",
    "analysis, 100,000 subjects x 20 visits: scores to safety, workers 2: seconds": "under 15",
    "analysis, 100,000 subjects x 20 visits: scores to safety, workers 2: peak, GB": "under 3",
    "peers, fhir.resources, validation: ours, times as fast": "at least 50",
    "peers, pysof: ours, times as fast": "at least 40",
    "peers, FHIR-PYrate: ours, times as fast": "at least 30",
    "peers, fhiry: ours, times as fast": "at least 200",
}


def measure(*, quick: bool) -> tuple[dict[str, float], list[str]]:
    """Return every figure by its name, and sentences on what could not be measured."""
    told: list[str] = []
    figures = mapping.map_rate_in_a_process(rounds=10 if quick else 30)
    figures |= _named("start-up", mapping.start_up())
    figures |= _named("library", library.small_calls())
    figures |= workers.machine()
    figures |= _mapping(quick=quick)
    if not quick:
        figures |= _named("3,000,000 Observations", spark.beside_local(3_000_000))
    figures |= _syncing(quick=quick)
    if not quick:
        beside, told = peers.beside_peers()
        figures |= {f"peers, {name}": value for name, value in beside.items()} | _computing()
    return figures, told


def _mapping(*, quick: bool) -> dict[str, float]:
    counts = FEW if quick else MANY
    figures: dict[str, float] = {}
    for count in counts["Observation"][:3]:
        figures |= _named(f"{count:,} Observations, `fhiradapter map`", mapping.peak_memory(count))
    for kind in GENERATORS:
        rates = {count: workers.map_rates(kind, count, rounds=1) for count in counts[kind]}
        for count, found in rates.items():
            figures |= {f"{count:,} {kind}s, {name}": value for name, value in found.items()}
        if kind == "Observation" and not quick:
            even = workers.evenness(rates[100_000], rates[3_000_000], (100_000, 3_000_000))
            figures |= _named(BESIDE, even)
    return figures


def _syncing(*, quick: bool) -> dict[str, float]:
    figures: dict[str, float] = {}
    for count in (100_000,) if quick else (100_000, 500_000, 1_500_000):
        found = sync.sync_costs_in_a_process(count, change=count == 100_000)
        figures |= _named(f"sync of {count:,} resources", found)
    return figures | _named("bulk files from loopback", bulk.beside_curl(100 if quick else 1_000))


def _computing() -> dict[str, float]:
    beside = mixed_model.beside_statsmodels(10_000, 10)
    large = mixed_model.large_in_a_process(100_000, 20)
    return {
        "mixed model, 10,000 subjects x 10 visits: seconds": beside["seconds"],
        "mixed model, 10,000 subjects x 10 visits: times faster than statsmodels": beside["times_faster"],
        "mixed model, 100,000 subjects x 20 visits: seconds": large["seconds"],
        "mixed model, 100,000 subjects x 20 visits: peak, GB": large["peak_gigabytes"],
    } | _named("analysis, 100,000 subjects x 20 visits", analysis.analysis_in_processes(100_000, 20))


def _named(what: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{what}: {name}": value for name, value in figures.items()}


def page(figures: dict[str, float], told: list[str], *, quick: bool) -> str:
    """Return the page of the figures, with what was not measured and, in full, where missed targets lie."""
    packages = ("msgspec", "orjson", "pyarrow", "numpy", "pandas", "statsmodels")
    lines = [
        "<!-- Written by `make bench`; never by hand. -->",
        "",
        "# Benchmarks",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)}.",
        "Machines are noisy: compare ratios within one run, not seconds across runs. The data are synthetic.",
        "",
        "| What | Measured | Target |",
        "|---|---:|---|",
        *(f"| {name} | {missed.shown(value)} | {TARGETS.get(name, '')} |" for name, value in figures.items()),
        "",
        *(line for sentence in told for line in (sentence, "")),
        *(() if quick else missed.explained(figures, TARGETS)),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    quick = "--quick" in sys.argv
    figures, told = measure(quick=quick)
    text = page(figures, told, quick=quick)
    print(text)
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps({"quick": quick, "figures": figures, "told": told}, indent=2))
    if not quick:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
