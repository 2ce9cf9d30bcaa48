"""A Bulk Data server on this machine, with the traps of real ones, and its files at a second origin."""

import gzip
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TOKEN = "Bearer bulk-secret"
Json = dict[str, Any]


@dataclass
class FakeClock:
    """A clock that only sleeping moves, for the client and the server alike."""

    at: datetime = START
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.at += timedelta(seconds=seconds)


@dataclass
class Traps:
    """What the server does that it should not, or may."""

    kick_off: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Answers before the one that begins."""
    polls: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Answers before the manifest."""
    resources_per_file: int = 100
    files_per_manifest: int | None = None
    counts: bool = True
    wrong_counts: dict[str, int] = field(default_factory=dict)
    """Type to what is added to the count of its first file."""
    truncated: Counter[str] = field(default_factory=Counter)
    """Type to how often its first file ends early, at the end of a line."""
    cut: Counter[str] = field(default_factory=Counter)
    """Type to how often its first file's connection breaks in the middle."""
    cut_gzip: Counter[str] = field(default_factory=Counter)
    expire_after: int | None = None
    expired_status: int = 404
    forever: bool = False
    """Files are expired in each manifest; `forgets`: the manifest is too."""
    forgets: bool = False
    elsewhere: bool = False
    redirects: bool = False
    requires_token: bool = True
    encoded: str | None = None
    """'gzip' as Content-Encoding, or 'file' for files that are gzip files."""
    outcomes: list[Json] = field(default_factory=list)
    outcome_name: str = "error"
    deleted: list[tuple[str, str]] = field(default_factory=list)
    transaction_time: object = None
    """Null: the kick-off's; 'end': the job's end; anything else is sent as it is."""
    during: Callable[["BulkServer"], object] | None = None
    """What happens to the data while the job runs."""
    spoil: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    organized: bool = False
    no_location: bool = False
    foreign_location: bool = False
    next_loops: bool = False
    refuses_patients: bool = False
    ignores_patients: bool = False
    offers_post_only: bool = False
    extra_types: bool = False
    no_date: bool = False


@dataclass
class Job:
    number: int
    began: datetime
    since: datetime | None
    types: list[str]
    patients: list[str]
    files: list[Json]
    ended: datetime | None = None
    version: int = 1
    served: int = 0
    deleted: bool = False


