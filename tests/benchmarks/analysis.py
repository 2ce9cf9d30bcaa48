"""What the analysis of a large synthetic cohort costs, step by step and in several processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import pandas as pd

from fhiradapter.analysing import analyse
from fhiradapter.analysis.baseline import derive_cohort_summary
from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.parts import deriving_with, over_parts
from fhiradapter.analysis.progression import (
    ProgressionRows,
    derive_progression,
    progression_rows,
    summarise_progression,
)
from fhiradapter.analysis.safety import SafetyRows, derive_safety, safety_rows, summarise_safety
from fhiradapter.analysis.scores import Scores, derive_scores, score_rows
from fhiradapter.analysis.staging import StagingRows, derive_staging, staging_rows, summarise_staging
from fhiradapter.analysis.survival import derive_survival
from fhiradapter.analysis.timeline import derive_timeline, timeline_rows
from fhiradapter.analysis.vital_capacity import derive_vital_capacity
from fhiradapter.api import kinds_of
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.deriving import ByCrew
from fhiradapter.reports.registry import write_report
from fhiradapter.settings import Study
from tests.benchmarks.cohorts import study as synthetic_study
from tests.benchmarks.cohorts import synthetic_cohort
from tests.benchmarks.spark import memory_of_family

# What the target is for: laboratory grades and incidences are part of safety.
TARGETED = ("scores", "timeline", "progression", "staging", "safety")
SAMPLED_EVERY = 0.05  # seconds
REPORTED = 500  # subjects: a large trial


@dataclass(frozen=True)
class TargetedRows:
    """The rows of what the target is for."""

    scores: Scores
    timeline: pd.DataFrame
    progression: ProgressionRows
    staging: StagingRows
    safety: SafetyRows


def targeted_rows(cohort: Cohort, study: Study, kinds: Mapping[str, str]) -> TargetedRows:
    """Derive scores, timeline, slopes, stages, grades and incidences of some whole subjects."""
    scores, given = score_rows(cohort, study), given_infusions(cohort, study)
    timeline = timeline_rows(cohort, study, scores, given=given)
    return TargetedRows(
        scores.reduced(),
        timeline,
        progression_rows(cohort, study, timeline, scores),
        staging_rows(cohort, study, timeline),
        safety_rows(cohort, study, timeline, kinds, given=given),
    )


def by_steps(subjects: int, visits: int) -> dict[str, float]:
    """Return seconds of CPU of each step in one process; what is kept of one stays for the next."""
    cohort, study = synthetic_cohort(subjects, visits), synthetic_study()
    kinds = kinds_of(study)
    figures: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[..., Any], *given: Any, **more: Any) -> Any:
        began = time.process_time()
        result = step(*given, **more)
        seconds[name] = time.process_time() - began
        figures[f"{name}, CPU seconds"] = seconds[name]
        return result

    scores = timed("scores", derive_scores, cohort, study)
    timeline = timed("timeline", derive_timeline, cohort, study, scores=scores)
    results = [timed("progression", derive_progression, cohort, study, timeline, scores=scores)]
    results.append(timed("staging", derive_staging, cohort, study, timeline))
    results.append(timed("safety", derive_safety, cohort, study, timeline, kinds=kinds))
    figures["scores to safety, CPU seconds"] = sum(seconds[name] for name in TARGETED)
    results.append(timed("exposure", derive_exposure, cohort, study, timeline, kinds=kinds))
    biomarkers = timed("biomarkers", derive_biomarkers, cohort, study, timeline)
    results.append(timed("vital capacity", derive_vital_capacity, cohort, study, timeline))
    results.append(timed("survival", derive_survival, cohort, study, timeline))
    results.append(
        timed("cohort summary", derive_cohort_summary, cohort, study, timeline, scores, biomarkers=biomarkers)
    )
    figures["all of these, CPU seconds"] = sum(seconds.values())
    return figures


def on_cores(subjects: int, visits: int, workers: int) -> dict[str, float]:
    """Return wall seconds and the most memory of all processes, from the cohort to the summaries."""
    cohort, study = synthetic_cohort(subjects, visits), synthetic_study()
    kinds = kinds_of(study)
    engine = ByCrew(workers) if workers > 1 else None
    with memory() as peak:
        began, worked = time.perf_counter(), sum(os.times()[:4])
        with deriving_with(engine):
            rows = over_parts(targeted_rows, cohort, study, kinds)
        summarise_progression(rows.progression, study, rows.timeline, scores=rows.scores)
        summarise_staging(rows.staging, study)
        summarise_safety(rows.safety, study, rows.timeline, cohort.accounting)
        seconds, worked = time.perf_counter() - began, sum(os.times()[:4]) - worked
    del rows
    figures = {
        f"scores to safety, workers {workers}: seconds": seconds,
        f"scores to safety, workers {workers}: CPU seconds of all processes": worked,
        f"scores to safety, workers {workers}: peak, GB": peak[0] / 1e9,
    }
    began = time.perf_counter()
    results = analyse(cohort, study, workers=workers)
    figures[f"all endpoints, workers {workers}: seconds"] = time.perf_counter() - began
    if workers > 1:
        began = time.perf_counter()
        figures["results.json: MB"] = len(results.to_json()) / 1e6
        figures["results.json: seconds"] = time.perf_counter() - began
    return figures


def report(subjects: int, visits: int) -> dict[str, float]:
    """Return what the report of a trial of some size takes; it draws and lists every subject."""
    results = analyse(synthetic_cohort(subjects, visits), synthetic_study())
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        written = write_report(results, Path(folder) / "report.html")
        return {
            f"report of {subjects:,} subjects: seconds": time.perf_counter() - began,
            f"report of {subjects:,} subjects: MB": written.stat().st_size / 1e6,
        }


@contextmanager
def memory() -> Iterator[list[float]]:
    """Give the most bytes that this process and those it starts have together while the block runs."""
    peak, over = [0.0], Event()

    def watch() -> None:
        while not over.wait(SAMPLED_EVERY):
            peak[0] = max(peak[0], memory_of_family())

    watching = Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def analysis_in_processes(subjects: int, visits: int) -> dict[str, float]:
    """Measure each in a process of its own: peak memory is a property of a process."""
    calls = [f"by_steps({subjects}, {visits})"]
    calls += [f"on_cores({subjects}, {visits}, {workers})" for workers in (1, 2)]
    calls.append(f"report({REPORTED}, {visits})")
    figures: dict[str, float] = {}
    for call in calls:
        script = f"import json; from tests.benchmarks.analysis import *; print(json.dumps({call}))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        figures |= json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(json.dumps(analysis_in_processes(count, 20), indent=2))
