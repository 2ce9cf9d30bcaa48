"""How fast a bulk export is downloaded, checked and landed from this machine, beside curl in the same run."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.observations import lab_observations

FILES = 4
LINES = 4_000  # different ones, repeated until a file has its size
ROUNDS = 5


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    block: bytes
    repeats: int

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}"
        if self.path.startswith("/files/"):
            self._head(200, len(self.block) * self.repeats)
            for _ in range(self.repeats):
                self.connection.sendall(self.block)
        elif "$export" in self.path:
            self._head(202, 0, {"Content-Location": f"{base}/fhir/status/1"})
        else:
            output = [
                {"type": "Observation", "url": f"{base}/files/{n}", "count": LINES * self.repeats}
                for n in range(FILES)
            ]
            manifest: dict[str, Any] = {"requiresAccessToken": False, "output": output, "error": []}
            manifest["transactionTime"] = datetime.now(UTC).isoformat()
            body = json.dumps(manifest).encode()
            self._head(200, len(body))
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "Content-Length": str(length),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(megabytes: int) -> None:
    """Serve until the process ends; the first line printed is the port."""
    block = b"".join(line + b"\n" for line in lab_observations(LINES))
    repeats = max(1, round(megabytes * 1e6 / FILES / len(block)))
    handler = type("Handler", (_Handler,), {"block": block, "repeats": repeats})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(server.server_address[1], len(block) * repeats * FILES, LINES * repeats * FILES, flush=True)
    server.serve_forever()


def land(port: int, folder: str) -> None:
    """Bring one export to the disk, as a sync does."""
    from fhiradapter.connection import Server
    from fhiradapter.fhir.bulk import ExportRequest
    from fhiradapter.fhir.transport import Transport
    from fhiradapter.sync.export_journal import ExportJournals
    from fhiradapter.sync.export_states import Order
    from fhiradapter.sync.exports import Exports

    settings = Server()
    with Transport(f"http://127.0.0.1:{port}/fhir", settings) as transport:
        exports = Exports(
            transport,
            ExportJournals(Path(folder)),
            Path(folder),
            settings,
            source="ehr",
            sleep=lambda _: None,
        )
        exports.begin(Order(ExportRequest(level="system", types=("Observation",))))
        advance = exports.advance()
        assert advance is not None
        assert advance.failure is None
        assert advance.over


def beside_curl(megabytes: int = 1_000) -> dict[str, float]:
    """Bytes a second of both and the peak of ours; they take turns, so that noise hits both."""
    server = subprocess.Popen(
        [sys.executable, "-c", f"from tests.benchmarks.bulk import serve; serve({megabytes})"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        port, size, lines = map(int, server.stdout.readline().split())
        rates: dict[str, list[float]] = {"curl": [], "ours": []}
        peak = 0.0
        worked: dict[str, list[float]] = {"curl": [], "ours": []}
        for _ in range(ROUNDS):
            began = _processor_seconds()
            with tempfile.TemporaryDirectory() as folder:
                rates["curl"].append(size / _curl(port, folder))
            worked["curl"].append(_processor_seconds() - began)
            with tempfile.TemporaryDirectory() as folder:
                seconds, processor, peak = _ours(port, folder)
                rates["ours"].append(size / seconds)
                worked["ours"].append(processor)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    return {
        "bytes": size,
        "lines": lines,
        "curl, MB a second": median(rates["curl"]) / 1e6,
        "downloaded, checked and landed, MB a second": median(rates["ours"]) / 1e6,
        "ours / curl, median round": median(
            ours / curl for ours, curl in zip(rates["ours"], rates["curl"], strict=True)
        ),
        "curl, CPU seconds": median(worked["curl"]),
        "downloaded, checked and landed, CPU seconds": median(worked["ours"]),
        "peak, MB": peak,
    }


def _processor_seconds() -> float:
    """Return what processes that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _curl(port: int, folder: str) -> float:
    command = ["curl", "--silent", "--no-progress-meter", "--fail", "--parallel"]
    for number in range(FILES):
        command += ["--output", f"{folder}/{number}.ndjson", f"http://127.0.0.1:{port}/files/{number}"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _ours(port: int, folder: str) -> tuple[float, float, float]:
    script = (
        "import sys, time; from tests.benchmarks import bulk, memory; import fhiradapter.sync.exports,"
        " fhiradapter.fhir.transport; began, worked = time.perf_counter(), time.process_time();"
        f" bulk.land({port}, sys.argv[1]); print(time.perf_counter() - began, time.process_time() - worked,"
        " memory.peak())"
    )
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    seconds, worked, megabytes = map(float, done.stdout.split())
    return seconds, worked, megabytes


if __name__ == "__main__":
    print(json.dumps(beside_curl(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000), indent=1))
