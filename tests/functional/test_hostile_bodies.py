"""Answers made to fill the memory, to last for ever or to be misread end in a named reason, in bounds."""

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hostile import Script, answer, bomb, bundle, gzipped, saying, serving

MEBIBYTE = 1 << 20
MOST_MEGABYTES = 512
OBSERVATION = {"resourceType": "Observation", "id": "o1", "note": [{"text": "@@"}]}
CLIENT = Path(__file__).with_name("hostile_client.py")


class Attack(NamedTuple):
    """What a server sends, and the reasons that may be told for it; `page` when it is harmless."""

    script: Callable[[], Script]
    endings: tuple[str, ...]
    seconds: float = 60


def sent(make: Callable[[], bytes], *endings: str, close: bool = False) -> Attack:
    """Return an attack by some bytes, made when it is tried."""
    return Attack(lambda: saying(make(), then_close=close), endings)


def page(raw: bytes) -> bytes:
    """Return an answer with a resource that has raw bytes in the place of a string."""
    return answer(bundle(OBSERVATION).replace(b'"@@"', raw))


def entries(entry: bytes, count: int) -> bytes:
    """Return a Bundle of the same entry many times."""
    return b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % b",".join([entry] * count)


def encoded(encoding: str, body: bytes) -> bytes:
    return answer(body, f"Content-Encoding: {encoding}")


def endless(start: bytes, portion: bytes, pause: float = 0.0) -> Callable[[], Script]:
    """Return a script that sends a portion again and again until the client goes."""

    def script(connection: socket.socket, _request: str) -> None:
        connection.sendall(start)
        while not (pause and threading.Event().wait(pause)):
            connection.sendall(portion)

    return lambda: script


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
A_MEBIBYTE = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
TEXT = bundle(OBSERVATION)
TINY = b'{"resource":{"resourceType":"Observation","id":"1"}}'
WRONG_SUM = gzipped(TEXT)[:-8] + struct.pack("<II", 7, len(TEXT))

