"""Links and redirects that lead astray are refused in no time, and where they lead nobody is asked."""

import itertools
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile import TOKEN, FakeTime, RawServer, answer, bundle, saying, serving, settings

from fhiradapter.errors import RefusedAnswerError, RefusedOriginError, ServerError
from fhiradapter.fhir.origins import absolute, allows, label, origin_of, resolve
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.transport import Transport
from fhiradapter.reasons import Reason

MOST_SECONDS = 5.0
MOST_PAGES = 200
OWN = origin_of("https://ehr.example.org/fhir")
assert OWN is not None

# {own} is the server's port, {trap} that of another one on this machine, whose every visit is a failure.
FOREIGN = {
    "another port": "http://127.0.0.1:{trap}/fhir/Patient",
    "no scheme": "//127.0.0.1:{trap}/fhir/Patient",
    "user information": "http://127.0.0.1:{own}@127.0.0.1:{trap}/fhir/Patient",
    "user and password": "http://127.0.0.1:{own}:x@127.0.0.1:{trap}/fhir/Patient",
    "own host as user": "http://nurse@127.0.0.1:{own}/fhir/Patient",
    "backslash before the host": "http://127.0.0.1:{own}\\@127.0.0.1:{trap}/fhir/Patient",
    "backslashes for slashes": "\\\\127.0.0.1:{trap}/fhir/Patient",
    "tab in the scheme": "ht\ttp://127.0.0.1:{trap}/fhir/Patient",
    "line break in the host": "http://127.0.0.1:{trap}\r\nAuthorization: x/fhir",
    "leading blank": " http://127.0.0.1:{trap}/fhir/Patient",
    "suffix host": "http://127.0.0.1.nip.example:{own}/fhir/Patient",
    "prefix host": "http://evil-127.0.0.1:{own}/fhir/Patient",
    "another name": "http://localhost:{trap}/fhir/Patient",
    "another name, own port": "http://localhost:{own}/fhir/Patient",
    "trailing dot": "http://127.0.0.1.:{own}/fhir/Patient",
    "decimal address": "http://2130706433:{trap}/fhir/Patient",
    "decimal address, own port": "http://2130706433:{own}/fhir/Patient",
    "octal address": "http://0177.0.0.1:{trap}/fhir/Patient",
    "hexadecimal address": "http://0x7f000001:{trap}/fhir/Patient",
    "short address": "http://127.1:{trap}/fhir/Patient",
    "zero address": "http://0:{trap}/fhir/Patient",
    "mapped address": "http://[::ffff:127.0.0.1]:{trap}/fhir/Patient",
    "mapped address, own port": "http://[::ffff:7f00:1]:{own}/fhir/Patient",
    "IPv6 loopback": "http://[::1]:{trap}/fhir/Patient",
    "zone of an address": "http://[fe80::1%25lo]:{own}/fhir/Patient",
    "percent-encoded host": "http://127.0.0.%31:{trap}/fhir/Patient",
    "wide digits": "http://１２７.0.0.1:{trap}/fhir/Patient",
    "ideographic dots": "http://127。0。0。1:{own}/fhir/Patient",
    "metadata address": "http://169.254.169.254/latest/meta-data/",
    "other scheme": "https://127.0.0.1:{own}/fhir/Patient",
    "file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1:{trap}/fhir",
    "port past the last": "http://127.0.0.1:99999/fhir",
    "port with a sign": "http://127.0.0.1:+{own}/fhir",
    "no host": "http:///fhir/Patient",
    "a broken bracket": "http://[127.0.0.1:{trap}/fhir",
}


@pytest.fixture
def trap() -> Iterator[RawServer]:
    """A server that nobody may visit."""
    with serving(saying(answer(bundle()))) as server:
        yield server
        assert server.connections == len(server.requests) == server.tokens == 0


class Auth:
    """Always the same token."""

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}

    def refresh(self, stale: str | None) -> bool:
        return False


