"""The one door to a server: what it asks, how often, how long it waits, and what it gives back."""

import datetime
import ipaddress
import logging
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hostile import TOKEN, FakeTime, answer, bundle, gzipped, saying, serving, settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from fhiradapter.errors import (
    AuthenticationError,
    RefusedAnswerError,
    RefusedOriginError,
    SettingsError,
    TransientServerError,
)
from fhiradapter.fhir.fetching import Fetcher
from fhiradapter.fhir.retries import RETRIED, retry_after
from fhiradapter.fhir.transport import Transport
from fhiradapter.reasons import Reason

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
PAGE = bundle()


class Token:
    """An authorization whose token is renewed by counting."""

    def __init__(self) -> None:
        self.number = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}-{self.number}"}

    def refresh(self, stale: str | None) -> bool:
        assert stale == f"Bearer {TOKEN}-{self.number}"
        self.number += 1
        return True


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def opened(fake: FakeTime) -> Iterator[Any]:
    """Open transports whose waits cost nothing and whose jitter is always the longest."""
    made: list[Transport] = []

    def open_one(base: str, *, auth: Any = None, real: bool = False, **changes: Any) -> Transport:
        time = {} if real else {"clock": fake.clock}
        made.append(
            Transport(
                base,
                settings(**changes),
                auth=auth,
                sleep=fake.sleep,
                random=lambda: 1.0,
                now=lambda: NOW,
                **time,
            )
        )
        return made[-1]

    yield open_one
    for transport in made:
        transport.close()


def test_a_request_says_who_asks_and_what_for(httpserver: HTTPServer, opened: Any) -> None:
    """User-Agent, FHIR JSON, gzip, no caches; headers of the caller; the answer's headers in any case."""
    httpserver.expect_request("/fhir/Patient").respond_with_data(
        PAGE, headers={"ETag": 'W/"1"', "Content-Type": "application/fhir+json"}
    )
    transport: Fetcher = opened(httpserver.url_for("/fhir/"))
    reply = transport.get("Patient?_count=1", headers={"Prefer": "handling=strict"})
    assert (reply.status, reply.body, reply.headers["etag"]) == (200, PAGE, 'W/"1"')
    assert reply.url == httpserver.url_for("/fhir/Patient") + "?_count=1"
    sent = httpserver.log[0][0].headers
    assert sent["User-Agent"].startswith("fhiradapter/")
    assert sent["Accept"] == "application/fhir+json"
    assert sent["Accept-Encoding"] == "gzip"
    assert sent["Cache-Control"] == "no-cache"
    assert sent["Prefer"] == "handling=strict"
    assert "Authorization" not in sent
    transport.get("Patient", fresh=False)
    assert "Cache-Control" not in httpserver.log[1][0].headers


def test_connections_are_used_again(opened: Any) -> None:
    """Twenty requests in turn use one connection, and four threads at most four."""
    with serving(saying(answer(PAGE))) as server:
        transport = opened(server.base)
        for _ in range(20):
            assert transport.get("Patient").body == PAGE
        assert server.connections == 1
        with ThreadPoolExecutor(4) as pool:
            assert [reply.status for reply in pool.map(transport.get, ["Patient"] * 40)] == [200] * 40
        assert server.connections <= 4
        assert len(server.requests) == transport.tally.requests == 60
        transport.close()


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_passing_troubles_are_asked_again_after_a_wait(
    status: int, httpserver: HTTPServer, opened: Any, fake: FakeTime
) -> None:
    """Two failures, then an answer: two waits, of at most 2 and 4 seconds."""
    for _ in range(2):
        httpserver.expect_ordered_request("/fhir/Patient").respond_with_data("", status=status)
    httpserver.expect_ordered_request("/fhir/Patient").respond_with_data(PAGE)
    assert opened(httpserver.url_for("/fhir")).get("Patient").body == PAGE
    assert fake.slept == [2.0, 4.0]


