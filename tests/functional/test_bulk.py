"""Bulk exports: each trap of real servers ends as the rules say, and no kill begins a second export."""

import dataclasses
import hashlib
import io
import json
import os
import random
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulator.bulk import START, TOKEN, BulkServer, FakeClock, bulk_server, outcome, statement

from fhiradapter.connection import Server
from fhiradapter.errors import (
    AuthenticationError,
    FhirAdapterError,
    RefusedAnswerError,
    TransientServerError,
    UsageError,
)
from fhiradapter.fhir.auth import Anonymous, Static
from fhiradapter.fhir.bodies import poured
from fhiradapter.fhir.bulk import ExportRequest, kick_off, level_for, offers_of
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.manifests import manifest_of
from fhiradapter.fhir.transport import Transport
from fhiradapter.fhir.units import Fetched
from fhiradapter.reasons import Reason
from fhiradapter.store.bulk_ndjson import write_bulk
from fhiradapter.sync.bulk_log import BulkLog
from fhiradapter.sync.export_downloads import Told
from fhiradapter.sync.export_journal import ExportJournals
from fhiradapter.sync.export_lines import Lines
from fhiradapter.sync.export_pieces import pieces
from fhiradapter.sync.export_plans import orders, request_of
from fhiradapter.sync.export_runs import Ran, run_exports
from fhiradapter.sync.export_states import STEPS, Export, ExportLedger, Kept, Landed, Order
from fhiradapter.sync.exports import Exports
from fhiradapter.sync.known import Mark

KINDS = ("Patient", "Observation", "Condition")
REQUEST = ExportRequest(level="patient", types=KINDS)


@dataclass
class Collected:
    """What the store would have: the newest content of each resource, and the marks."""

    current: dict[tuple[str, str], bytes] = field(default_factory=dict)
    marks: dict[tuple[str, str], Mark] = field(default_factory=dict)
    failures: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)
    commits: int = 0

    def __call__(self, fetched: Fetched) -> None:
        self.commits += 1
        unit = fetched.unit
        self.warnings |= set(fetched.warnings)
        if fetched.failure is not None:
            self.failures[unit.type] = (str(fetched.failure.reason), fetched.failure.status)
            return
        for entry in fetched.entries:
            assert entry.type == unit.type
            self.current[entry.type, entry.id] = entry.content
        for grave in fetched.deleted:
            self.current.pop((grave.type, grave.id), None)
        if fetched.watermark is not None:
            self.failures.pop(unit.type, None)
            self.marks[unit.type, unit.shard] = Mark(unit.shard, fetched.watermark, unit.patients)

    def of(self, kind: str) -> list[Mark]:
        return [mark for (type_, _), mark in self.marks.items() if type_ == kind]


@dataclass
class Client:
    """One process that reads the simulator; a new one is what runs after a crash."""

    server: BulkServer
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    auth: Any = None

    @contextmanager
    def exports(
        self, wrap: Callable[[ExportLedger], ExportLedger] = lambda ledger: ledger
    ) -> Iterator[Exports]:
        clock = self.server.clock
        settings = Server(
            **{
                "request_seconds": 1e9,
                "file_hosts": [self.server.file_host],
                "overlap_seconds": 600,
                **self.settings,
            }
        )
        with Transport(
            self.server.base,
            settings,
            auth=self.auth or Static("Authorization", lambda: TOKEN),
            sleep=clock.sleep,
            clock=clock.monotonic,
            random=lambda: 0.5,
            now=clock.now,
        ) as transport:
            offers = offers_of(transport.get("metadata").body)
            self.folder.mkdir(exist_ok=True)
            yield Exports(
                transport,
                wrap(ExportJournals(self.folder)),
                self.folder,
                settings,
                source="ehr",
                offers=offers,
                log=BulkLog(self.folder / "log.ndjson", now=clock.now),
                tell=self.told.append,
                sleep=clock.sleep,
                now=clock.now,
                random=lambda: 0.5,
            )

    def run(
        self,
        store: Collected,
        *,
        request: ExportRequest = REQUEST,
        members: list[str] | None = None,
        wait: float | None = None,
        wrap: Callable[[ExportLedger], ExportLedger] = lambda ledger: ledger,
        read_history: Any = None,
        plan: list[Order] | None = None,
    ) -> Ran:
        with self.exports(wrap) as exports:

            def planned() -> list[Order]:
                if plan is not None:
                    return plan
                return orders(request, store.of, members=members, overlap_seconds=600)

            return run_exports(exports, planned, store, read_history=read_history, wait=wait)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log.ndjson").read_bytes().splitlines()]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextmanager
def serving(
    clock: FakeClock, folder: Path, *, count: int = 250, settings: Any = None, **traps: Any
) -> Iterator[Client]:
    with bulk_server(clock, **traps) as server:
        server.fill(count)
        clock.sleep(1)
        clock.slept.clear()
        yield Client(server, folder / "exports", dict(settings or {}))


def everything(client: Client) -> dict[tuple[str, str], bytes]:
    return client.server.contents(KINDS)


# An export without traps


def test_an_export_brings_everything_and_is_deleted(clock: FakeClock, tmp_path: Path) -> None:
    """One kick-off with one list of types; all resources byte by byte; job deleted; nothing left landed."""
    with serving(clock, tmp_path) as client:
        store = Collected()
        ran = client.run(store)
        assert store.current == everything(client)
        assert [advance.failure for advance in ran.advances] == [None]
        assert len(client.server.kick_offs) == client.server.deletes == 1
        assert client.server.kick_offs[0] == {
            "level": "patient",
            "parameters": {
                "_outputFormat": ["application/fhir+ndjson"],
                "_type": ["Patient,Observation,Condition"],
            },
            "patients": [],
        }
        assert {mark.at for mark in store.marks.values()} == {"2026-11-01T12:00:01.000Z"}
        assert sorted(path.suffix for path in client.folder.iterdir()) == [".json", ".ndjson"]
        with client.exports() as exports:
            assert [export.step for export in exports.all()] == ["DELETED"]
            assert exports.held() is None


def test_the_next_export_asks_for_changes_since_the_last_less_the_overlap(
    clock: FakeClock, tmp_path: Path
) -> None:
    """12:00:01 less ten minutes; what changed and what is new arrives; what is deleted goes."""
    with serving(clock, tmp_path) as client:
        store = Collected()
        client.run(store)
        clock.sleep(3600)
        client.server.put("Observation", "o3", note="changed")
        client.server.put("Condition", "new", note="late")
        del client.server.resources["Observation", "o9"]
        client.server.traps.deleted = [("Observation", "o9"), ("Encounter", "not-ours")]
        clock.sleep(1)
        client.run(store)
        assert client.server.kick_offs[1]["parameters"]["_since"] == ["2026-11-01T11:50:01.000Z"]
        assert store.current == everything(client)