def opened(server: RawServer) -> Transport:
    fake = FakeTime()
    return Transport(server.base, settings(), auth=Auth(), sleep=fake.sleep)


def ended(read: Callable[[], object]) -> ServerError:
    """Return how a reading ended, in under five seconds."""
    begun = time.monotonic()
    with pytest.raises(ServerError) as raised:
        read()
    assert time.monotonic() - begun < MOST_SECONDS
    return raised.value


def observation(number: int = 1) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": f"o{number}"}


def filled(link: str, server: RawServer, trap: RawServer) -> str:
    return link.format(own=server.port, trap=trap.port)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_that_leads_away_is_not_followed(name: str, trap: RawServer) -> None:
    """The first page is read; the next one is refused before anybody is asked."""
    left: list[bytes] = []
    with serving(lambda connection, _request: connection.sendall(answer(left[0]))) as server:
        left.append(bundle(observation(), next=filled(FOREIGN[name], server, trap)))
        with opened(server) as transport:
            error = ended(lambda: list(Rest(transport).pages("Observation")))
        assert isinstance(error, RefusedOriginError)
        assert error.reason == Reason.FOREIGN_ORIGIN
        assert len(server.requests) == 1


# A line break would end the header itself, and bytes beyond latin-1 cannot be in one.
IN_HEADERS = [
    name for name, link in FOREIGN.items() if "\n" not in link and link.isascii() and link == link.strip()
]


@pytest.mark.parametrize("name", IN_HEADERS)
@pytest.mark.parametrize("status", ["302 Found", "307 Elsewhere"])
def test_a_redirect_that_leads_away_is_not_followed(name: str, status: str, trap: RawServer) -> None:
    """Neither at once nor after one within the server; the token stays."""
    left: list[bytes] = []
    with serving(lambda connection, _request: connection.sendall(left.pop(0))) as server:
        here = answer(b"", "Location: /fhir/Other", status=status)
        away = answer(b"", f"Location: {filled(FOREIGN[name], server, trap)}", status=status)
        left += [away, here, away]
        with opened(server) as transport:
            for _ in range(2):
                error = ended(lambda: transport.get("Observation"))
                assert isinstance(error, RefusedOriginError)
        assert (left, len(server.requests)) == ([], 3)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_is_not_fetched_from_anywhere(name: str, trap: RawServer) -> None:
    """A manifest's file, and what it redirects to, lie at the server or a host of the list."""
    with serving(saying(answer(b""))) as server, opened(server) as transport:
        url = filled(FOREIGN[name], server, trap)
        for with_token in (False, True):
            with pytest.raises(RefusedOriginError), transport.stream(url, with_token=with_token):
                pass
        assert server.requests == []


def numbered(make: Callable[[int], bytes]) -> Callable[[socket.socket, str], None]:
    """Return a script that gives the answer of the first request, the second, and so on."""
    count = itertools.count(1)
    return lambda connection, _request: connection.sendall(make(next(count)))


