"""Other programs that read the same lab Observations, each in an environment of its own.

What is measured is their work alone, after import, on as many lines as they do in some seconds; ours is
measured on the same machine right before each of them. They do less than mapping: no units, no partial dates,
no account, no codes to concepts.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.observations import lab_observations

ENVIRONMENTS = Path(__file__).parents[2] / "build" / "peers"
ROUNDS = 3
OURS = 100_000  # lines

PATHS = ("id", "status", "subject.reference", "code.coding.code", "effectiveDateTime", "valueQuantity.value")

VALIDATE = """
from fhir.resources.R4B.observation import Observation
def work():
    with open(path, "rb") as lines:
        return sum(1 for line in lines if Observation.model_validate_json(line))
"""

PYRATE = f"""
import json
from fhir_pyrate import Pirate
from fhir_pyrate.util import FHIRObj
PATHS = [(name.replace(".", "_"), name) for name in {PATHS!r}]
with open(path, "rb") as lines:
    resources = [json.loads(line) for line in lines]
bundles = [
    FHIRObj(resourceType="Bundle", entry=[dict(resource=one) for one in resources[start : start + 100]])
    for start in range(0, len(resources), 100)
]
def work():
    search = Pirate("http://127.0.0.1", auth=None, num_processes=1, silence_fhirpath_warning=True)
    return len(search.bundles_to_dataframe(bundles, fhir_paths=PATHS))
"""

FHIRY = """
from pathlib import Path
from fhiry.fhirndjson import Fhirndjson
def work():
    reader = Fhirndjson()
    reader.folder = str(Path(path).parent)
    reader.process_source()
    return len(reader.df)
"""

PYSOF = """
import pysof
COLUMNS = {
    "id": "id", "status": "status", "subject": "subject.reference", "code": "code.coding.first().code",
    "effective": "effective.ofType(dateTime)", "value": "value.ofType(Quantity).value",
}
VIEW = {
    "resourceType": "ViewDefinition", "status": "active", "resource": "Observation",
    "select": [{"column": [{"name": name, "path": rule} for name, rule in COLUMNS.items()]}],
}
def work():
    made = pysof.process_ndjson_to_file(VIEW, path, path + ".out", "ndjson", chunk_size=10_000)
    return int(made["output_rows"])
"""

TIMED = """
import json, sys, time, contextlib, io
path, rounds = sys.argv[1], int(sys.argv[2])
{work}
seconds = []
for _ in range(rounds):
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        count = work()
    seconds.append(time.perf_counter() - began)
print(json.dumps({{"rows": count, "seconds": seconds}}))
"""

OWN = """
import fhiradapter
fhiradapter.build_cohort([])
def work():
    return len(fhiradapter.build_cohort(path).arrow("measurements"))
"""


class Peer(NamedTuple):
    """A program to compare with: the package to install, what it does, and how many lines are enough."""

    requirement: str
    work: str
    lines: int


PEERS = {
    "fhir.resources, validation": Peer("fhir.resources==8.3.0", VALIDATE, 10_000),
    "pysof": Peer("pysof==0.2.6", PYSOF, 50_000),
    "FHIR-PYrate": Peer("fhir-pyrate==0.2.6", PYRATE, 2_000),
    "fhiry": Peer("fhiry==5.2.2", FHIRY, 1_000),
}


def beside_peers() -> tuple[dict[str, float], list[str]]:
    """Return the rates with how many times as fast we are, and a sentence for each that cannot be measured.

    A peer whose count of rows is not that of the lines is not measured: it did not do the work.
    """
    figures: dict[str, float] = {}
    told = []
    for name, peer in PEERS.items():
        try:
            python = _environment(peer.requirement)
            own = _rate(sys.executable, OWN, OURS)
            rate = _rate(str(python), peer.work, peer.lines)
        except (subprocess.CalledProcessError, ValueError) as error:
            told.append(f"{name} ({peer.requirement}) could not be measured: {_why(error)}.")
            continue
        figures |= {
            f"{name}: Observations a second": rate,
            f"{name}: ours, one process, to a cohort in memory, Observations a second": own,
            f"{name}: ours, times as fast": own / rate,
        }
    return figures, told


def _why(error: Exception) -> str:
    """Return the last thing that a program said before it failed."""
    said = getattr(error, "stderr", None) or str(error)
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return text.strip().splitlines()[-1] if text.strip() else type(error).__name__


def _environment(requirement: str) -> Path:
    """Return the Python of an environment that has a package, made when it is not there."""
    folder = ENVIRONMENTS / requirement
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
            check=True,
            capture_output=True,
        )
        (folder / "complete").touch()
    return python


def _rate(python: str, work: str, count: int) -> float:
    """Return the lines a second of the median round."""
    with _lines(count) as path:
        done = subprocess.run(
            [python, "-c", TIMED.format(work=work), str(path), str(ROUNDS)],
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    if found["rows"] != count:
        raise ValueError(f"{found['rows']} rows of {count} lines")
    return count / median(found["seconds"])


@contextmanager
def _lines(count: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "observations.ndjson"
        path.write_bytes(b"\n".join(lab_observations(count)) + b"\n")
        yield path


if __name__ == "__main__":
    print(json.dumps(beside_peers(), indent=2))
