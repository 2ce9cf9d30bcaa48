"""Where the processor's time goes while a file is mapped, step by step, in one process of its own.

Every step is the time of its functions without that of other steps inside them. Packing and unpacking, which
only several workers need, are done to every part.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from threading import get_ident
from typing import Any

import orjson

from fhiradapter.engines.freed_memory import keep_freed_memory
from fhiradapter.engines.without_pandas import do_without_pandas
from tests.benchmarks.resources import GENERATORS

REST = "freeing resources, and everything else"
STARTING = "start of the process"
BARE = "orjson.loads"  # of the same lines in the same process, to compare machines by
HASHING = "hashing the input for run.json"
PACKING, UNPACKING = "packing for another process", "unpacking"
PARENTS = (
    UNPACKING,
    "counts and keys of receipts",
    "subjects and their earliest times",
    "Parquet and zstd",
    "settling",
    HASHING,
)
"""The steps that one process does for all workers."""

ITERATED = {"_lines_of", "portions", "Reader.lines"}
STEPS: dict[str, tuple[str, ...]] = {
    "reading the file": ("fhir.files:_lines_of", "fhir.files:portions"),
    "cutting into lines": ("fhir.reading:Reader.lines", "fhir.reading:Lines.__init__"),
    "looking for Bundles where some are": ("fhir.reading:Reader._apart",),
    "looking for hazards": ("fhir.reading:is_hazardous",),
    "decoding": ("fhir.reading:decode_regular", "mappers.kernel:decode"),
    "mapping one by one": ("mappers.kernel:Kernel._map_line", "mappers.kernel:Collected.finish"),
    "regular rows: look-ups": (
        "mappers.regular:_keep_known",
        "mappers.regular:_keep_measured",
        "mappers.candidates:Candidates.keep_subjects",
        "mappers.candidates:Candidates.keep_encounters",
        "mappers.regular_doses:_keep_dated",
        "mappers.regular_doses:_keep_known",
        "mappers.regular_persons:_keep_known",
        "mappers.regular_persons:_keep_dated",
    ),
    "regular rows: times": ("mappers.regular:_keep_timed", "mappers.regular_doses:_keep_timed"),
    "regular rows: columns": (
        "mappers.regular:_in_columns",
        "mappers.regular_doses:_in_columns",
        "mappers.regular_persons:_in_columns",
        "mappers.kernel:record_batch",
    ),
    "provenance and receipts": (
        "mappers.kernel:provenance",
        "mappers.kernel:mapped_receipts",
        "mappers.kernel:_versions",
    ),
    "taking resources apart": ("mappers.kernel:Kernel.map_batch",),
    "batches into parts": ("mappers.parts:_together", "mappers.parts:_is_placed"),
    PACKING: ("mappers.parts:Part.packed",),
    UNPACKING: ("mappers.parts:Part.unpacked",),
    "counts and keys of receipts": ("cohort.receipts:Receipts.add",),
    "subjects and their earliest times": ("cohort.horizon:Horizon.add",),
    "Parquet and zstd": ("store.landing:_Writer._flush",),
    "settling": ("settling:Settling.settle",),
    HASHING: ("runs:_hashed",),
}


class Stopwatch:
    """Adds up the processor time of steps; those of two threads may run side by side."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: dict[int, list[float]] = defaultdict(list)

    def time(self, step: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function and count its time, without that of steps inside it."""
        inner = self._inner[get_ident()]
        inner.append(0.0)
        began = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            took = time.thread_time() - began
            self.seconds[step] += took - inner.pop()
            if inner:
                inner[-1] += took

    def watch(self, step: str, place: str) -> None:
        """Count the calls of a function from now on; of a generator what makes each item."""
        module, _, path = place.partition(":")
        owner: Any = import_module(f"fhiradapter.{module}")
        *holders, name = path.split(".")
        for holder in holders:
            owner = getattr(owner, holder)
        function = getattr(owner, name)

        def called(*arguments: Any, **options: Any) -> Any:
            return self.time(step, function, *arguments, **options)

        def iterated(*arguments: Any, **options: Any) -> Iterator[Any]:
            items, end = iter(function(*arguments, **options)), object()
            while (item := self.time(step, next, items, end)) is not end:
                yield item

        watched = iterated if path in ITERATED else called
        setattr(owner, name, staticmethod(watched) if path == "Part.unpacked" else watched)


def steps(kind: str, count: int) -> dict[str, float]:
    """Return microseconds of processor time a resource, by step; that of `STARTING` and `BARE` beside it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{kind}.ndjson"
        with file.open("wb") as stream:
            stream.writelines(line + b"\n" for line in GENERATORS[kind](count))
        script = "import sys; from tests.benchmarks.steps import main; main(sys.argv[1], sys.argv[2])"
        command = [sys.executable, "-c", script, str(file), str(Path(folder) / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(done.stdout)
    return {step: taken / count * 1e6 for step, taken in seconds.items()}


def main(file: str, out: str) -> None:
    """Map a file and print the seconds of each step."""
    do_without_pandas()
    keep_freed_memory()
    from fhiradapter.api import anonymous_study
    from fhiradapter.assembly import Assembly
    from fhiradapter.mappers.parts import Part
    from fhiradapter.runs import map_study

    started = time.process_time()
    watch = Stopwatch()
    for step, places in STEPS.items():
        for place in places:
            watch.watch(step, place)
    take = Assembly._take
    Assembly._take = lambda self, part: take(self, Part.unpacked(part.packed()))  # type: ignore[method-assign]
    watch.time(REST, map_study, [file], anonymous_study(), Path(out))
    lines = Path(file).read_bytes().splitlines()
    began = time.process_time()
    for line in lines:
        orjson.loads(line)
    print(json.dumps({STARTING: started, BARE: time.process_time() - began, **watch.seconds}))
