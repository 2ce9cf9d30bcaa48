"""How long the library takes to load, and to make a cohort of one Bundle, in a process of its own."""

import json
import subprocess
import sys
import time
from statistics import median

from tests.benchmarks.observations import lab_observations

ENTRIES = 50
CALLS = 60
BASE = "https://ehr.example.org/fhir"


def small_calls() -> dict[str, float]:
    """Milliseconds of a call, of the first one, and seconds of importing the package with its verbs."""
    script = "from tests.benchmarks.library import main; main()"
    rounds = [
        json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def main() -> None:
    """Measure and print."""
    began = time.perf_counter()
    from fhiradapter import build_cohort

    loaded = time.perf_counter()
    taken, work = [], []
    # Another Bundle for each call, since what one call met makes the next one faster.
    for bundle in map(_bundle, range(CALLS)):
        at, worked = time.perf_counter(), time.process_time()
        assert len(build_cohort(bundle).tables["measurements"]) == ENTRIES
        taken.append(time.perf_counter() - at)
        work.append(time.process_time() - worked)
    print(
        json.dumps(
            {
                "from fhiradapter import build_cohort, seconds": loaded - began,
                f"first Bundle of {ENTRIES}, which loads pandas, milliseconds": taken[0] * 1e3,
                f"a Bundle of {ENTRIES}, milliseconds": median(taken[1:]) * 1e3,
                f"a Bundle of {ENTRIES}, milliseconds of work": median(work[1:]) * 1e3,
            }
        )
    )


def _bundle(seed: int) -> bytes:
    resources = [json.loads(line) for line in lab_observations(ENTRIES, seed=seed)]
    entries = [{"fullUrl": f"{BASE}/Observation/{one['id']}", "resource": one} for one in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
