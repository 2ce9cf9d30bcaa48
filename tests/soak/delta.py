"""Delta Lake holds the rows that the local engine makes, and takes those of further runs; synthetic data."""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "functional"))

from incoming import line, observation, patient

# The newest Delta Lake that is made for a Spark. Its jars are fetched by Spark itself, once.
DELTA = {"4.2": "4.4.0"}
BUILT = Path(__file__).parents[2] / "build"
MINUTES = 15
EXPECTED = {"before": 3, "added": 3, "after": 6, "older": 3, "versions": 2, "subjects": ["p1", "p2"]}


def delta() -> bool:
    """Print what Delta's tables hold, and return whether it is what they should hold."""
    spark = ".".join(version("pyspark").split(".")[:2])
    packages = f"io.delta:delta-spark_{spark}_2.13:{DELTA[spark]}"
    begun = time.monotonic()
    with TemporaryDirectory() as place:
        folder = Path(place)
        given = [packages, str(BUILT / "ivy"), *map(str, _inputs(folder)), str(folder / "out")]
        ran = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("delta_process.py")), *given],
            # What other programs keep of the same packages may be there in part, and Spark would rely on it.
            env=os.environ
            | {"JDK_JAVA_OPTIONS": f"-Duser.home={folder}", "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            check=False,
        )
    if ran.returncode:
        print(f"{packages}: exit code {ran.returncode}\n{ran.stderr[-2000:]}")
        return False
    found = json.loads(ran.stdout.splitlines()[-1])
    different = [table for table, counts in found["differing"].items() if any(counts[:2])]
    rows = {table: counts[2] for table, counts in found["differing"].items()}
    print(
        f"{packages}: {len(different)} of {len(rows)} tables differ, {sum(rows.values())} rows,"
        f" {found['appended']}, {time.monotonic() - begun:.0f} s"
    )
    filled = (rows["subjects"], rows["measurements"], rows["issues"] > 0) == (1, 3, True)
    return filled and not different and found["appended"] == EXPECTED


def _inputs(folder: Path) -> list[Path]:
    """Write the files of two runs, each of a Patient with three results."""
    files = []
    for number in (1, 2):
        results = [observation(f"o{n}", n, subject=f"Patient/p{number}") for n in range(1, 4)]
        sent = [patient(f"p{number}"), *results, {"id": "no type"}]
        files.append(folder / f"{number}.ndjson")
        files[-1].write_bytes(b"\n".join(map(line, sent)))
    return files