def test_six_tries_are_all(httpserver: HTTPServer, opened: Any, fake: FakeTime) -> None:
    """The last of six failures is told, with its status, and without id and query."""
    httpserver.expect_request("/fhir/Patient/p4711").respond_with_data("Doe", status=500)
    with pytest.raises(TransientServerError) as raised:
        opened(httpserver.url_for("/fhir")).get("Patient/p4711?name=Doe")
    assert (raised.value.reason, raised.value.status) == (Reason.SERVER_FAILED, 500)
    assert (len(httpserver.log), fake.slept) == (6, [2.0, 4.0, 8.0, 16.0, 32.0])
    assert "/fhir/Patient" in str(raised.value)
    assert not any(private in str(raised.value) for private in ("4711", "Doe", "?"))


@pytest.mark.parametrize("status", [200, 201, 202, 304, 400, 403, 404, 410, 412, 422, 501])
def test_other_statuses_are_answers(status: int, httpserver: HTTPServer, opened: Any) -> None:
    """What asking again would not change is the caller's to judge; 403 forbids one type and ends nothing."""
    httpserver.expect_request("/fhir/Patient").respond_with_data("", status=status)
    assert opened(httpserver.url_for("/fhir")).get("Patient").status == status
    assert len(httpserver.log) == 1


HOUR_LATER = "Sun, 01 Mar 2026 13:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": " 17 "}, 17),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 5000}, float("inf")),
        ({"Retry-After": HOUR_LATER}, 3600),
        ({"Retry-After": HOUR_LATER, "Date": "Sun, 01 Mar 2026 12:59:30 GMT"}, 30),  # its clock, not ours
        ({"Retry-After": "Sunday, 01-Mar-26 13:00:00 GMT"}, 3600),  # RFC 850's form
        ({"Retry-After": "Sun Mar  1 13:00:00 2026"}, 3600),  # asctime's form
        ({"Retry-After": "Sat, 28 Feb 2026 13:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 99 Mar 2026 13:00:00 GMT"}, None),
    ],
)
def test_retry_after_in_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date on the server's own clock; what is neither is as if it were absent."""
    assert retry_after(headers, now=NOW) == seconds


def test_retry_after_is_waited_for(httpserver: HTTPServer, opened: Any, fake: FakeTime) -> None:
    """The server's wait takes the place of ours, with up to a second of jitter on top."""
    httpserver.expect_ordered_request("/fhir/Patient").respond_with_data(
        "", status=503, headers={"Retry-After": "120"}
    )
    httpserver.expect_ordered_request("/fhir/Patient").respond_with_data(PAGE)
    transport = opened(httpserver.url_for("/fhir"))
    assert transport.get("Patient").status == 200
    assert fake.slept == [121.0]
    assert (transport.tally.waits, transport.tally.seconds_waited) == (1, 121.0)


def test_five_hours_are_not_waited_for(httpserver: HTTPServer, opened: Any, fake: FakeTime) -> None:
    """A Retry-After beyond the settings ends the request at once, with that reason."""
    httpserver.expect_request("/fhir/Patient").respond_with_data(
        "", status=429, headers={"Retry-After": "18000"}
    )
    with pytest.raises(TransientServerError) as raised:
        opened(httpserver.url_for("/fhir")).get("Patient")
    assert (raised.value.reason, raised.value.status) == (Reason.RETRY_LATER, 429)
    assert (len(httpserver.log), fake.slept) == (1, [])


