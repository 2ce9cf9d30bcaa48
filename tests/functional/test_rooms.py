"""Files are put into rooms as they come from the wire: whole, within their bounds, and cut at line ends."""

import random
from typing import Any

import pytest
from hostile import answer, gzipped, saying, serving, settings

from fhiradapter.errors import RefusedAnswerError, TransientServerError
from fhiradapter.fhir.bodies import poured
from fhiradapter.fhir.transport import Transport
from fhiradapter.reasons import Reason
from fhiradapter.sync import export_pieces
from fhiradapter.sync.export_pieces import pieces

LINES = b"".join(b'{"resourceType":"Patient","id":"p%d"}\n' % number for number in range(20_000))


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def filled(file: Any, size: int) -> bytes:
    """Read a file through one room."""
    room, content = memoryview(bytearray(size)), b""
    while count := file.fill(room):
        content += room[:count]
    assert file.fill(room) == 0
    return content


@pytest.mark.parametrize("size", [7_001, 1 << 18])
@pytest.mark.parametrize(
    "sent",
    [answer(LINES), answer(gzipped(LINES), "Content-Encoding: gzip"), chunked(LINES, 9_000), answer(b"")],
)
def test_a_file_is_the_same_however_large_the_room_is(sent: bytes, size: int) -> None:
    """Plain, compressed or in chunks; one connection serves several files."""
    body = LINES if len(sent) > 1_000 else b""
    with serving(saying(sent)) as server, Transport(server.base, settings()) as transport:
        for _ in range(3):
            with transport.stream("1", with_token=False) as file:
                assert filled(file, size) == body
        assert server.connections == 1


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer(LINES, length=len(LINES) + 1), Reason.TRUNCATED_BODY),
        (answer(gzipped(LINES)[:-5], "Content-Encoding: gzip"), Reason.TRUNCATED_BODY),
        (chunked(LINES, 9_000)[:-9_010], Reason.TRUNCATED_BODY),
        (chunked(LINES, 9_000).replace(b"2328\r\n", b"-2328\r\n", 2), Reason.TRUNCATED_BODY),
    ],
)
def test_a_file_that_is_not_whole_is_told(sent: bytes, reason: Reason) -> None:
    """Never an end without an error, so that it is asked for again."""
    with (
        serving(saying(sent, then_close=True)) as server,
        Transport(server.base, settings(tries=1)) as transport,
        pytest.raises(TransientServerError) as raised,
        transport.stream("1", with_token=False) as file,
    ):
        filled(file, 1 << 16)
    assert raised.value.reason == reason


def test_a_file_past_its_limit_or_that_is_not_there_is_refused() -> None:
    """Nothing of it is taken for the whole."""
    gone = answer(b"gone", status="410 Gone")
    with serving(saying(answer(LINES), gone)) as server, Transport(server.base, settings()) as transport:
        with (
            transport.stream("1", with_token=False, most=len(LINES) - 1) as file,
            pytest.raises(RefusedAnswerError) as raised,
        ):
            filled(file, 1 << 16)
        assert raised.value.reason == Reason.BODY_TOO_LARGE
        with transport.stream("1", with_token=False) as file, pytest.raises(RefusedAnswerError) as raised:
            filled(file, 1 << 16)
        assert (raised.value.reason, raised.value.status) == (Reason.NO_FILE, 410)


def test_pieces_are_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the bytes come and however long lines are; a line past the limit ends it."""
    monkeypatch.setattr(export_pieces, "FIRST", 64)
    monkeypatch.setattr(export_pieces, "WORTH_A_STEP", 1_000)
    monkeypatch.setattr(export_pieces, "LONGEST_LINE", 50_000)
    picked = random.Random(3)
    for _ in range(50):
        lines = [b"x" * picked.choice([0, 1, 63, 64, 999, 1_000, 1_001, 20_000]) for _ in range(60)]
        body = b"\n".join(lines) + picked.choice([b"", b"\n", b"end"])
        chunks, at = [], 0
        while at < len(body):
            size = picked.randint(1, 3_000)
            chunks.append(body[at : at + size])
            at += size
        found = [bytes(piece) for piece in pieces(poured(iter(chunks)))]
        assert b"".join(found) == body
        assert all(piece.endswith(b"\n") for piece in found[:-1])
    with pytest.raises(RefusedAnswerError) as raised:
        list(pieces(poured(iter([b"x" * 60_000, b"\n"]))))
    assert raised.value.reason == Reason.BODY_TOO_LARGE