ATTACKS = {
    # Bombs
    "gzip bomb of 10 GiB": sent(lambda: encoded("gzip", bomb(10)), "BODY_TOO_LARGE"),
    "gzip twice, said": sent(lambda: encoded("gzip, gzip", gzipped(bomb(1))), "UNKNOWN_ENCODING"),
    "gzip in gzip, not said": sent(lambda: encoded("gzip", gzipped(gzipped(TEXT))), "INVALID_ENCODING"),
    "deflate bomb": sent(lambda: encoded("deflate", bomb(10)), "UNKNOWN_ENCODING"),
    "brotli": sent(lambda: encoded("br", b"\xff" * 100), "UNKNOWN_ENCODING"),
    "a million empty gzip members": sent(lambda: encoded("gzip", gzipped(b"") * 1_000_000), "DAMAGED_BODY"),
    "tiny gzip members": sent(lambda: encoded("gzip", gzipped(b" ") * 1_000_000), "NOT_JSON"),
    "the largest page of blanks": sent(lambda: encoded("gzip", gzipped(b" " * (128 * MEBIBYTE))), "NOT_JSON"),
    # Without an end
    "drip": Attack(endless(OK + b"Content-Length: 9999\r\n\r\n", b"x", 0.1), ("DEADLINE",), 1),
    "dripping headers": Attack(endless(OK + b"X-H: ", b"x", 0.1), ("DEADLINE",), 1),
    "endless chunks": Attack(endless(CHUNKED, A_MEBIBYTE), ("BODY_TOO_LARGE",)),
    "endless chunks of one byte": Attack(
        endless(CHUNKED, b"1\r\n \r\n" * 10_000), ("DEADLINE", "BODY_TOO_LARGE"), 3
    ),
    "endless chunk extension": Attack(endless(CHUNKED + b"1;", b"x" * MEBIBYTE), ("TRUNCATED_BODY",)),
    "endless body without a length": Attack(endless(OK + b"\r\n", b" " * MEBIBYTE), ("BODY_TOO_LARGE",)),
    "endless header line": Attack(endless(OK + b"X-H: ", b"x" * MEBIBYTE), ("UNREACHABLE",)),
    "endless header lines": Attack(endless(OK, b"X-H: x\r\n" * 1000), ("UNREACHABLE",)),
    "endless interim answers": Attack(
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), ("DEADLINE", "BODY_TOO_LARGE"), 2
    ),
    "endless trailer": Attack(
        endless(CHUNKED + b"0\r\n", b"X-H: x\r\n" * 1000), ("DEADLINE", "BODY_TOO_LARGE"), 2
    ),
    # Wrong lengths
    "longer than sent": sent(lambda: answer(TEXT, length=len(TEXT) + 1), "TRUNCATED_BODY", close=True),
    "a length of an exabyte": sent(lambda: answer(TEXT, length=10**18), "TRUNCATED_BODY", close=True),
    "an exabyte, and it comes": Attack(
        endless(OK + b"Content-Length: 1000000000000000000\r\n\r\n", b" " * MEBIBYTE), ("BODY_TOO_LARGE",)
    ),
    "shorter than sent": sent(lambda: answer(TEXT, length=len(TEXT) - 9), "TRUNCATED_JSON"),
    "a negative length": sent(lambda: answer(TEXT, length=-1), "DAMAGED_BODY", close=True),
    "two lengths": sent(lambda: answer(TEXT, "Content-Length: 7"), "DAMAGED_BODY", close=True),
    "a negative chunk": Attack(endless(CHUNKED + b"-1\r\n", b" " * MEBIBYTE), ("BODY_TOO_LARGE",)),
    "a chunk of minus five": sent(lambda: CHUNKED + b"-5\r\n" + TEXT, "TRUNCATED_BODY", close=True),
    "no last chunk": sent(lambda: CHUNKED + A_MEBIBYTE, "TRUNCATED_BODY", close=True),
    # Broken compression
    "gzip cut short": sent(lambda: encoded("gzip", gzipped(TEXT)[:-1]), "TRUNCATED_BODY"),
    "gzip of nothing but its head": sent(lambda: encoded("gzip", gzipped(TEXT)[:10]), "TRUNCATED_BODY"),
    "bytes after the gzip": sent(lambda: encoded("gzip", gzipped(TEXT) + b"{}"), "TRAILING_BYTES"),
    "zeros after the gzip": sent(lambda: encoded("gzip", gzipped(TEXT) + b"\0" * 512), "TRAILING_BYTES"),
    "a wrong checksum": sent(lambda: encoded("gzip", WRONG_SUM), "DAMAGED_BODY"),
    "gzip that is none": sent(lambda: encoded("gzip", TEXT), "DAMAGED_BODY"),
    # Not what was asked for
    "a login page": sent(
        lambda: answer(b"<html>Please log in</html>", "Content-Type: text/html"), "NOT_JSON"
    ),
    "nothing": sent(lambda: answer(b""), "NOT_JSON"),
    "not HTTP": sent(lambda: b"SSH-2.0-OpenSSH_9.6\r\n", "UNREACHABLE", close=True),
    # JSON: what pages.py refuses; inside a resource that is well-formed the mapping judges, see
    # test_bad_input.py, so those are pages
    "depth 100,000": sent(lambda: page(b"[" * 100_000 + b"]" * 100_000), "TOO_DEEP"),
    "depth 100,000, open": sent(lambda: answer(b'{"a":' * 100_000), "TOO_DEEP"),
    "NaN": sent(lambda: page(b"NaN"), "MALFORMED_JSON"),
    "infinity": sent(lambda: page(b"-Infinity"), "MALFORMED_JSON"),
    "UTF-16": sent(lambda: answer(TEXT.decode().encode("utf-16")), "INVALID_ENCODING"),
    "UTF-16 without a mark": sent(lambda: answer(TEXT.decode().encode("utf-16-le")), "INVALID_ENCODING"),
    "invalid UTF-8": sent(lambda: page(b'"\xff"'), "INVALID_ENCODING"),
    "NUL": sent(lambda: page(b'"\x00"'), "MALFORMED_JSON"),
    "cut JSON": sent(lambda: answer(TEXT[:-1]), "TRUNCATED_JSON"),
    "bytes after the JSON": sent(lambda: answer(TEXT + b"{}"), "MALFORMED_JSON"),
    "byte order mark": sent(lambda: answer(b"\xef\xbb\xbf" + TEXT), "page"),
    "a number of a million digits": sent(lambda: page(b"9" * 1_000_000), "page"),
    "a total of 400 digits": sent(
        lambda: answer(TEXT.replace(b'"link"', b'"total": ' + b"9" * 400 + b', "link"')), "page"
    ),
    "duplicate keys": sent(lambda: page(b'"a", "text": "b"'), "page"),
    # Many small things, each of which takes more memory than bytes
    "a million entries of nothing": sent(lambda: answer(entries(b"{}", 1_000_000)), "BODY_TOO_LARGE"),
    "two million resources": sent(lambda: answer(entries(TINY, 2_000_000)), "BODY_TOO_LARGE"),
    "as many resources as a page may have": sent(lambda: answer(entries(TINY, 499_999)), "page"),
    "forty million entries": sent(
        lambda: encoded("gzip", gzipped(entries(b"{}", 40_000_000))), "BODY_TOO_LARGE"
    ),
}


def attempt(attack: Attack) -> tuple[str, float, float]:
    """Return how a client in another process ended, its peak of memory in MiB and its seconds."""
    with serving(attack.script()) as server:
        ended = subprocess.run(
            [sys.executable, "-W", "error", str(CLIENT), server.base, str(attack.seconds)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert ended.stderr == ""
    ending, megabytes, seconds = json.loads(ended.stdout)
    return ending, megabytes, seconds


@pytest.fixture(scope="module")
def figures() -> Any:
    """Print what the attacks took, together."""
    taken: dict[str, tuple[str, float, float]] = {}
    yield taken
    if taken:
        largest = max(taken, key=lambda name: taken[name][1])
        longest = max(taken, key=lambda name: taken[name][2])
        print(
            f"\nhostile bodies: {len(taken)} attacks, each ended by its reason; most memory "
            f"{taken[largest][1]:.0f} MiB ({largest}), longest {taken[longest][2]:.1f} s ({longest})"
        )


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_body_ends_in_a_named_reason(name: str, figures: Any) -> None:
    """No traceback, no page that is not one, and never more than 512 MiB."""
    ending, megabytes, seconds = figures[name] = attempt(ATTACKS[name])
    assert ending in ATTACKS[name].endings
    assert megabytes < MOST_MEGABYTES, f"{megabytes} MiB in {seconds} s"