@dataclass
class BulkServer:
    """The server's data, and what was asked of it."""

    clock: FakeClock
    traps: Traps = field(default_factory=Traps)
    resources: dict[tuple[str, str], tuple[datetime, bytes]] = field(default_factory=dict)
    kick_offs: list[Json] = field(default_factory=list)
    refused_kick_offs: int = 0
    polls: int = 0
    deletes: int = 0
    downloads: Counter[str] = field(default_factory=Counter)
    authorizations: dict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))
    jobs: dict[int, Job] = field(default_factory=dict)
    api_port: int = 0
    file_port: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/fhir"

    @property
    def file_host(self) -> str:
        return f"127.0.0.1:{self.file_port}"

    @property
    def tokens_to_file_host(self) -> int:
        return sum(header is not None for header in self.authorizations["files"])

    def put(self, kind: str, id_: str, *, patient: str | None = None, **elements: Any) -> None:
        """Write a resource now."""
        with self.lock:
            moment = self.clock.now()
            known = self.resources.get((kind, id_))
            version = 1 if known is None else int(json.loads(known[1])["meta"]["versionId"]) + 1
            resource: Json = {
                "resourceType": kind,
                "id": id_,
                "meta": {"versionId": str(version), "lastUpdated": _instant(moment)},
                **elements,
            }
            if kind != "Patient":
                resource["subject"] = {"reference": f"Patient/{patient or 'p1'}"}
            self.resources[kind, id_] = (moment, json.dumps(resource, separators=(",", ":")).encode())

    def fill(self, count: int, kinds: tuple[str, ...] = ("Patient", "Observation", "Condition")) -> None:
        for kind in kinds:
            for number in range(count):
                self.put(
                    kind, f"{kind[0].lower()}{number}", patient=f"p{number % 7}", note=f"synthetic {number}"
                )

    def contents(self, kinds: tuple[str, ...]) -> dict[tuple[str, str], bytes]:
        return {key: body for key, (_, body) in self.resources.items() if key[0] in kinds}

    # What it answers

    def begin(self, level: str, parameters: dict[str, list[str]], patients: list[str]) -> Job:
        since = datetime.fromisoformat(parameters["_since"][0]) if "_since" in parameters else None
        types = ",".join(parameters.get("_type", [])).split(",")
        number = len(self.jobs) + 1
        self.kick_offs.append({"level": level, "parameters": parameters, "patients": patients})
        everybody = not patients or self.traps.ignores_patients
        job = Job(number, self.clock.now(), since, types, patients, [])
        by_type: dict[str, list[bytes]] = defaultdict(list)
        for (kind, id_), (moment, body) in sorted(self.resources.items()):
            reference = id_ if kind == "Patient" else json.loads(body)["subject"]["reference"].split("/")[1]
            if kind in types and (since is None or moment > since) and (everybody or reference in patients):
                by_type[kind].append(body)
        if self.traps.extra_types:
            by_type["Organization"] = [b'{"resourceType":"Organization","id":"o"}']
        if self.traps.organized:
            lines = [
                b'{"resourceType":"Parameters","parameter":[{"name":"header"}]}',
                *(body for bodies in by_type.values() for body in bodies),
            ]
            self._split(job, None, lines)
        else:
            for kind, bodies in by_type.items():
                self._split(job, kind, bodies)
        if self.traps.deleted:
            lines = [
                json.dumps(
                    {
                        "resourceType": "Bundle",
                        "type": "transaction",
                        "meta": {"lastUpdated": _instant(self.clock.now())},
                        "entry": [{"request": {"method": "DELETE", "url": f"{kind}/{id_}"}}],
                    }
                ).encode()
                for kind, id_ in self.traps.deleted
            ]
            job.files.append({"part": "deleted", "type": "Bundle", "lines": lines, "first": False})
        if self.traps.outcomes:
            lines = [json.dumps(outcome).encode() for outcome in self.traps.outcomes]
            job.files.append(
                {"part": self.traps.outcome_name, "type": "OperationOutcome", "lines": lines, "first": False}
            )
        self.jobs[number] = job
        return job

    def _split(self, job: Job, kind: str | None, lines: list[bytes]) -> None:
        size = self.traps.resources_per_file
        for start in range(0, len(lines), size):
            job.files.append(
                {"part": "output", "type": kind, "lines": lines[start : start + size], "first": start == 0}
            )

    def manifest(self, job: Job, page: int) -> Json:
        size = self.traps.files_per_manifest or max(1, len(job.files))
        moment: object = {None: _instant(job.began), "end": _instant(job.ended or job.began)}.get(
            self.traps.transaction_time,
            self.traps.transaction_time,  # type: ignore[arg-type]
        )
        manifest: Json = {
            "transactionTime": moment,
            "request": f"{self.base}/$export",
            "requiresAccessToken": self.traps.requires_token,
            "output": [],
            self.traps.outcome_name: [],
        }
        if self.traps.organized:
            manifest["outputOrganizedBy"] = "Patient"
        host = self.file_host if self.traps.elsewhere else f"127.0.0.1:{self.api_port}"
        for number, file in list(enumerate(job.files))[page * size : (page + 1) * size]:
            item = {"url": f"http://{host}/files/{job.number}/{number}.ndjson?v={job.version}"}
            if file["type"] is not None and file["part"] != "deleted":
                item["type"] = file["type"]
            if self.traps.counts:
                wrong = self.traps.wrong_counts.get(file["type"] or "", 0) if file["first"] else 0
                item["count"] = len(file["lines"]) + wrong
            manifest.setdefault(file["part"], []).append(item)
        if (page + 1) * size < len(job.files) or self.traps.next_loops:
            page = 0 if self.traps.next_loops else page + 1
            manifest["link"] = [{"relation": "next", "url": f"{self.base}/status/{job.number}?page={page}"}]
        return manifest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    simulator: BulkServer
    origin: str

    def do_GET(self) -> None:
        self._record()
        place = urlsplit(self.path)
        query = parse_qs(place.query)
        parts = place.path.strip("/").split("/")
        if parts[0] == "files":
            self._file(int(parts[1]), int(parts[2].split(".")[0]), int(query["v"][0]))
        elif self.origin == "api" and parts[:2] == ["fhir", "metadata"]:
            self._answer(200, json.dumps(statement(post_only=self.simulator.traps.offers_post_only)).encode())
        elif self.headers.get("Authorization") != TOKEN:
            self._answer(401)
        elif parts[-1] == "$export":
            if self.simulator.traps.offers_post_only:
                self._answer(405)
            else:
                self._kick_off(parts, query, [])
        elif parts[1] == "status":
            self._status(int(parts[2]), int(query.get("page", ["0"])[0]))
        else:
            self._answer(404)

    def do_POST(self) -> None:
        self._record()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != TOKEN:
            self._answer(401)
            return
        query: dict[str, list[str]] = defaultdict(list)
        patients = []
        for part in body["parameter"]:
            if part["name"] == "patient":
                patients.append(part["valueReference"]["reference"].split("/")[1])
            else:
                query[part["name"]].append(next(value for name, value in part.items() if name != "name"))
        self._kick_off(urlsplit(self.path).path.strip("/").split("/"), dict(query), patients)

    def do_DELETE(self) -> None:
        self._record()
        if self.headers.get("Authorization") != TOKEN:
            self._answer(401)
            return
        self.simulator.deletes += 1
        self.simulator.jobs[int(self.path.split("/")[-1])].deleted = True
        self._answer(202)

    def _kick_off(self, parts: list[str], query: dict[str, list[str]], patients: list[str]) -> None:
        simulator, traps = self.simulator, self.simulator.traps
        if patients and traps.refuses_patients:
            simulator.refused_kick_offs += 1
            self._answer(400, outcome("not-supported"))
            return
        if traps.kick_off:
            simulator.refused_kick_offs += 1
            status, headers, content = traps.kick_off.pop(0)
            self._answer(status, content, headers)
            return
        with simulator.lock:
            level = "system" if len(parts) == 2 else parts[1].lower()
            job = simulator.begin(level, query, patients)
        location = f"{simulator.base}/status/{job.number}"
        if traps.foreign_location:
            location = f"http://{simulator.file_host}/fhir/status/{job.number}"
        self._answer(202, b"", {} if traps.no_location else {"Content-Location": location})

    def _status(self, number: int, page: int) -> None:
        simulator, traps = self.simulator, self.simulator.traps
        simulator.polls += 1
        job = simulator.jobs.get(number)
        if job is None or job.deleted or (traps.forgets and job.served):
            self._answer(404)
            return
        if traps.polls:
            status, headers, body = traps.polls.pop(0)
            self._answer(status, body, headers)
            return
        if job.ended is None:
            if traps.during is not None:
                traps.during(simulator)
            job.ended = simulator.clock.now()
        elif job.served and not traps.forever:
            job.version += 1
        self._answer(200, json.dumps(simulator.manifest(job, page)).encode())

    def _file(self, number: int, index: int, version: int) -> None:
        simulator, traps = self.simulator, self.simulator.traps
        job = simulator.jobs[number]
        file = job.files[index]
        if self.origin == "api" and traps.requires_token and self.headers.get("Authorization") != TOKEN:
            self._answer(401)
            return
        if self.origin == "api" and traps.redirects:
            self._answer(307, b"", {"Location": f"http://{simulator.file_host}{self.path}"})
            return
        with simulator.lock:
            expired = traps.expire_after is not None and job.served >= traps.expire_after and version == 1
            job.served += 1
            simulator.downloads[str(index)] += 1
        if expired:
            self._answer(traps.expired_status, b"<Error><Code>AccessDenied</Code></Error>")
            return
        lines, kind = file["lines"], file["type"] or ""
        if file["first"] and traps.truncated[kind] > 0:
            traps.truncated[kind] -= 1
            lines = lines[: len(lines) // 2]
        body = b"".join(line + b"\n" for line in lines)
        if file["first"] and kind in traps.spoil:
            body = traps.spoil[kind](body)
        headers = {"Content-Type": "application/fhir+ndjson"}
        length = None
        if traps.encoded is not None:
            body = gzip.compress(body)
            if traps.encoded == "gzip":
                headers["Content-Encoding"] = "gzip"
        if file["first"] and traps.cut_gzip[kind] > 0:
            traps.cut_gzip[kind] -= 1
            body = body[:-12]
        if file["first"] and traps.cut[kind] > 0:
            traps.cut[kind] -= 1
            length, body = len(body), body[: len(body) // 2]
        self._answer(200, body, headers, length)

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response_only(status)
        if not self.simulator.traps.no_date:
            self.send_header("Date", format_datetime(self.simulator.clock.now(), usegmt=True))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if length is not None:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def _record(self) -> None:
        self.simulator.authorizations[self.origin].append(self.headers.get("Authorization"))

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def bulk_server(clock: FakeClock, **traps: Any) -> Iterator[BulkServer]:
    """Run the server and its file host on two ports of this machine."""
    simulator = BulkServer(clock, Traps(**traps))
    servers = []
    for origin in ("api", "files"):
        handler = type("Handler", (_Handler,), {"simulator": simulator, "origin": origin})
        servers.append(_Server(("127.0.0.1", 0), handler))
    simulator.api_port, simulator.file_port = (server.server_address[1] for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield simulator
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def outcome(code: str, severity: str = "error") -> bytes:
    """Return an OperationOutcome whose text must not be repeated anywhere."""
    issue = {"severity": severity, "code": code, "diagnostics": "CANARY Jane Doe"}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def statement(*, post_only: bool = False) -> Json:
    """Return a CapabilityStatement with exports at all levels."""
    guide = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data|" + (
        "4.0.0" if post_only else "2.0.0"
    )
    definition = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "simulator", "version": "1"},
        "instantiates": [guide],
        "rest": [
            {
                "mode": "server",
                "operation": [{"name": "export", "definition": definition + "export"}],
                "resource": [
                    {
                        "type": "Patient",
                        "operation": [{"name": "export", "definition": definition + "patient-export"}],
                    },
                    {
                        "type": "Group",
                        "operation": [{"name": "export", "definition": definition + "group-export"}],
                    },
                ],
            }
        ],
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
