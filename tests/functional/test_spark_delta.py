"""Delta Lake holds the rows that Parquet holds, and takes those of further runs."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import spark_delta
from incoming import line, observation, patient
from spark_cohorts import why_not

# The newest Delta Lake that is made for a Spark. Its jars are fetched by Spark itself, once.
DELTA = {"4.2": "4.4.0"}
BUILT = Path(__file__).parents[2] / "build"
SPARK = ".".join(version("pyspark").split(".")[:2]) if find_spec("pyspark") else ""
MINUTES = 15

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "Spark runs here"),
    pytest.mark.skipif(SPARK not in DELTA, reason=f"no Delta Lake is known for Spark {SPARK}"),
]


def test_delta_tables_hold_what_parquet_holds_and_grow(tmp_path: Path) -> None:
    """All tables are equal read through Delta; a second run is appended, and the first is still to be had."""
    for number in (1, 2):
        results = [observation(f"o{n}", n, subject=f"Patient/p{number}") for n in range(1, 4)]
        sent = [patient(f"p{number}"), *results, {"id": "no type"}]
        (tmp_path / f"{number}.ndjson").write_bytes(b"\n".join(map(line, sent)))
    packages = f"io.delta:delta-spark_{SPARK}_2.13:{DELTA.get(SPARK)}"
    given = [packages, str(BUILT / "ivy"), *(str(tmp_path / f"{number}.ndjson") for number in (1, 2))]
    # What other programs keep of the same packages may be there in part, and Spark would rely on it.
    home = {"JDK_JAVA_OPTIONS": f"-Duser.home={tmp_path}"}
    ran = subprocess.run(
        [sys.executable, spark_delta.__file__, *given, str(tmp_path / "out")],
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=MINUTES * 60,
        check=False,
    )
    if ran.returncode == spark_delta.WITHOUT:
        pytest.skip(f"Spark could not fetch {packages}")
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert {table: tuple(counts[:2]) for table, counts in found["differing"].items()} == dict.fromkeys(
        found["differing"], (0, 0)
    )
    rows = {table: counts[2] for table, counts in found["differing"].items()}
    assert (rows["subjects"], rows["measurements"], rows["issues"] > 0) == (1, 3, True)
    assert found["appended"] == {
        "before": 3,
        "added": 3,
        "after": 6,
        "older": 3,
        "versions": 2,
        "subjects": ["p1", "p2"],
    }