def test_the_state_files_are_their_owners_alone(clock: FakeClock, tmp_path: Path) -> None:
    """Journals, log and landed files have mode 0600, folders 0700."""
    with serving(clock, tmp_path) as client:
        client.folder.mkdir(mode=0o700)
        seen = []

        class Looking(Collected):
            def __call__(self, fetched: Fetched) -> None:
                seen.extend(
                    (path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in client.folder.rglob("*")
                )
                super().__call__(fetched)

        client.run(Looking())
        assert {mode for is_folder, mode in seen if is_folder} == {0o700}
        assert {mode for is_folder, mode in seen if not is_folder} == {0o600}
        assert len(seen) > 9


# Kick-off


@pytest.mark.parametrize(
    ("headers", "shortest"),
    [({"Retry-After": "120"}, 120), ({"Retry-After": "Sun, 01 Nov 2026 12:30:00 GMT"}, 1790), ({}, 16)],
)
def test_a_busy_server_is_asked_again_when_it_says(
    headers: dict[str, str], shortest: float, clock: FakeClock, tmp_path: Path
) -> None:
    """429 at the kick-off: waited for as it asks, in both forms, and one export begun."""
    with serving(clock, tmp_path, kick_off=[(429, headers, b"")] * 2) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert (len(client.server.kick_offs), client.server.refused_kick_offs) == (1, 2)
        assert clock.slept[0] >= shortest


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.QUERY_REFUSED),
        (403, Reason.FORBIDDEN),
        (404, Reason.NOT_OFFERED),
        (422, Reason.QUERY_REFUSED),
    ],
)
def test_a_refused_kick_off_fails_each_type(
    status: int, reason: Reason, clock: FakeClock, tmp_path: Path
) -> None:
    """No mark moves, and the next run may begin another one: none is held."""
    with serving(clock, tmp_path, kick_off=[(status, {}, outcome("not-supported"))]) as client:
        store = Collected()
        client.run(store)
        assert store.failures == dict.fromkeys(KINDS, (str(reason), status))
        assert not store.marks
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


def test_a_kick_off_that_fails_is_not_repeated_in_the_same_run(clock: FakeClock, tmp_path: Path) -> None:
    """After a 500 nobody knows whether it began: the export is kept, and asked for in the next run."""
    with serving(clock, tmp_path, kick_off=[(500, {}, b"")]) as client:
        store = Collected()
        assert [advance.over for advance in client.run(store).advances] == [False]
        assert (client.server.refused_kick_offs, len(client.server.kick_offs)) == (1, 0)
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


@pytest.mark.parametrize(
    ("trap", "reason"),
    [("no_location", Reason.BAD_MANIFEST), ("foreign_location", Reason.FOREIGN_ORIGIN)],
)
def test_a_status_url_must_be_the_servers_own(
    trap: str, reason: Reason, clock: FakeClock, tmp_path: Path
) -> None:
    """Without one, or with one elsewhere, the export fails; nobody elsewhere is asked."""
    with serving(clock, tmp_path, **{trap: True}) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {str(reason)}
        assert client.server.authorizations["files"] == []


def test_a_server_that_knows_only_post_gets_parameters(clock: FakeClock, tmp_path: Path) -> None:
    """A statement that names version 4 of the guide: no GET, the same result; `outcome` files are read."""
    issues = [json.loads(outcome("incomplete", "warning"))]
    with serving(clock, tmp_path, offers_post_only=True, outcome_name="outcome", outcomes=issues) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert store.warnings == {"warning/incomplete"}
        assert client.server.kick_offs[0]["parameters"]["_type"] == ["Patient,Observation,Condition"]


def test_what_is_asked_for() -> None:
    """GET for short requests, POST of Parameters for those that name Patients or are long."""
    request = ExportRequest(
        level="system",
        types=("Observation",),
        since="2026-01-01T00:00:00.000Z",
        type_filters=("Observation?category=laboratory", "Observation?code=a,b"),
        elements=("Observation.subject", "Observation.code"),
        associated=("LatestProvenanceResources", "_x"),
    )
    asked = kick_off(request, "https://ehr.example.org/fhir/")
    assert asked.method == "GET"
    assert asked.headers["Prefer"] == "respond-async"
    assert asked.url == (
        "https://ehr.example.org/fhir/$export?_outputFormat=application/fhir%2Bndjson&_type=Observation"
        "&_since=2026-01-01T00:00:00.000Z&_typeFilter=Observation%3Fcategory%3Dlaboratory"
        "&_typeFilter=Observation%3Fcode%3Da,b&_elements=Observation.subject,Observation.code"
        "&includeAssociatedData=LatestProvenanceResources,_x"
    )
    posted = kick_off(
        ExportRequest(level="group", group="g 1", types=("Patient",), patients=("a", "b")),
        "http://127.0.0.1/fhir",
    )
    assert (posted.method, posted.url) == ("POST", "http://127.0.0.1/fhir/Group/g%201/$export")
    assert json.loads(posted.body or b"") == {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
            {"name": "_type", "valueString": "Patient"},
            {"name": "patient", "valueReference": {"reference": "Patient/a"}},
            {"name": "patient", "valueReference": {"reference": "Patient/b"}},
        ],
    }
    parameters = json.loads(kick_off(request, "http://127.0.0.1", post=True).body or b"")["parameter"]
    assert {"name": "_since", "valueInstant": "2026-01-01T00:00:00.000Z"} in parameters
    assert {"name": "includeAssociatedData", "valueCode": "_x"} in parameters
    many = ExportRequest(level="system", types=tuple(f"Type{n}" for n in range(800)))
    assert kick_off(many, "http://127.0.0.1").method == "POST"


def test_what_a_statement_offers() -> None:
    """Levels by place or by name; the version by any canonical of the guide; the best level for a cohort."""
    offers = offers_of(json.dumps(statement()).encode())
    assert offers.levels == {"system", "patient", "group"}
    assert (offers.version, offers.post, offers.software) == (2, False, "simulator")
    assert offers_of(json.dumps(statement(post_only=True)).encode()).post
    assert level_for(offers, group="g") == "group"
    assert level_for(offers) == "patient"
    old = {"rest": [{"operation": [{"name": "patient-export"}, {"name": "group-export"}]}]}
    assert offers_of(json.dumps(old).encode()).levels == {"patient", "group"}
    assert offers_of(b"<html>").levels == frozenset()
    assert level_for(offers_of(b"{}"), group="g") is None


# Polling


