"""Export files: NDJSON streamed to the disk as it comes, checked line by line on the way."""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.bodies import MAGIC, Fill, decoded, poured
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.manifests import ManifestFile
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_lines import Lines
from fhiradapter.sync.export_pieces import pieces
from fhiradapter.sync.export_states import Landed

LARGEST = 1 << 36  # bytes of one file after decompression
PART = ".part"
PRIVATE_FILE = 0o600
WHAT = "$export file"
FILLED_AT_ONCE = 1 << 18  # bytes, so that a slow server does not keep a download from ending


class Opened(Protocol):
    """A file being downloaded; `fhir.transport_files.Download` is one."""

    @property
    def status(self) -> int:
        """HTTP status; only 200 has a body."""

    def fill(self, room: memoryview) -> int:
        """Put the next bytes of the body into a room, and return how many; 0 at its end, when it is whole."""
        ...


class ExportServer(Protocol):
    """What exports need of a server; `fhir.transport.Transport` has it."""

    base_url: str

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        repeat: bool = True,
    ) -> Reply:
        """Return the answer; with `repeat=False` whatever its status but 401."""
        ...

    def stream(self, url: str, *, with_token: bool, most: int) -> AbstractContextManager[Any]:
        """Open a file as `Opened`; nobody is asked who is not on the list of file hosts."""
        ...


class Ended(Exception):  # noqa: N818 - it is no error
    """Another thread has ended the export."""


def land(
    server: ExportServer,
    file: ManifestFile,
    path: Path,
    *,
    number: int,
    generation: int,
    kind: str | None,
    ended: threading.Event,
) -> Landed | int:
    """Bring a file to the disk, and return what was found in it, or the status of a file that is not there.

    Raises RefusedAnswerError for a file that breaks a rule, TransientServerError for one that did not come
    whole; nothing with its name is on the disk then.
    """
    part = path.with_name(path.name + PART)
    lines = Lines(kind)
    digest = hashlib.sha256()
    size = 0
    with server.stream(file.url, with_token=file.with_token, most=LARGEST) as download:
        if download.status != 200:
            return int(download.status)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
        with open(handle, "wb", buffering=0) as target:  # noqa: PTH123 - the handle has its mode from the start
            for piece in pieces(_plain(_until(ended, download.fill))):
                lines.take(piece)
                digest.update(piece)
                size += len(piece)
                written = 0
                while written < len(piece):
                    written += target.write(piece[written:])
            lines.finish()
    if file.count is not None and file.count != lines.count:
        part.unlink()
        raise RefusedAnswerError(
            f"{WHAT} of {kind or 'any type'}: has not as many lines as the manifest says",
            reason=Reason.COUNT_DIFFERS,
        )
    part.replace(path)
    return Landed(
        number=number,
        generation=generation,
        sha256=digest.hexdigest(),
        bytes=size,
        lines=lines.count,
        types=dict(lines.types),
        slices=tuple(lines.slices),
    )


def is_whole(path: Path, landed: Landed) -> bool:
    """Return True when a file is as it was when it was checked."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != landed.bytes:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == landed.sha256
    except OSError:
        return False


def _until(ended: threading.Event, fill: Fill) -> Fill:
    def fill_or_end(room: memoryview) -> int:
        if ended.is_set():
            raise Ended
        return fill(room[:FILLED_AT_ONCE])

    return fill_or_end


def _plain(fill: Fill) -> Fill:
    """Return the text of a file that may itself be a gzip file: no JSON begins like one."""
    head = b"".join(_read(fill, len(MAGIC), most=len(MAGIC)))
    if head == MAGIC:
        rest = _read(fill, FILLED_AT_ONCE)
        return poured(decoded(chain((head,), rest), encoding="gzip", most=LARGEST, what=WHAT))
    begin = poured(iter((head,)))
    return lambda room: begin(room) or fill(room)


def _read(fill: Fill, size: int, *, most: int = LARGEST) -> Iterator[bytes]:
    room = memoryview(bytearray(size))
    while most and (filled := fill(room[:most])):
        most -= filled
        yield bytes(room[:filled])
