"""How fast laboratory Observations become Arrow batches, beside bare JSON decoding in the same run."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
import orjson

from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.fhir.compression import PORTION, Portion
from fhiradapter.fhir.elements import AnyResource
from fhiradapter.fhir.reading import Reader
from fhiradapter.mappers.context import Context, Readers
from fhiradapter.mappers.kernel import Kernel
from tests.benchmarks.observations import lab_observations

LINES = 40_000
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def map_rate(rounds: int) -> dict[str, float]:
    """Lines a second of one core, from text to Arrow; the three take turns, so that noise hits all."""
    lines = list(lab_observations(LINES))
    text = b"\n".join(lines) + b"\n"
    portions = [Portion(text[at : at + PORTION], False) for at in range(0, len(text), PORTION)]
    decode = msgspec.json.Decoder(AnyResource).decode
    kernel = Kernel(Context.of(Readers.of(load_catalogue()), now=2**60), run_id="benchmark")

    def load() -> None:
        for line in lines:
            orjson.loads(line)

    def typed() -> None:
        for line in lines:
            decode(line)

    def mapped() -> None:
        rows = 0
        for batch in Reader().batches(iter(portions), "observations.ndjson"):
            rows += kernel.map_batch(batch).tables["measurements"].num_rows
        assert rows == LINES

    steps: dict[str, Callable[[], None]] = {"orjson.loads": load, "msgspec decode": typed, "mapped": mapped}
    best = dict.fromkeys(steps, float("inf"))
    ratios = []
    for _ in range(rounds):
        took = {}
        for name, step in steps.items():
            began = time.process_time()
            step()
            took[name] = time.process_time() - began
            best[name] = min(best[name], took[name])
        ratios.append(took["orjson.loads"] / took["mapped"])
    rates = {f"{name}, lines a second": LINES / seconds for name, seconds in best.items()}
    return {
        "line, bytes": sum(map(len, lines)) / LINES,
        **rates,
        "mapped / orjson.loads, best rounds": best["orjson.loads"] / best["mapped"],
        "mapped / orjson.loads, median round": median(ratios),
    }


def map_rate_in_a_process(*, rounds: int) -> dict[str, float]:
    """Measure in a process that has loaded nothing else, as the command has not."""
    script = (
        f"import json; from tests.benchmarks.mapping import map_rate; print(json.dumps(map_rate({rounds})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def peak_memory(count: int) -> dict[str, float]:
    """Seconds and peak megabytes of `fhiradapter map` as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "observations.ndjson"
        with file.open("wb") as stream:
            for line in lab_observations(count):
                stream.write(line + b"\n")
        command = [sys.executable, "-m", "fhiradapter", "map", str(file), "--out", str(Path(folder) / "out")]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command], capture_output=True, text=True, check=True
        )
        seconds = time.perf_counter() - began
    code, kilobytes = map(int, done.stdout.split())
    assert code == 0
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "resources a second": count / seconds, "peak, MB": kilobytes * unit / 1e6}


def start_up() -> dict[str, float]:
    """Seconds that `fhiradapter --help` and importing the package take, median of seven."""
    timings: dict[str, list[float]] = {"--help": [], "import fhiradapter": []}
    commands = {
        "--help": [sys.executable, "-m", "fhiradapter", "--help"],
        "import fhiradapter": [sys.executable, "-c", "import fhiradapter"],
    }
    for _ in range(7):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True, env={**os.environ, "COLUMNS": "80"})
            timings[name].append(time.perf_counter() - began)
    return {f"{name}, seconds": median(taken) for name, taken in timings.items()}
