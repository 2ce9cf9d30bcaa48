"""Raw files: every accepted version as it was sent, one per line, compressed and never changed afterwards."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from fhiradapter.errors import FhirAdapterError
from fhiradapter.fhir.compression import portions
from fhiradapter.store.disk import Disk

LEVEL = 3
WRITTEN_AT_ONCE = 1 << 20
PART = ".part"


class RawFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal says of a raw file; `file` is relative to the folder of raw files."""

    file: str
    source: str
    type: str
    sha256: str
    lines: int
    bytes: int


class RawWriter:
    """Writes one raw file, which has its name only when all of it is on the disk."""

    def __init__(self, folder: Path, name: str, *, source: str, kind: str, disk: Disk) -> None:
        self.name = name
        self.lines = 0
        self._path = folder / name
        self._source, self._kind, self._disk = source, kind, disk
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._pending: list[bytes] = []
        self._waiting = 0
        self._file: BinaryIO = disk.create(self._part)

    @property
    def _part(self) -> Path:
        return self._path.with_name(self._path.name + PART)

    def write(self, content: bytes) -> int:
        """Add a resource, and return its line number."""
        self._pending.append(content)
        self._waiting += len(content)
        self.lines += 1
        if self._waiting >= WRITTEN_AT_ONCE:
            self._flush()
        return self.lines

    def finish(self) -> RawFile:
        """Bring all of it to the disk under its name."""
        self._flush()
        self._put(self._compressor.flush())
        self._disk.finish(self._file)
        self._disk.rename(self._part, self._path)
        return RawFile(
            file=self.name,
            source=self._source,
            type=self._kind,
            sha256=self._digest.hexdigest(),
            lines=self.lines,
            bytes=self._bytes,
        )

    def abandon(self) -> None:
        """Close the file without a name; the next opening of the store removes it."""
        self._file.close()

    def _flush(self) -> None:
        if self._pending:
            self._put(self._compressor.compress(b"\n".join((*self._pending, b""))))
            self._pending, self._waiting = [], 0

    def _put(self, content: bytes) -> None:
        if content:
            self._digest.update(content)
            self._bytes += len(content)
            self._disk.write(self._file, content)


def read_lines(raw: Path, file: str) -> Iterator[bytes]:
    """Yield the resources of a raw file in order.

    Raises FhirAdapterError when it is damaged.
    """
    rest = b""
    for portion in portions(raw / file):
        if portion.damaged:
            raise FhirAdapterError(f"raw/{file}: is damaged; restore it from a backup")
        lines = (rest + portion.content).split(b"\n")
        rest = lines.pop()
        yield from lines


def read_places(raw: Path, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    """Return the resources at some places, (file, line); each file is read once."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for file, line in places:
        wanted[file].add(line)
    found: dict[tuple[str, int], bytes] = {}
    for file, lines in wanted.items():
        last = max(lines)
        for number, content in enumerate(read_lines(raw, file), 1):
            if number in lines:
                found[file, number] = content
            if number >= last:
                break
    return found


def verify(raw: Path, record: RawFile) -> None:
    """Raise FhirAdapterError when a raw file is not the one that its journal speaks of."""
    path = raw / record.file
    if not path.is_file():
        raise FhirAdapterError(f"raw/{record.file}: is missing; restore it from a backup")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record.sha256 or path.stat().st_size != record.bytes:
        raise FhirAdapterError(
            f"raw/{record.file}: was changed after it was written; restore it from a backup"
        )