def test_a_busy_server_is_left_alone_by_all_threads(httpserver: HTTPServer) -> None:
    """While one thread waits for Retry-After, another one that wants to ask waits too."""
    asked: list[str] = []

    def handler(request: Request) -> Response:
        asked.append(request.path)
        return Response("", 429, {"Retry-After": "30"}) if len(asked) == 1 else Response(PAGE)

    httpserver.expect_request("/fhir/Patient").respond_with_handler(handler)
    httpserver.expect_request("/fhir/Condition").respond_with_handler(handler)
    moment, seen = [0.0], []
    both = threading.Barrier(2, action=lambda: (seen.append(list(asked)), moment.__setitem__(0, 31.5)))
    first_waits = threading.Event()

    def sleep(_seconds: float) -> None:
        first_waits.set()
        both.wait(10)

    with (
        Transport(
            httpserver.url_for("/fhir"), settings(), sleep=sleep, clock=lambda: moment[0], random=lambda: 1.0
        ) as transport,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(transport.get, "Patient")
        assert first_waits.wait(10)
        second = pool.submit(transport.get, "Condition")
        assert (first.result(10).status, second.result(10).status) == (200, 200)
    assert seen == [["/fhir/Patient"]]  # nothing else was asked before the 30 seconds were over


def test_a_refused_connection_is_tried_again(opened: Any, fake: FakeTime) -> None:
    """Nobody listens: six tries, then UNREACHABLE, without the URL's query or a cause that holds it."""
    with serving(saying(b"")) as server:
        base = server.base
    with pytest.raises(TransientServerError) as raised:
        opened(base).get("Patient?name=Doe")
    assert raised.value.reason == Reason.UNREACHABLE
    assert len(fake.slept) == 5
    assert "Doe" not in str(raised.value)
    assert raised.value.__context__ is None


DRIPS = {
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "headers": b"HTTP/1.1 200 OK\r\nX-Header: ",
    "status line": b"",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("where", DRIPS)
def test_a_drip_ends_at_the_deadline(where: str, opened: Any) -> None:
    """A byte now and then keeps every socket time-out from firing, and not the deadline."""

    def drip(connection: Any, _request: str) -> None:
        connection.sendall(DRIPS[where])
        pause = threading.Event()
        while not pause.wait(0.05):
            connection.sendall(b"1\r\nx\r\n" if where == "chunks" else b"x")

    with serving(drip) as server:
        transport = opened(server.base, real=True, request_seconds=0.4, tries=1)
        with pytest.raises(TransientServerError) as raised:
            transport.get("Patient")
        assert raised.value.reason == Reason.DEADLINE
        transport.close()


CUT = {
    "length": answer(PAGE, length=len(PAGE) + 10),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "gzip": answer(gzipped(PAGE)[:-4], "Content-Encoding: gzip"),
    "gzip in chunks": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"a\r\n%s\r\n0\r\n\r\n" % gzipped(PAGE)[:10],
}


@pytest.mark.parametrize("how", CUT)
def test_an_answer_cut_short_is_asked_for_again(how: str, opened: Any, fake: FakeTime) -> None:
    """Its end is checked; the next answer is whole and counts. When none is, the last is refused."""
    closes = how in {"length", "chunks"}
    with serving(saying(CUT[how], answer(PAGE), then_close=closes)) as server:
        transport = opened(server.base)
        assert transport.get("Patient").body == PAGE
        assert len(server.requests) == 2
        transport.close()
    with serving(saying(CUT[how], then_close=closes)) as server:
        transport = opened(server.base)
        with pytest.raises(RefusedAnswerError) as raised:
            transport.get("Patient")
        assert raised.value.reason == Reason.TRUNCATED_BODY
        assert len(server.requests) == 6
        transport.close()


def test_gzip_is_unpacked_to_its_end(opened: Any) -> None:
    """One member or several, in one piece or in chunks: the same bytes."""
    packed = gzipped(PAGE[:20]) + gzipped(PAGE[20:])
    chunked = b"".join(
        b"%x\r\n%s\r\n" % (len(packed[i : i + 3]), packed[i : i + 3]) for i in range(0, len(packed), 3)
    )
    with serving(
        saying(
            answer(gzipped(PAGE), "Content-Encoding: gzip"),
            answer(packed, "Content-Encoding: X-GZIP"),
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunked
            + b"0\r\n\r\n",
            answer(b"", "Content-Encoding: gzip"),
        )
    ) as server:
        transport = opened(server.base)
        assert [transport.get("Patient").body for _ in range(4)] == [PAGE, PAGE, PAGE, b""]
        assert server.connections == 1
        transport.close()


def test_a_large_answer_is_refused_at_its_limit(opened: Any, fake: FakeTime) -> None:
    """One byte too many, packed or not, is refused and not asked for again."""
    with serving(
        saying(
            answer(b" " * 1000), answer(b" " * 1001), answer(gzipped(b" " * 1001), "Content-Encoding: gzip")
        )
    ) as server:
        transport = opened(server.base, page_bytes=1000)
        assert len(transport.get("Patient").body) == 1000
        for _ in range(2):
            with pytest.raises(RefusedAnswerError) as raised:
                transport.get("Patient")
            assert raised.value.reason == Reason.BODY_TOO_LARGE
        assert len(server.requests) == 3
        transport.close()


def test_a_401_is_answered_with_one_new_token(httpserver: HTTPServer, opened: Any) -> None:
    """Renewed once, sent once more; a second 401 is the end, exit code 5."""
    httpserver.expect_ordered_request("/fhir/Patient").respond_with_data("", status=401)
    httpserver.expect_ordered_request("/fhir/Patient").respond_with_data(PAGE)
    httpserver.expect_request("/fhir/Condition").respond_with_data("", status=401)
    token = Token()
    transport = opened(httpserver.url_for("/fhir"), auth=token)
    assert transport.get("Patient").body == PAGE
    sent = [request.headers["Authorization"] for request, _ in httpserver.log]
    assert sent == [f"Bearer {TOKEN}-0", f"Bearer {TOKEN}-1"]
    with pytest.raises(AuthenticationError) as raised:
        transport.get("Condition")
    assert (len(httpserver.log), token.number, raised.value.exit_code) == (4, 2, 5)
    assert TOKEN not in str(raised.value)
    with pytest.raises(AuthenticationError):
        opened(httpserver.url_for("/fhir")).get("Condition")
    assert len(httpserver.log) == 5  # without a token there is nothing to renew


def test_a_request_that_must_not_come_twice_is_sent_once(opened: Any, fake: FakeTime) -> None:
    """A kick-off is not repeated, neither after a 503 nor after a lost connection."""
    with serving(saying(answer(b"busy", "Retry-After: 5", status="503 Busy"))) as server:
        transport = opened(server.base)
        reply = transport.send("POST", "$export", body=b"{}", repeat=False)
        assert (reply.status, reply.headers["Retry-After"], len(server.requests)) == (503, "5", 1)
        transport.close()
    with serving(saying(b"", then_close=True)) as server:
        transport = opened(server.base)
        with pytest.raises(TransientServerError):
            transport.send("POST", "$export", body=b"{}", repeat=False)
        assert (len(server.requests), fake.slept) == (1, [])
        transport.close()


def test_plain_http_is_for_this_machine() -> None:
    """Patient data do not travel unencrypted."""
    with pytest.raises(SettingsError, match="https"):
        Transport("http://ehr.example.org/fhir", settings())
    with pytest.raises(SettingsError, match="xn--"):
        Transport("https://straße.example/fhir", settings())


def test_the_environment_is_not_asked(
    httpserver: HTTPServer, opened: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and passwords that lie around on a machine are not used."""
    with serving(saying(answer(b"proxy"))) as trap:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        (tmp_path / ".netrc").write_text(f"machine localhost login nurse password {TOKEN}\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        httpserver.expect_request("/fhir/Patient").respond_with_data(PAGE)
        assert opened(httpserver.url_for("/fhir")).get("Patient").body == PAGE
        assert "Authorization" not in httpserver.log[0][0].headers
        assert trap.connections == 0


def test_the_proxy_of_the_settings_is_used(opened: Any) -> None:
    """It is asked with the whole URL."""
    with serving(saying(answer(PAGE))) as proxy:
        transport = opened("http://localhost:1/fhir", proxy=f"http://127.0.0.1:{proxy.port}")
        assert transport.get("Patient").body == PAGE
        assert proxy.requests[0].startswith("GET http://localhost:1/fhir/Patient HTTP/1.1")
        transport.close()


def test_logs_hold_no_url(httpserver: HTTPServer, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 writes URLs at its debug level; of ours none appears, whatever happens."""
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request("/fhir/Patient").respond_with_data(PAGE)
    httpserver.expect_request("/fhir/Condition").respond_with_data("", status=500)
    transport = opened(httpserver.url_for("/fhir"), tries=2)
    transport.get("Patient?name=Kanarienvogel")
    with pytest.raises(TransientServerError):
        transport.get("Condition?patient=Kanarienvogel")
    own = [record for record in caplog.records if not record.name.startswith(("werkzeug", "pytest"))]
    assert "Kanarienvogel" not in " ".join(record.getMessage() for record in own)


class Authority:
    """A certificate authority of this test alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.file = self._write("ca", self._signed(self.name, self.key.public_key(), is_authority=True), None)

    def issue(self, name: str) -> Path:
        """Write a certificate for this machine, with its key, into one file; return its path."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._write(name, self._signed(subject, key.public_key()), key)

    def _signed(self, subject: x509.Name, public: Any, *, is_authority: bool = False) -> x509.Certificate:
        today = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder(
                self.name, subject, public, x509.random_serial_number(), today - day, today + day
            )
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(own, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _write(self, name: str, certificate: x509.Certificate, key: Any) -> Path:
        content = certificate.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            content += key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        path = self.folder / f"{name}.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure_server(authority: Authority) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    with HTTPServer(host="localhost", port=0, ssl_context=context) as server:
        server.expect_request("/fhir/Patient").respond_with_data(PAGE)
        yield server


def test_an_unknown_authority_is_not_trusted(
    secure_server: HTTPServer, opened: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, nothing tried again; only ca_file of the settings adds trust."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.file))
    base = secure_server.url_for("/fhir")
    with pytest.raises(RefusedAnswerError) as raised:
        opened(base).get("Patient")
    assert raised.value.reason == Reason.UNTRUSTED_SERVER
    assert "ca_file" in str(raised.value)
    assert opened(base, ca_file=str(authority.file)).get("Patient").body == PAGE
    assert len(secure_server.log) == 1
    with pytest.raises(SettingsError, match="ca_file"):
        opened(base, ca_file="missing.pem")


def test_a_certificate_of_ours_is_shown(tmp_path: Path, authority: Authority) -> None:
    """mTLS: a server that asks for a certificate answers with one and not without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue("client")
    trusting = {"ca_file": authority.file.name, "tries": 1}
    auth = {"kind": "mtls", "certificate": "client.pem", "certificate_key": "client.pem"}
    with HTTPServer(host="localhost", port=0, ssl_context=context) as server:
        server.expect_request("/fhir/Patient").respond_with_data(PAGE)
        base = server.url_for("/fhir")
        with Transport(base, settings(auth=auth, **trusting), folder=tmp_path) as transport:
            assert transport.get("Patient").body == PAGE
        with (
            Transport(base, settings(**trusting), folder=tmp_path) as transport,
            pytest.raises(TransientServerError),
        ):
            transport.get("Patient")
    client.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        Transport(base, settings(auth=auth, **trusting), folder=tmp_path)


LINES = b'{"resourceType":"Patient","id":"p1"}\n' * 5000


def test_a_file_comes_in_chunks(opened: Any) -> None:
    """It is unpacked on the way, and larger than a page may be."""
    with serving(saying(answer(gzipped(LINES), "Content-Encoding: gzip"))) as server:
        transport = opened(server.base, page_bytes=100, auth=Token())
        with transport.stream("files/1.ndjson", with_token=True) as file:
            assert b"".join(file.chunks()) == LINES
        assert server.tokens == 1
        with transport.stream("files/1.ndjson", with_token=False) as file:
            assert b"".join(file.chunks()) == LINES
        assert server.tokens == 1  # requiresAccessToken is false: none is sent, not even to the server itself
        with (
            transport.stream("files/1.ndjson", with_token=False, most=1000) as file,
            pytest.raises(RefusedAnswerError) as raised,
        ):
            list(file.chunks())
        assert raised.value.reason == Reason.BODY_TOO_LARGE
        transport.close()


def test_a_file_lies_elsewhere_without_the_token(opened: Any) -> None:
    """A redirect to an allowed host is followed without it; any other host is not asked."""
    with serving(saying(answer(LINES))) as store:
        location = f"Location: http://127.0.0.1:{store.port}/bucket/1?signature=x"
        with serving(saying(answer(b"", location, status="307 Elsewhere"))) as server:
            allowed = opened(server.base, auth=Token(), file_hosts=[f"127.0.0.1:{store.port}"])
            with allowed.stream("files/1", with_token=True) as file:
                assert b"".join(file.chunks()) == LINES
            assert (server.tokens, len(store.requests), store.tokens) == (1, 1, 0)
            with allowed.stream(f"http://127.0.0.1:{store.port}/bucket/1", with_token=True) as file:
                assert b"".join(file.chunks()) == LINES
            assert (len(store.requests), store.tokens) == (2, 0)
            strict = opened(server.base, auth=Token())
            for url in ("files/1", f"http://127.0.0.1:{store.port}/bucket/1"):
                with pytest.raises(RefusedOriginError), strict.stream(url, with_token=True):
                    pass
            assert len(store.requests) == 2
            allowed.close()
            strict.close()


def test_a_file_that_is_gone_says_so(opened: Any, fake: FakeTime) -> None:
    """Its status is the caller's; a busy store is asked again; a cut file is told when it is read."""
    with serving(
        saying(
            answer(b"gone", status="410 Gone"),
            answer(b"", status="401 No"),
            answer(b"busy", status="503 Busy"),
            answer(LINES, length=len(LINES) + 1),
            then_close=True,
        )
    ) as server:
        transport = opened(server.base, auth=Token())
        for status in (410, 401):
            with transport.stream("files/1", with_token=False) as file:
                assert file.status == status
                with pytest.raises(RefusedAnswerError) as refused:
                    file.chunks()
                assert refused.value.reason == Reason.NO_FILE
        with transport.stream("files/1", with_token=False) as file:
            assert len(fake.slept) == 1
            with pytest.raises(TransientServerError) as raised:
                list(file.chunks())
        assert raised.value.reason == Reason.TRUNCATED_BODY
        transport.close()


def test_a_file_that_drips_is_given_up(opened: Any) -> None:
    """request_seconds of waiting have to bring 64 KiB; in all a file may take as long as it likes."""

    def drip(connection: Any, _request: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while not threading.Event().wait(0.05):
            connection.sendall(b"x")

    def steady(connection: Any, _request: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 800000\r\n\r\n")
        for _ in range(8):
            threading.Event().wait(0.1)
            connection.sendall(b"x" * 100_000)

    with serving(drip) as server:
        transport = opened(server.base, real=True, request_seconds=0.4)
        with transport.stream("1", with_token=False) as file, pytest.raises(TransientServerError) as raised:
            list(file.chunks())
        assert raised.value.reason == Reason.DEADLINE
        transport.close()
    with serving(steady) as server:
        transport = opened(server.base, real=True, request_seconds=0.4)
        with transport.stream("1", with_token=False) as file:  # 0.8 seconds in all, twice a span
            assert sum(map(len, file.chunks())) == 800_000
        transport.close()


def test_a_slow_reader_is_not_the_servers_fault(opened: Any, fake: FakeTime) -> None:
    """Hours between two chunks, as on a full disk, do not count; only waiting for bytes does."""
    with serving(saying(answer(b"x" * 1_500_000))) as server:
        transport = opened(server.base)
        with transport.stream("1", with_token=False) as file:
            size = 0
            for chunk in file.chunks():
                size += len(chunk)
                fake.moment += 10_000
        assert size == 1_500_000
        transport.close()
