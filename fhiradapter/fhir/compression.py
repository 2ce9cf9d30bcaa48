"""Compression: the bytes of a plain, gzip or zstd file in portions, up to the place where it is damaged."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import zstandard

COMPRESSIONS = (".gz", ".zst", ".zstd")
PORTION = 1 << 20  # bytes; large enough that work per portion does not count, small enough for a cache
COMPRESSED_PORTION = 1 << 12  # a zstd block of 4 bytes may stand for 128 KiB
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)


class Portion(NamedTuple):
    """Bytes that follow on the last ones; `damaged` when nothing after them can be read."""

    content: bytes
    damaged: bool


def portions(path: Path) -> Iterator[Portion]:
    """Yield the plain bytes of a file, at least one portion, which is empty for an empty file.

    Raises OSError as `open` does.
    """
    with path.open("rb") as stream:
        yield from portions_of(stream, path.name)


def portions_of(stream: IO[bytes], name: str) -> Iterator[Portion]:
    """Yield the plain bytes of what is open, whose name says how it is compressed."""
    name = name.lower()
    if name.endswith(".gz"):
        source = _gzip(stream)
    elif name.endswith((".zst", ".zstd")):
        source = _zstd(stream)
    else:
        source = (Portion(content, False) for content in iter(lambda: stream.read(PORTION), b""))
    yield next(source, Portion(b"", False))
    yield from source


def _gzip(stream: IO[bytes]) -> Iterator[Portion]:
    with gzip.GzipFile(fileobj=stream) as reader:
        while True:
            try:
                content = reader.read1(PORTION)  # `read` would lose what comes before the damage
            except DAMAGE:
                yield Portion(b"", True)
                return
            if not content:
                return
            yield Portion(content, False)


def _zstd(stream: IO[bytes]) -> Iterator[Portion]:
    """Decompress frame by frame, since the library's own readers end a truncated frame without a word."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    pending: list[bytes] = []
    size, started = 0, False
    for compressed in iter(lambda: stream.read(COMPRESSED_PORTION), b""):
        rest = compressed
        while rest:
            try:
                pending.append(frame.decompress(rest))
            except zstandard.ZstdError:
                yield Portion(b"".join(pending), True)
                return
            started, size = True, size + len(pending[-1])
            rest = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, started = zstandard.ZstdDecompressor().decompressobj(), False
        if size >= PORTION:
            yield Portion(b"".join(pending), False)
            pending, size = [], 0
    yield Portion(b"".join(pending), started)
