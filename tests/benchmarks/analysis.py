"""What the analysis of a large synthetic cohort costs, step by step, in seconds of CPU and in memory."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from fhiradapter.analysis.baseline import derive_cohort_summary
from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.exposure import derive_exposure
from fhiradapter.analysis.progression import derive_progression
from fhiradapter.analysis.safety import derive_safety
from fhiradapter.analysis.scores import derive_scores
from fhiradapter.analysis.staging import derive_staging
from fhiradapter.analysis.survival import derive_survival
from fhiradapter.analysis.timeline import derive_timeline
from fhiradapter.analysis.vital_capacity import derive_vital_capacity
from fhiradapter.api import catalogue_of
from tests.benchmarks.cohorts import study as synthetic_study
from tests.benchmarks.cohorts import synthetic_cohort

BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
# What the target is for: laboratory grades and incidences are part of safety.
TARGETED = ("scores", "timeline", "progression", "staging", "safety")


def peak_gigabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_RSS_UNIT / 1e9


def measure(subjects: int, visits: int) -> dict[str, float]:
    """Return seconds of CPU of each step in the order of `study_rows`, and peaks of memory.

    Wall-clock seconds of a shared machine say little; what is kept of a step stays in memory for the next.
    """
    cohort, study = synthetic_cohort(subjects, visits), synthetic_study()
    kinds = {name: concept.kind for name, concept in catalogue_of(study).concepts.items()}
    figures = {"cohort alone, peak, GB": peak_gigabytes()}
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
    figures["scores to safety, peak, GB"] = peak_gigabytes()
    results.append(timed("exposure", derive_exposure, cohort, study, timeline, kinds=kinds))
    biomarkers = timed("biomarkers", derive_biomarkers, cohort, study, timeline)
    results.append(timed("vital capacity", derive_vital_capacity, cohort, study, timeline))
    results.append(timed("survival", derive_survival, cohort, study, timeline))
    results.append(
        timed("cohort summary", derive_cohort_summary, cohort, study, timeline, scores, biomarkers=biomarkers)
    )
    figures["all of these, CPU seconds"] = sum(seconds.values())
    figures["all of these, peak, GB"] = peak_gigabytes()
    return figures


def analysis_in_a_process(subjects: int, visits: int) -> dict[str, float]:
    """Measure in a process of its own: peak memory is a property of a process."""
    script = (
        "import json; from tests.benchmarks.analysis import measure;"
        f" print(json.dumps(measure({subjects}, {visits})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(100_000, 20), indent=2))
