"""Bodies: the bytes of an answer, decompressed within bounds and complete to their end."""

import zlib
from collections.abc import Callable, Iterable, Iterator

from fhiradapter.errors import RefusedAnswerError, ServerError, TransientServerError
from fhiradapter.reasons import Reason

Fill = Callable[[memoryview], int]  # puts bytes into a room, as many as fit; returns how many, 0 at their end
PORTION = 1 << 20  # most decompressed bytes at once; a bomb grows a thousandfold
PIECE = 1 << 12  # compressed bytes at once; what follows a gzip member is copied with each member
EMPTY_MEMBERS = 16  # bgzip ends with one empty member; a million of them are an attack
MAGIC = b"\x1f\x8b"
PLAIN = frozenset({"", "identity", "none"})
GZIP = frozenset({"gzip", "x-gzip"})
# Sent again, these may be whole: a proxy that gave up in the middle, a connection that broke.
ASKED_AGAIN = frozenset({Reason.TRUNCATED_BODY, Reason.DAMAGED_BODY})


def whole(chunks: Iterable[bytes], *, encoding: str, most: int, what: str) -> bytes:
    """Return a body in one piece; errors as `decoded`."""
    return b"".join(decoded(chunks, encoding=encoding, most=most, what=what))


def decoded(chunks: Iterable[bytes], *, encoding: str, most: int, what: str) -> Iterator[bytes]:
    """Yield a body decompressed, at most `most` bytes; it is whole only when this ends without an error.

    `encoding` is the Content-Encoding header. Raises RefusedAnswerError (too large, an encoding that nobody
    asked for, bytes after the end) or TransientServerError (cut short, damaged); `what` is named in it.
    """
    name = encoding.strip().lower()
    if name not in PLAIN | GZIP:  # gzip twice is none of these either
        raise RefusedAnswerError(
            f"{what}: the answer is compressed in a way that was not asked for",
            reason=Reason.UNKNOWN_ENCODING,
        )
    size = 0
    for chunk in _gunzip(chunks, what) if name in GZIP else chunks:
        size += len(chunk)
        if size > most:
            raise too_large(what, most)
        yield chunk


def poured(chunks: Iterator[bytes]) -> Fill:
    """Return what fills rooms with the bytes of some chunks.

    >>> room = bytearray(b"---")
    >>> fill = poured(iter([b"ab", b"", b"cdef"]))
    >>> [(fill(memoryview(room)), bytes(room)) for _ in range(4)]
    [(2, b'ab-'), (3, b'cde'), (1, b'fde'), (0, b'fde')]
    """
    rest = memoryview(b"")

    def fill(room: memoryview) -> int:
        nonlocal rest
        while not rest:
            chunk = next(chunks, None)
            if chunk is None:
                return 0
            rest = memoryview(chunk)
        size = min(len(room), len(rest))
        room[:size] = rest[:size]
        rest = rest[size:]
        return size

    return fill


def _gunzip(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Decompress all gzip members, each to its checksum."""
    member = zlib.decompressobj(wbits=31)
    begun, empty, produced = False, 0, 0
    for piece in (chunk[start : start + PIECE] for chunk in chunks for start in range(0, len(chunk), PIECE)):
        begun, rest = True, piece
        while rest:
            if member.eof:
                if not rest.startswith(MAGIC[: len(rest)]):
                    raise RefusedAnswerError(
                        f"{what}: bytes follow the end of the compressed answer",
                        reason=Reason.TRAILING_BYTES,
                    )
                empty += produced == 0
                if empty > EMPTY_MEMBERS:
                    raise damaged(what)
                member, produced = zlib.decompressobj(wbits=31), 0
            for content in _inflated(member, rest, what):
                produced += len(content)
                yield content
            rest = member.unused_data
    if begun and not member.eof:
        raise truncated(what)


def _inflated(member: "zlib._Decompress", compressed: bytes, what: str) -> Iterator[bytes]:
    """Yield what some bytes stand for, in portions; what follows the member's end is left over."""
    rest = compressed
    while not member.eof:
        try:
            content = member.decompress(rest, PORTION)
        except zlib.error:
            content = None
        if content is None:
            raise damaged(what)
        rest = member.unconsumed_tail
        if content:
            yield content
        elif not rest:  # zlib holds nothing back either
            return


def truncated(what: str) -> TransientServerError:
    """Return the error for an answer that ends before its end."""
    return TransientServerError(f"{what}: the answer was cut short", reason=Reason.TRUNCATED_BODY)


def damaged(what: str) -> TransientServerError:
    """Return the error for an answer whose compression or framing is broken."""
    return TransientServerError(f"{what}: the answer is damaged", reason=Reason.DAMAGED_BODY)


def too_large(what: str, most: int) -> RefusedAnswerError:
    """Return the error for an answer past its limit."""
    return RefusedAnswerError(
        f"{what}: the answer has more than {most:,} bytes", reason=Reason.BODY_TOO_LARGE
    )


def final(error: TransientServerError) -> ServerError:
    """Return the error that stands when all tries ended with one: a body never whole is refused."""
    if error.reason in ASKED_AGAIN:
        return RefusedAnswerError(str(error), reason=error.reason, status=error.status)
    return error