def test_long_waits_are_polled_as_the_server_says(clock: FakeClock, tmp_path: Path) -> None:
    """202 with Retry-After, then 202s without one at growing intervals; X-Progress reaches the bar."""
    polls = [
        (202, {"Retry-After": "3600", "X-Progress": "7% done"}, b""),
        *[(202, {"X-Progress": "busy"}, b"")] * 30,
    ]
    with serving(clock, tmp_path, polls=polls) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert 3600 - 1 <= clock.slept[0] <= 3600 + 1
        without = clock.slept[1:]
        assert without == sorted(without)
        assert without[-1] == 225.0  # 300 s at most, by half its jitter
        assert [told.text for told in client.told if told.step == "RUNNING"][:2] == ["7% done", "busy"]
        assert len(client.server.kick_offs) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_passing_failures_of_polling_are_no_failures_of_the_export(
    status: int, clock: FakeClock, tmp_path: Path
) -> None:
    """Five in a row, with waits, then the manifest."""
    with serving(clock, tmp_path, polls=[(status, {}, b"")] * 5) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert (len(client.server.kick_offs), len(clock.slept)) == (1, 5)


def test_what_the_server_calls_transient_is_waited_for_as_long_as_it_takes(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Forty 500s whose outcome says `transient`, and 429s: one export all the same."""
    polls = [(500, {}, outcome("transient"))] * 40 + [(429, {"Retry-After": "30"}, b"")] * 3
    with serving(clock, tmp_path, polls=polls) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


@pytest.mark.parametrize(
    ("polls", "reason"),
    [
        ([(500, {}, outcome("exception"))] * 6, Reason.EXPORT_FAILED),
        ([(400, {}, outcome("processing"))], Reason.EXPORT_FAILED),
        ([(404, {}, b"")], Reason.EXPORT_GONE),
        ([(410, {}, b"")], Reason.EXPORT_GONE),
        ([(200, {}, outcome("processing"))], Reason.EXPORT_FAILED),
        ([(200, {}, b"<html>login</html>")], Reason.NOT_JSON),
        ([(200, {}, b'{"output": []')], Reason.BAD_MANIFEST),
    ],
)
def test_a_failed_export_fails_each_type_and_another_one_may_follow(
    polls: Any, reason: Reason, clock: FakeClock, tmp_path: Path
) -> None:
    """The job is deleted where there is one; the marks stay; the next run begins anew, once."""
    with serving(clock, tmp_path, polls=list(polls)) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {str(reason)}
        assert (store.marks, store.current) == ({}, {})
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 2


def test_an_export_that_is_never_ready_ends_after_its_days(clock: FakeClock, tmp_path: Path) -> None:
    """export_days of waiting, then a failure, and the job is deleted."""
    with serving(
        clock, tmp_path, polls=[(202, {"Retry-After": "86400"}, b"")] * 20, settings={"export_days": 3}
    ) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {"EXPORT_LATE"}
        assert sum(clock.slept) == pytest.approx(3 * 86400, abs=1)
        assert client.server.deletes == 1


def test_a_run_that_does_not_wait_leaves_the_export_to_the_next(clock: FakeClock, tmp_path: Path) -> None:
    """With ten minutes of patience: held, told as EXPORT_RUNNING, and no second kick-off when it is over."""
    with serving(clock, tmp_path, polls=[(202, {"Retry-After": "3600"}, b"")] * 3) as client:
        store = Collected()
        for _ in range(3):
            ran = client.run(store, wait=600)
            assert [advance.over for advance in ran.advances] == [False]
            assert {failure[0] for failure in store.failures.values()} == {"EXPORT_RUNNING"}
            clock.sleep(3600)
        polls = client.server.polls
        ran = client.run(store, wait=600)
        assert polls == 3
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


def test_an_unreachable_server_keeps_the_export(clock: FakeClock, tmp_path: Path) -> None:
    """No connection in any try: held for the next run, which goes on with it."""
    with serving(clock, tmp_path, polls=[(202, {}, b"")]) as client:
        store = Collected()
        with client.exports() as exports:
            exports.begin(Order(REQUEST))
            server, port = exports.server, client.server.api_port

            class Away:
                base_url = server.base_url

                def __getattr__(self, name: str) -> Any:
                    return getattr(server, name)

                def send(self, method: str, url: str, **rest: Any) -> Reply:
                    gone = url.replace(f":{port}", ":1") if "/status/" in url else url
                    try:
                        return server.send(method, url, **rest) if gone == url else _refused(url)
                    finally:
                        assert url.startswith(server.base_url)

            exports.server = Away()  # type: ignore[assignment]
            advance = exports.advance()
            assert advance is not None
            assert (advance.over, advance.failure and advance.failure.reason) == (False, Reason.UNREACHABLE)
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


def _refused(url: str) -> Reply:
    raise TransientServerError("cannot be reached", reason=Reason.UNREACHABLE)


# Manifest


def test_partial_manifests_are_followed_to_their_end(clock: FakeClock, tmp_path: Path) -> None:
    """Nine files on five pages by `link next`."""
    with serving(clock, tmp_path, files_per_manifest=2) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert client.server.polls == 5
        events = [item["eventId"] for item in client.log()]
        assert events.count("status_page_complete") == 5


def test_manifests_without_an_end_are_refused(clock: FakeClock, tmp_path: Path) -> None:
    """A page whose next is itself: PAGING_LOOP after two questions."""
    with serving(clock, tmp_path, next_loops=True) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {"PAGING_LOOP"}
        assert client.server.polls <= 3


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-01", "2026-11-01T12:00:00", 1793534400, "2026-13-01T00:00:00Z", "01.11.2026"],
)
def test_an_unreadable_transaction_time_is_an_error(text: object, clock: FakeClock, tmp_path: Path) -> None:
    """Never "now": each type fails, no mark is set, the next export is full again."""
    with serving(clock, tmp_path, transaction_time=text) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {"BAD_MANIFEST"}
        assert not store.marks
        client.server.traps.transaction_time = None
        client.run(store)
        assert "_since" not in client.server.kick_offs[1]["parameters"]
        assert store.current == everything(client)


@pytest.mark.parametrize("no_date", [False, True])
def test_what_changes_while_the_job_runs_is_in_the_next_export(
    no_date: bool, clock: FakeClock, tmp_path: Path
) -> None:
    """transactionTime is the job's end, two hours after it took its data: the mark is the kick-off's time.

    With the end less the overlap as `_since`, the change of an hour after the kick-off would be lost.
    """

    def change(server: BulkServer) -> None:
        server.put("Observation", "during", note="written while the job ran")

    polls = [(202, {"Retry-After": "3600"}, b""), (202, {"Retry-After": "3600"}, b"")]
    with serving(clock, tmp_path, transaction_time="end", polls=polls, no_date=no_date) as client:
        store = Collected()
        waits = iter([None, None])
        real = clock.sleep

        def sleep(seconds: float) -> None:
            real(seconds)
            if seconds > 3000 and next(waits, "over") is None:
                change(client.server)

        clock.sleep = sleep  # type: ignore[method-assign]
        client.run(store)
        assert ("Observation", "during") not in store.current
        assert max(mark.at for mark in store.marks.values()) <= "2026-11-01T12:00:01.000Z"
        client.run(store)
        assert store.current == everything(client)


def test_counts_links_and_parts_of_a_manifest() -> None:
    """Relative places, counts that are none, outcomes among the output, both names of the error files."""
    body = {
        "transactionTime": "2026-11-01T12:00:00.5+01:00",
        "requiresAccessToken": False,
        "output": [
            {"type": "Patient", "url": "files/1.ndjson", "count": 3},
            {"type": "OperationOutcome", "url": "/o.ndjson", "count": "3"},
            {"type": "Patient", "url": "files/2.ndjson", "count": -1},
        ],
        "error": [{"type": "OperationOutcome", "url": "e"}],
        "outcome": [{"url": "v4"}],
        "deleted": [],
        "link": [{"relation": "self", "url": "x"}, {"relation": "next", "url": "page/2"}],
    }
    reply = Reply(200, {}, json.dumps(body).encode(), "https://ehr.example.org/fhir/status/7")
    manifest = manifest_of(reply)
    moment = datetime(2026, 11, 1, 11, 0, 0, 500_000, tzinfo=UTC)
    assert manifest.transaction_time == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    assert manifest.next == "page/2"
    assert [(file.part, file.url, file.count) for file in manifest.files] == [
        ("output", "https://ehr.example.org/fhir/status/files/1.ndjson", 3),
        ("error", "https://ehr.example.org/o.ndjson", None),
        ("output", "https://ehr.example.org/fhir/status/files/2.ndjson", None),
        ("error", "https://ehr.example.org/fhir/status/e", None),
        ("error", "https://ehr.example.org/fhir/status/v4", None),
    ]


# Files


def test_every_wrong_count_is_found(tmp_path: Path) -> None:
    """The type fails and keeps its mark after three downloads of that file; the others are complete."""
    found = 0
    cases = [(kind, off) for kind in KINDS for off in (-100, -37, -1, 1, 2, 50, 10_000)]
    for number, (kind, off) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(FakeClock(), folder, wrong_counts={kind: off}) as client:
            store = Collected()
            client.run(store)
            assert {type_ for type_, _ in store.marks} == set(KINDS) - {kind}
            assert store.current == client.server.contents(tuple(set(KINDS) - {kind}))
            assert sorted(client.server.downloads.values()) == [1] * 8 + [3]
            found += store.failures == {kind: ("COUNT_DIFFERS", None)}
    assert found == len(cases)
    print(f"\nwrong counts found: {found} of {len(cases)}")


@pytest.mark.parametrize("trap", ["truncated", "cut", "cut_gzip"])
@pytest.mark.parametrize("times", [1, 2, 100])
def test_a_file_that_is_not_whole_is_downloaded_again_by_itself(
    trap: str, times: int, clock: FakeClock, tmp_path: Path
) -> None:
    """Cut at a line, in a line, or in its gzip end: the others once, this one until whole or given up."""
    encoded = "gzip" if trap == "cut_gzip" else None
    with serving(clock, tmp_path, encoded=encoded, **{trap: Counter({"Observation": times})}) as client:
        store = Collected()
        client.run(store)
        again = {n: count for n, count in client.server.downloads.items() if count > 1}
        assert len(client.server.downloads) == 9
        assert len(again) == 1
        if times < 3:
            assert store.current == everything(client)
            assert list(again.values()) == [times + 1]
        else:
            expected = {"truncated": "COUNT_DIFFERS", "cut": "TRUNCATED_BODY", "cut_gzip": "TRUNCATED_BODY"}[
                trap
            ]
            assert store.failures == {"Observation": (expected, None)}
            assert store.current == client.server.contents(("Patient", "Condition"))
            assert list(again.values()) == [3 if trap == "truncated" else 6]


@pytest.mark.parametrize("encoded", ["gzip", "file"])
def test_compressed_files_are_read(encoded: str, clock: FakeClock, tmp_path: Path) -> None:
    """Compressed on the way, or gzip files themselves."""
    with serving(clock, tmp_path, encoded=encoded) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda body: body.replace(b'"Observation"', b'"Patient"', 1), "NOT_ASKED_FOR"),
        (lambda body: body[:-20], "TRUNCATED_JSON"),
        (lambda body: b"<html>" + body, "MALFORMED_JSON"),
        (lambda body: body.replace(b'","', b'"\n,"', 1), "MALFORMED_JSON"),
        (lambda body: body.replace(b"}\n{", b"}{", 1), "MALFORMED_JSON"),
        (lambda body: body.replace(b"}\n{", b"} {", 1), "MALFORMED_JSON"),
        (lambda body: b"[" + body.replace(b"\n", b",\n")[:-2] + b"]\n", "NOT_FHIR"),
        (lambda body: b"[1]\n" + body, "NOT_FHIR"),
        (lambda body: body.replace(b"synthetic", b"\xff\xfe", 1), "INVALID_ENCODING"),
        (lambda body: body.replace(b"synthetic", "é".encode("latin-1"), 1), "INVALID_ENCODING"),
        (lambda body: b'{"id":"nothing"}\n' + body, "NOT_FHIR"),
        (
            lambda body: b'{"resourceType":"Observation","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}\n" + body,
            "TOO_DEEP",
        ),
    ],
)
def test_each_line_is_one_object_of_the_declared_type(
    spoil: Any, reason: str, clock: FakeClock, tmp_path: Path
) -> None:
    """Anything else refuses the file, and so the type, also without a count."""
    with serving(clock, tmp_path, counts=False, spoil={"Observation": spoil}) as client:
        store = Collected()
        client.run(store)
        assert store.failures == {"Observation": (reason, None)}
        assert store.current == client.server.contents(("Patient", "Condition"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b"\n", b"\r\n"),
        lambda body: body.replace(b"\n", b"\n\n"),
        lambda body: body[:-1],
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b"\n" + body + b"  \n",
    ],
)
def test_harmless_differences_are_no_matter(spoil: Any, clock: FakeClock, tmp_path: Path) -> None:
    """Other line ends, empty lines, no last line end, a byte order mark."""
    with serving(clock, tmp_path, spoil=dict.fromkeys(KINDS, spoil)) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)


def test_lines_are_judged_the_same_however_they_arrive() -> None:
    """Cut into chunks anywhere, a file has the same lines; one object over two lines beside two on one line
    is found though the numbers agree."""
    body = b"".join(
        b'{"resourceType":"Observation","id":"%d","note":"\xc3\xa9"}\n' % n for n in range(20_000)
    )
    picked = random.Random(5)
    for _ in range(5):
        lines, at, chunks = Lines("Observation"), 0, list[bytes]()
        while at < len(body):
            size = picked.randint(1, 400_000)
            chunks.append(body[at : at + size])
            at += size
        for piece in pieces(poured(iter(chunks))):
            lines.take(piece)
        lines.finish()
        assert (lines.count, lines.types) == (20_000, {"Observation": 20_000})
        assert (lines.slices[0].start, lines.slices[-1].end) == (0, len(body))
    even = b'{"resourceType":\n"Observation"}\n{"resourceType":"Observation"}{"resourceType":"Observation"}\n'
    lines = Lines("Observation")
    with pytest.raises(RefusedAnswerError) as raised:
        lines.take(memoryview(even))
    assert raised.value.reason == Reason.MALFORMED_JSON


@pytest.mark.parametrize("status", [403, 404, 410])
def test_expired_files_are_asked_for_again_by_a_new_manifest(
    status: int, clock: FakeClock, tmp_path: Path
) -> None:
    """After four files all URLs expire: the manifest is asked again, then only the other five files."""
    with serving(clock, tmp_path, expire_after=4, expired_status=status) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1
        assert sum(client.server.downloads.values()) == 9 + 5
        assert client.server.polls == 2


def test_files_that_stay_away_fail_their_types(clock: FakeClock, tmp_path: Path) -> None:
    """Three new manifests in vain, or an export that is forgotten: NO_FILE, and another one next time."""
    for trap in ({"forever": True}, {"forgets": True}):
        with serving(clock, tmp_path / str(trap), count=50, expire_after=1, **trap) as client:
            (tmp_path / str(trap)).mkdir()
            store = Collected()
            client.settings["concurrency"] = 1
            client.run(store)
            assert store.failures == {"Observation": ("NO_FILE", 404), "Patient": ("NO_FILE", 404)}
            assert store.current == client.server.contents(("Condition",))
            client.server.traps.expire_after = None
            client.server.traps.forgets = False
            client.run(store)
            assert store.current == everything(client)
            assert len(client.server.kick_offs) >= 2


def test_no_token_reaches_the_file_host(tmp_path: Path) -> None:
    """Own files get it when the manifest says so; files elsewhere, or behind a 307, never."""
    requests = tokens = 0
    for requires_token in (True, False):
        for way in ("own", "elsewhere", "redirects"):
            folder = tmp_path / f"{way}-{requires_token}"
            folder.mkdir()
            traps = {} if way == "own" else {way: True}
            with serving(FakeClock(), folder, requires_token=requires_token, **traps) as client:
                store = Collected()
                client.run(store)
                assert store.current == everything(client)
                assert len(client.server.authorizations["files"]) == (0 if way == "own" else 9)
                if way == "own":
                    of_files = client.server.authorizations["api"][-10:-1]
                    assert of_files == [TOKEN if requires_token else None] * 9
                requests += len(client.server.authorizations["files"])
                tokens += client.server.tokens_to_file_host
    assert (requests, tokens) == (36, 0)
    print(f"\n{requests} requests to the file host: {tokens} tokens")


@pytest.mark.parametrize("way", ["elsewhere", "redirects"])
def test_a_file_host_that_is_not_allowed_is_not_asked(way: str, clock: FakeClock, tmp_path: Path) -> None:
    """Without it in file_hosts: FOREIGN_ORIGIN, and no request there."""
    with serving(clock, tmp_path, settings={"file_hosts": []}, **{way: True}) as client:
        store = Collected()
        client.run(store)
        assert {failure[0] for failure in store.failures.values()} == {"FOREIGN_ORIGIN"}
        assert client.server.authorizations["files"] == []


def test_outcomes_are_warnings_by_their_codes(clock: FakeClock, tmp_path: Path) -> None:
    """Error files, also unreadable ones, are told and fail nothing; types that were not asked for too."""
    issues = [json.loads(outcome("not-found")), json.loads(outcome("security", "warning"))]
    with serving(clock, tmp_path, outcomes=issues, extra_types=True) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)
        assert store.warnings == {"error/not-found", "warning/security", "NOT_ASKED_FOR"}
        assert not store.failures
    with serving(clock, tmp_path / "b", outcomes=[{"resourceType": "Patient"}]) as client:
        (tmp_path / "b").mkdir()
        store = Collected()
        client.run(store)
        assert (store.current, store.warnings) == (everything(client), {"UNREADABLE_FILE"})


def test_a_type_without_a_file_in_a_full_export_is_told(clock: FakeClock, tmp_path: Path) -> None:
    """It may have no resources, or be left out in silence: NO_FILE is a warning."""
    with serving(clock, tmp_path) as client:
        store = Collected()
        request = ExportRequest(level="patient", types=(*KINDS, "MedicationAdministration"))
        client.run(store, request=request)
        assert store.warnings == {"NO_FILE"}
        assert ("MedicationAdministration", "all") in store.marks


def test_files_of_several_types_are_told_apart(clock: FakeClock, tmp_path: Path) -> None:
    """outputOrganizedBy Patient: no type in the manifest, header Parameters between the resources."""
    with serving(clock, tmp_path, organized=True) as client:
        store = Collected()
        client.run(store)
        assert store.current == everything(client)


def test_deletions_that_cannot_be_read_keep_every_mark(clock: FakeClock, tmp_path: Path) -> None:
    """A `deleted` file of something else: no type may move on, since any may have lost resources."""
    with serving(clock, tmp_path, deleted=[("Observation", "o1")]) as client:
        client.server.traps.counts = False

        def broken(server: BulkServer) -> None:
            for file in server.jobs[1].files:
                if file["part"] == "deleted":
                    file["lines"] = [b'{"resourceType":"Observation"}']

        client.server.traps.during = broken
        store = Collected()
        client.run(store)
        assert store.failures == dict.fromkeys(KINDS, ("NOT_ASKED_FOR", None))
        assert not store.marks


def test_an_authentication_error_keeps_the_export(clock: FakeClock, tmp_path: Path) -> None:
    """A lost token ends the run as such, and the next one goes on."""
    with serving(clock, tmp_path, polls=[(202, {}, b"")] * 2) as client:
        store = Collected()
        with client.exports() as exports:
            exports.begin(Order(REQUEST))
            exports.server.auth = Anonymous()  # type: ignore[attr-defined]
            with pytest.raises(AuthenticationError):
                exports.advance()
        client.run(store)
        assert store.current == everything(client)
        assert len(client.server.kick_offs) == 1


# Twenty thousand tiny files


class ManyFiles:
    """A server in this process: 20,000 files of one resource each."""

    base_url = "http://127.0.0.1:9/fhir"

    def __init__(self, count: int) -> None:
        self.count, self.opened = count, 0

    def send(self, method: str, url: str, **_: Any) -> Reply:
        if method == "DELETE":
            return Reply(202, {}, b"", url)
        if "$export" in url:
            location = {
                "Content-Location": f"{self.base_url}/status/1",
                "Date": "Sun, 01 Nov 2026 12:00:00 GMT",
            }
            return Reply(202, location, b"", url)
        files = [
            {"type": "Observation", "url": f"http://127.0.0.1:9/f/{n}", "count": 1} for n in range(self.count)
        ]
        manifest = {
            "transactionTime": "2026-11-01T12:00:00Z",
            "requiresAccessToken": True,
            "output": files,
            "error": [],
        }
        return Reply(200, {}, json.dumps(manifest).encode(), url)

    @contextmanager
    def stream(self, url: str, **_: Any) -> Iterator[Any]:
        self.opened += 1
        content = b'{"resourceType":"Observation","id":"%s"}\n' % url.rsplit("/", 1)[1].encode()

        class File:
            status = 200

            fill = io.BytesIO(content).readinto

        yield File()


def test_twenty_thousand_tiny_files_are_one_unit(clock: FakeClock, tmp_path: Path) -> None:
    """As many resources, one commit; after a kill in the middle only the missing files are asked for."""
    server = ManyFiles(20_000)
    store = Collected()

    def opened(ledger: ExportLedger) -> Exports:
        return Exports(
            server,
            ledger,
            tmp_path,
            Server(),
            source="ehr",
            sleep=clock.sleep,
            now=clock.now,
            random=lambda: 0.5,
        )

    class Killed(Dying):
        def land(self, export: Export, landed: Landed) -> None:
            self.ledger.land(export, landed)
            self.count()

    first = opened(Killed(ExportJournals(tmp_path), 12_000))
    first.begin(Order(ExportRequest(level="system", types=("Observation",))))
    with pytest.raises(SystemExit):
        first.advance()
    before = server.opened
    again = opened(ExportJournals(tmp_path))
    ran = run_exports(again, list, store)
    assert [advance.failure for advance in ran.advances] == [None]
    assert len(store.current) == 20_000
    assert store.commits == 1
    assert before + 8_000 - 10 <= server.opened <= before + 8_020
    print(f"\n20,000 files: {store.commits} commit, {server.opened:,} downloads with one kill")


# Interruptions


@dataclass
class Dying:
    """A ledger whose process ends right after the n-th thing that it kept."""

    ledger: ExportLedger
    after: int
    kept: list[str] = field(default_factory=list)

    def save(self, export: Export) -> None:
        self.ledger.save(export)
        self.count(export.step)

    def pause(self, export: Export) -> None:
        self.ledger.pause(export)
        self.count("pause")

    def land(self, export: Export, landed: Landed) -> None:
        self.ledger.land(export, landed)
        self.count("landed")

    def load(self) -> list[Kept]:
        return self.ledger.load()

    def count(self, name: str = "") -> None:
        self.kept.append(name)
        if len(self.kept) == self.after:
            raise SystemExit(9)


def test_a_kill_after_any_stored_state_is_gone_on_from(clock: FakeClock, tmp_path: Path) -> None:
    """In each of the 7 states, and after each landed file: the same result, one kick-off, no job left."""
    killed_in: dict[str, int] = {}
    kick_offs = jobs = kills = 0
    for after in range(1, 100):
        with serving(
            FakeClock(), tmp_path / str(after), count=30, polls=[(202, {"Retry-After": "90"}, b"")] * 2
        ) as client:
            (tmp_path / str(after)).mkdir()
            store = Collected()
            dying: list[Dying] = []

            def wrap(ledger: ExportLedger, after: int = after, dying: list[Dying] = dying) -> ExportLedger:
                dying.append(Dying(ledger, after))
                return dying[-1]

            try:
                client.run(store, wrap=wrap)
                break
            except SystemExit:
                kills += 1
                step = dying[0].kept[-1]
                killed_in[step] = killed_in.get(step, 0) + 1
            client.run(store)
            assert store.current == everything(client), step
            assert {type_ for type_, _ in store.marks} == set(KINDS)
            # After COMMITTED the store has its marks, so that the second run is the next, incremental one.
            expected = 2 if step in {"COMMITTED", "DELETED"} else 1
            assert len(client.server.kick_offs) == expected, step
            assert all(job.deleted for job in client.server.jobs.values())
            kick_offs += len(client.server.kick_offs) - expected
            jobs += len(client.server.jobs) - client.server.deletes
    assert set(STEPS) <= set(killed_in), killed_in
    assert (kick_offs, jobs) == (0, 0)
    print(
        f"\n{kills} kills ({', '.join(f'{step} {n}' for step, n in killed_in.items())}): 0 second kick-offs"
    )


def test_a_kill_while_the_store_takes_it_hands_all_of_it_on_again(clock: FakeClock, tmp_path: Path) -> None:
    """Between FILES and COMMITTED the same files are handed on once more, without a download."""
    with serving(clock, tmp_path) as client:

        class Full(Collected):
            def __call__(self, fetched: Fetched) -> None:
                super().__call__(fetched)
                if self.commits == 2:
                    raise OSError(28, "No space left on device")

        store = Full()
        with pytest.raises(OSError, match="No space"):
            client.run(store)
        before = sum(client.server.downloads.values())
        client.run(store)
        assert store.current == everything(client)
        assert sum(client.server.downloads.values()) == before
        assert len(client.server.kick_offs) == 1


def test_landed_files_that_changed_are_downloaded_again(clock: FakeClock, tmp_path: Path) -> None:
    """After a crash one file is shorter and one is gone: those two come again."""
    with serving(clock, tmp_path) as client:
        store = Collected()
        with client.exports() as exports:
            export = exports.begin(Order(REQUEST))
            exports.advance()
        landed = sorted((client.folder / export.id).glob("*.ndjson"))
        landed[0].write_bytes(landed[0].read_bytes()[:-5])
        landed[4].unlink()
        (client.folder / export.id / "000001.ndjson.part").write_bytes(b"half")
        client.run(store)
        assert store.current == everything(client)
        assert sorted(client.server.downloads.values()) == [1] * 7 + [2] * 2


def test_an_export_that_is_over_leaves_one_line_about_nobody(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Patient and no URL in it; and of many old journals the newest."""
    monkeypatch.setattr("fhiradapter.sync.export_journal.KEPT", 3)
    with serving(clock, tmp_path, count=21) as client:
        store = Collected()
        for _ in range(5):
            request = ExportRequest(level="patient", types=KINDS, patients=("p1",))
            client.run(store, request=request, members=["p1"])
            clock.sleep(60)
        journals = list(client.folder.glob("*.json"))
        assert len(journals) == 3
        for journal in journals:
            text = journal.read_text()
            assert text.count("\n") == 1
            assert "p1" not in text
            assert "http" not in text
        assert len(client.server.kick_offs) == 5


def test_a_full_disk_ends_the_run_and_the_next_goes_on(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any landed file: the error as it is, nothing half written counted, one kick-off in all."""
    real = os.open
    for failing in range(9):
        folder = tmp_path / str(failing)
        folder.mkdir()
        with serving(FakeClock(), folder) as client:
            landed: list[str] = []

            def full(
                path: Any, *rest: Any, landed: list[str] = landed, failing: int = failing, **more: Any
            ) -> int:
                if str(path).endswith(".ndjson.part"):
                    landed.append(str(path))
                    if len(landed) == failing + 1:
                        raise OSError(28, "No space left on device")
                return real(path, *rest, **more)

            store = Collected()
            monkeypatch.setattr("os.open", full)
            with pytest.raises(OSError, match="No space"):
                client.run(store)
            monkeypatch.setattr("os.open", real)
            assert not store.commits
            client.run(store)
            assert store.current == everything(client)
            assert len(client.server.kick_offs) == 1


def test_a_journal_that_was_cut_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    """Half a line at the end is an interruption; half a line elsewhere is damage."""
    journals = ExportJournals(tmp_path)
    export = Export(id="e1", source="ehr", request=REQUEST, began=START.isoformat())
    journals.save(export)
    journals.land(export, Landed(number=3, sha256="x", bytes=1, lines=1, types={"Patient": 1}))
    path = tmp_path / "e1.json"
    path.write_bytes(path.read_bytes() + b'{"landed": {"num')
    assert journals.load() == [
        Kept(export, {3: Landed(number=3, sha256="x", bytes=1, lines=1, types={"Patient": 1})})
    ]
    journals = ExportJournals(tmp_path)
    journals.land(export, Landed(number=4))
    assert sorted(journals.load()[0].landed) == [3, 4]
    path.write_bytes(b'{"half\n' + path.read_bytes())
    with pytest.raises(FhirAdapterError, match="e1"):
        journals.load()


def test_a_run_can_be_stopped_while_files_come(clock: FakeClock, tmp_path: Path) -> None:
    """Whoever hears of the progress may end it: what is here stays, the next run fetches the rest."""
    with serving(clock, tmp_path, settings={"concurrency": 1}) as client:
        store = Collected()
        with client.exports() as exports:
            exports.begin(Order(REQUEST))

            def stop(told: Told) -> None:
                if told.step == "FILES" and told.done == 3:
                    raise KeyboardInterrupt

            exports.tell = stop
            exports._downloads = dataclasses.replace(exports._downloads, tell=stop)
            with pytest.raises(KeyboardInterrupt):
                exports.advance()
        client.run(store)
        assert store.current == everything(client)
        assert sum(client.server.downloads.values()) <= 9 + 2
        assert len(client.server.kick_offs) == 1


def test_a_second_export_is_not_begun_beside_another(clock: FakeClock, tmp_path: Path) -> None:
    """`begin` refuses; a cancelled one is deleted at the server and gone from the disk, and then it may."""
    with (
        serving(clock, tmp_path, polls=[(202, {"Retry-After": "600"}, b"")]) as client,
        client.exports() as exports,
    ):
        export = exports.begin(Order(REQUEST))
        exports.advance(wait=1)
        with pytest.raises(UsageError, match="under way"):
            exports.begin(Order(REQUEST))
        cancelled = exports.cancel()
        assert cancelled is not None
        assert (cancelled.id, cancelled.step, cancelled.cancelled) == (export.id, "DELETED", True)
        assert client.server.deletes == 1
        assert exports.cancel() is None
        assert exports.begin(Order(REQUEST)).id != export.id


# Members


def test_new_members_of_a_group_get_their_history(clock: FakeClock, tmp_path: Path) -> None:
    """One Patient less and one new: an export of the new one alone and in full, then the changes."""
    with serving(clock, tmp_path, count=21) as client:
        request = ExportRequest(level="group", group="g1", types=("Patient", "Observation"))
        store = Collected()
        client.run(store, request=request, members=["p0", "p1", "p2"])
        clock.sleep(7200)
        client.server.put("Observation", "o1", patient="p1", note="changed")
        clock.sleep(1)
        client.run(store, request=request, members=["p0", "p1", "p5"])
        asked = [(one["patients"], one["parameters"].get("_since")) for one in client.server.kick_offs]
        assert asked == [([], None), (["p5"], None), ([], ["2026-11-01T11:50:01.000Z"])]
        assert {mark.shard: mark.patients for mark in store.of("Observation")}["all"] == ("p0", "p1")
        clock.sleep(7200)
        client.run(store, request=request, members=["p0", "p1", "p5"])
        assert len(client.server.kick_offs) == 4
        assert client.server.kick_offs[3]["patients"] == []
        assert {mark.shard: mark.patients for mark in store.of("Observation")}["all"] == ("p0", "p1", "p5")
        clock.sleep(7200)
        since = max(mark.at for mark in store.of("Observation"))
        client.run(store, request=request, members=["p0", "p1", "p5"])
        last = datetime.fromisoformat(client.server.kick_offs[4]["parameters"]["_since"][0])
        assert last == datetime.fromisoformat(since) - timedelta(seconds=600)


def test_where_patients_cannot_be_named_their_history_is_read_by_searches(
    clock: FakeClock, tmp_path: Path
) -> None:
    """The server refuses `patient`: the callback reads, and the changes are exported all the same."""
    with serving(clock, tmp_path, count=21, refuses_patients=True) as client:
        request = ExportRequest(level="group", group="g1", types=("Patient", "Observation"))
        store = Collected()
        client.run(store, request=request, members=["p0"])
        read = []

        def read_history(order: Order) -> Iterator[Fetched]:
            read.append((order.members, order.request.types))
            return iter(())

        client.run(store, request=request, members=["p0", "p5"], read_history=read_history)
        assert read == [(("p5",), ("Patient", "Observation"))]
        assert not store.failures
        assert (len(client.server.kick_offs), client.server.refused_kick_offs) == (2, 1)


def test_what_was_not_asked_for_is_not_taken(clock: FakeClock, tmp_path: Path) -> None:
    """A server that ignores `patient` sends everybody: only the cohort's resources go on, and it is told."""
    with serving(clock, tmp_path, ignores_patients=True) as client:
        store = Collected()
        request = ExportRequest(level="patient", types=KINDS, patients=("p1",))
        client.run(store, request=request, members=["p1"])
        of_p1 = {
            key: body
            for key, body in everything(client).items()
            if key == ("Patient", "p1") or b'"Patient/p1"' in body
        }
        assert store.current == of_p1
        assert 1 < len(of_p1) < len(everything(client))
        assert store.warnings == {"FILTER_IGNORED"}


def test_what_the_settings_ask_for() -> None:
    """The cohort decides the level unless the settings do; what is not offered is not asked for."""
    offers = offers_of(json.dumps(statement()).encode())
    group = Server(cohort={"group": "g"}, export={"type_filters": ["Observation?code=1"], "elements": ["id"]})
    asked = request_of(group, KINDS, offers)
    assert asked == ExportRequest(
        level="group", group="g", types=KINDS, type_filters=("Observation?code=1",), elements=("id",)
    )
    assert request_of(Server(), KINDS, offers) == REQUEST
    assert request_of(Server(export={"level": "system"}), KINDS, offers) == ExportRequest(
        level="system", types=KINDS
    )
    few = request_of(Server(cohort={"patients": ["a"]}), KINDS, offers, patients=["a"])
    assert few == ExportRequest(level="patient", types=KINDS, patients=("a",))
    only_system = offers._replace(levels=frozenset({"system"}))
    assert request_of(Server(cohort={"patients": ["a"]}), KINDS, only_system, patients=["a"]) is None
    assert request_of(group, KINDS, only_system) is None


def test_plans() -> None:
    """What is asked for by what marks say; marks of what is read beside a type's own units do not count."""
    at = "2026-11-01T12:00:00.000Z"
    later = "2026-11-02T12:00:00.000Z"
    marks = {
        "Patient": [Mark("all", later, ("a", "b")), Mark("deletions/all", at, ("a", "b", "c"))],
        "Observation": [Mark("all", at, ("a", "b")), Mark("0123", later, ("c",))],
    }
    request = ExportRequest(level="group", group="g", types=("Patient", "Observation", "Condition"))
    found = orders(request, lambda kind: marks.get(kind, []), members=("a", "b", "c"), overlap_seconds=60)
    assert [(o.request.types, o.request.patients, o.request.since, o.members) for o in found] == [
        (("Condition",), (), None, ("a", "b", "c")),
        (("Patient",), ("c",), None, ("c",)),
        (("Patient", "Observation"), (), "2026-11-01T11:59:00.000Z", ("a", "b")),
    ]
    everybody = orders(
        request, lambda kind: [Mark("all", at)] if kind != "Patient" else [], overlap_seconds=60
    )
    assert [(o.request.types, o.request.since) for o in everybody] == [
        (("Patient",), None),
        (("Observation", "Condition"), "2026-11-01T11:59:00.000Z"),
    ]
    assert orders(request, lambda kind: [], members=(), overlap_seconds=60) == []


# The log, and the way back


def test_the_log_has_the_published_events_and_nothing_of_anybody(clock: FakeClock, tmp_path: Path) -> None:
    """kickoff to export_complete with their details; no token, id, search value, text or path of a server."""
    polls = [
        (202, {"X-Progress": "41% of CANARY Jane Doe", "Retry-After": "5"}, b""),
        (500, {}, outcome("exception")),
    ]
    with serving(clock, tmp_path, polls=polls, outcomes=[json.loads(outcome("not-found"))]) as client:
        request = ExportRequest(
            level="group",
            group="g1",
            types=KINDS,
            patients=("p-canary",),
            type_filters=("Observation?code=canary-code",),
        )
        client.server.put("Patient", "p-canary", name=[{"family": "Doe"}])
        client.run(Collected(), request=request, members=["p-canary"])
        text = (client.folder / "log.ndjson").read_text()
        for secret in ("canary", "CANARY", "Doe", TOKEN, "bulk-secret", "?v=", "/files/", "/status/"):
            assert secret not in text
        items = client.log()
        assert {"exportId", "timestamp", "eventId", "eventDetail"} <= set.intersection(
            *(set(item) for item in items)
        )
        assert len({item["exportId"] for item in items}) == 1
        details = {item["eventId"]: item["eventDetail"] for item in items}
        order = list(dict.fromkeys(item["eventId"] for item in items))
        assert order == [
            "kickoff", "status_progress", "status_error", "status_page_complete", "manifest_complete",
            "status_complete", "download_request", "download_complete", "export_complete",
        ]  # fmt: skip
        assert details["kickoff"]["exportUrl"] == f"{client.server.base}/Group/g1/$export"
        assert details["kickoff"]["requestParameters"]["_typeFilter"] == "Observation?code="
        assert details["kickoff"]["errorCode"] is None
        assert details["kickoff"]["softwareName"] == "simulator"
        assert details["status_progress"] == {"body": None, "xProgress": "41%", "retryAfter": "5"}
        assert details["manifest_complete"] == {
            "transactionTime": "2026-11-01T12:00:01.000Z", "totalManifests": 1,
            "totalOutputFileCount": 1, "totalDeletedFileCount": 0, "totalErrorFileCount": 1,
        }  # fmt: skip
        asked = [item["eventDetail"]["fileUrl"] for item in items if item["eventId"] == "download_request"]
        had = [item["eventDetail"]["fileUrl"] for item in items if item["eventId"] == "download_complete"]
        assert sorted(asked) == sorted(had)
        assert details["export_complete"]["files"] == 2


def test_a_stores_resources_are_written_as_an_export(tmp_path: Path) -> None:
    """A file per type, split by lines, and a manifest that our reader takes, with true counts and digests."""
    resources = [
        (kind, b'{"resourceType":"%s","id":"%d"}' % (kind.encode(), n)) for n in range(5) for kind in KINDS
    ]
    done = write_bulk(iter(resources), tmp_path / "out", transaction_time=START, lines=2)
    assert done.counts == dict.fromkeys(KINDS, 5)
    text = (tmp_path / "out" / "manifest.json").read_bytes()
    manifest = manifest_of(Reply(200, {}, text, "https://store.example.org/out/manifest.json"))
    assert [file.count for file in manifest.files] == [2, 2, 1] * 3
    for item in json.loads(text)["output"]:
        content = (tmp_path / "out" / item["url"]).read_bytes()
        assert content.count(b"\n") == item["count"]
        assert hashlib.sha256(content).hexdigest() == item["extension"]["sha256"]
        assert stat.S_IMODE((tmp_path / "out" / item["url"]).stat().st_mode) == 0o600
    back = sorted(line for file in done.files for line in file.read_bytes().splitlines())
    assert back == sorted(content for _, content in resources)
    with pytest.raises(UsageError, match="not empty"):
        write_bulk(iter(resources), tmp_path / "out", transaction_time=START)
