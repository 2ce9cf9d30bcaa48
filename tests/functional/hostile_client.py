"""A client in a process of its own: asks for one page and says how that ended and what it took."""

import json
import sys
import time
from pathlib import Path

from fhiradapter.connection import Server
from fhiradapter.errors import ServerError
from fhiradapter.fhir.pages import page_of
from fhiradapter.fhir.transport import Transport


def peak_megabytes() -> float:
    """Return the most memory that this process had; of this process alone, which getrusage is not."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main(base: str, seconds: float) -> None:
    """Print how one page ended as JSON."""
    begun, ending = time.monotonic(), "page"
    settings = Server.model_validate({"tries": 1, "request_seconds": seconds})
    with Transport(base, settings) as transport:
        try:
            page_of(transport.get("Observation?patient=p1"), kind="Observation")
        except ServerError as error:
            ending = str(error.reason)
    print(json.dumps([ending, round(peak_megabytes(), 1), round(time.monotonic() - begun, 2)]))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