LOOPS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "itself": (lambda _: answer(bundle(observation(), next="/fhir/Observation?_count=1000")), "PAGING_LOOP"),
    "two in turn": (
        lambda n: answer(bundle(observation(n), next=f"/fhir/Observation?page={n % 2}")),
        "PAGING_LOOP",
    ),
    "growing": (
        lambda n: answer(bundle(observation(), next=f"/fhir/Observation?page={'x' * n}")),
        "PAGING_LOOP",
    ),
    "growing without entries": (
        lambda n: answer(bundle(next=f"/fhir/Observation?page={'x' * n}")),
        "PAGING_LOOP",
    ),
    "growing past all bounds": (
        lambda n: answer(bundle(observation(n), next="/fhir/Observation?page=" + "x" * 9_000 * n)),
        "FOREIGN_ORIGIN",
    ),
    "by the fragment": (
        lambda n: answer(bundle(observation(n), next=f"/fhir/Observation?page=1#{n}")),
        "PAGING_LOOP",
    ),
    "a million pages": (
        lambda n: answer(bundle(observation(n), next=f"/fhir/Observation?page={n}")),
        "TOO_MANY_PAGES",
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_pages_without_an_end_are_refused(name: str) -> None:
    """A page or link that comes again, or never ends, is named in under five seconds."""
    make, reason = LOOPS[name]
    with serving(numbered(make)) as server, opened(server) as transport:
        error = ended(lambda: list(Rest(transport, most_pages=MOST_PAGES).pages("Observation")))
        assert error.reason == reason
        assert len(server.requests) <= MOST_PAGES + 1


def redirect(place: str) -> bytes:
    return answer(b"", f"Location: {place}", status="302 Found")


CHAINS: dict[str, tuple[Callable[[int], bytes], str, int]] = {
    "to itself": (lambda _: redirect("/fhir/Observation"), "REDIRECT_LOOP", 1),
    "two in turn": (lambda n: redirect(f"/fhir/Observation?{n % 2}"), "REDIRECT_LOOP", 3),
    "a chain": (lambda n: redirect(f"/fhir/Observation?{n}"), "REDIRECT_LOOP", 6),
    "growing": (lambda n: redirect("/fhir/Observation?" + "x" * n), "REDIRECT_LOOP", 6),
    "to nowhere": (lambda _: answer(b"", status="302 Found"), "BAD_REDIRECT", 1),
    "with a body of an exabyte": (
        lambda _: answer(b"x", "Location: /fhir/Observation", status="302 Found", length=10**18),
        "REDIRECT_LOOP",
        1,
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_redirects_without_an_end_are_refused(name: str) -> None:
    """Five are followed, none twice, and no body of theirs is read."""
    make, reason, requests = CHAINS[name]
    with serving(numbered(make)) as server, opened(server) as transport:
        error = ended(lambda: transport.get("Observation"))
        assert isinstance(error, RefusedAnswerError)
        assert (error.reason, len(server.requests)) == (reason, requests)


def test_five_redirects_within_the_server_are_followed() -> None:
    """With the token, as it is the same server; the sixth request is the answer."""
    script = numbered(lambda n: redirect(f"/fhir/Observation?{n}") if n < 6 else answer(bundle()))
    with serving(script) as server, opened(server) as transport:
        reply = transport.get("Observation")
        assert (reply.status, reply.url) == (200, f"{server.base}/Observation?5")
        assert len(server.requests) == server.tokens == 6
        assert transport.tally.redirects == 5


def test_a_redirect_back_home_brings_no_token(trap: RawServer) -> None:
    """Once a download has left the server, whoever answered there decides the URL: the token stays away."""
    with serving(lambda connection, _request: connection.sendall(redirect(back[0]))) as store:
        first = iter([redirect(f"http://127.0.0.1:{store.port}/file"), answer(b"{}")])
        with serving(lambda connection, _request: connection.sendall(next(first))) as server:
            back = [f"{server.base}/Patient/$purge"]
            hosts = {"file_hosts": [f"127.0.0.1:{store.port}"]}
            with (
                Transport(server.base, settings(**hosts), auth=Auth()) as transport,
                transport.stream("file", with_token=True) as file,
            ):
                assert b"".join(file.chunks()) == b"{}"
            assert [TOKEN in request for request in server.requests] == [True, False]
            assert store.tokens == 0


@pytest.mark.parametrize(
    "link",
    [
        "https://ehr.example.org/fhir?page=2",
        "HTTPS://EHR.example.ORG:443/fhir?page=2",
        "https://ehr.example.org:0443/fhir?page=2",
        "/fhir?page=2",
        "?page=2",
        "//ehr.example.org/fhir?page=2",
        "Patient?name=a|b&url=http://evil.example/@x\\y",
        "https://ehr.example.org/fhir?redirect=https://evil.example",
    ],
)
def test_links_of_the_server_itself_are_followed(link: str) -> None:
    """Its own origin in any spelling that only one reading has; what the query says does not matter."""
    url = resolve(link, at="https://ehr.example.org/fhir/Observation", base=OWN)
    assert re.match(r"(?i)https://ehr\.example\.org(:0?443)?/fhir", url)


@pytest.mark.parametrize(
    "link",
    [
        "http://ehr.example.org/fhir",  # downgrade
        "http://ehr.example.org:443/fhir",
        "https://ehr.example.org:8443/fhir",
        "https://ehr.example.org./fhir",
        "https://ehr.example.org.evil.example/fhir",
        "https://evil-ehr.example.org/fhir",
        "https://ehr.example.org@evil.example/fhir",
        "https://xn--ehr-.example.org/fhir",
        "https://ehr。example.org/fhir",
        "https://ehr.examp\u200ble.org/fhir",
        "https://ｅhr.example.org/fhir",
        "https://ehr.example.org:443:443/fhir",
        "https://ehr.example.org:/fhir",
        "https://ehr.example.org\x00.evil.example/fhir",
        "javascript:alert(1)",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "///evil.example",
        "data:application/fhir+json,{}",
        "x" * 70_000,
    ],
)
def test_links_elsewhere_are_refused_by_the_rule_alone(link: str) -> None:
    """No network is needed to refuse them; the message has no path and no query."""
    with pytest.raises(RefusedOriginError) as raised:
        resolve(link, at="https://ehr.example.org/fhir/Observation?patient=4711", base=OWN)
    assert "4711" not in str(raised.value)
    assert "/fhir" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "hosts", "allowed"),
    [
        ("https://ehr.example.org/files/1", [], True),
        ("https://store.example.net/1", ["store.example.net"], True),
        ("https://STORE.example.net:443/1", ["store.example.net"], True),
        ("https://store.example.net:8443/1", ["store.example.net"], False),
        ("https://store.example.net:8443/1", ["store.example.net:8443"], True),
        ("http://store.example.net/1", ["store.example.net"], False),
        ("http://127.0.0.1/1", ["127.0.0.1"], False),  # the server itself is elsewhere
        ("https://a.store.example.net/1", ["store.example.net"], False),
        ("https://store.example.net.evil.example/1", ["store.example.net"], False),
        ("https://store.example.net@evil.example/1", ["store.example.net"], False),
        ("https://evil.example/1", ["", "*", ".example", "*.example"], False),
    ],
)
def test_files_come_from_listed_hosts_over_https(url: str, hosts: list[str], allowed: bool) -> None:
    """The list holds whole hosts, with 443 where it says no port."""
    assert allows(origin_of(absolute(url, at="https://ehr.example.org/")), base=OWN, hosts=hosts) is allowed


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ehr.example.org/fhir/Patient/4711/_history/1", "https://ehr.example.org/fhir/Patient"),
        ("https://ehr.example.org/fhir/Patient?name=Doe", "https://ehr.example.org/fhir/Patient"),
        ("https://ehr.example.org/fhir?_getpages=Doe", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir/4711", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir/$export", "https://ehr.example.org/fhir/$export"),
        ("https://ehr.example.org/Patient/4711", "https://ehr.example.org/fhir"),
    ],
)
def test_messages_name_the_type_alone(url: str, shown: str) -> None:
    """No id and no query."""
    assert label(url, "https://ehr.example.org/fhir") == shown


def test_the_attacks_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """More than the fifteen that were asked for."""
    counts = (len(FOREIGN), len(IN_HEADERS) * 2, len(LOOPS), len(CHAINS))
    with capsys.disabled():
        print(
            "\nhostile links: {} foreign links as pages and as files, {} redirects astray, "
            "{} endless pagings, {} endless redirects; 0 requests and 0 tokens to the trap".format(*counts)
        )
    assert min(counts[:2]) > 15
