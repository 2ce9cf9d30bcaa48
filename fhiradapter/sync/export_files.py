"""Export files: NDJSON streamed to the disk as it comes, checked line by line on the way."""

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.bodies import MAGIC, decoded
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.manifests import ManifestFile
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_lines import Lines
from fhiradapter.sync.export_states import Landed

LARGEST = 1 << 36  # bytes of one file after decompression
PART = ".part"
PRIVATE_FILE = 0o600
WHAT = "$export file"


class Opened(Protocol):
    """A file being downloaded; `fhir.transport_files.Download` is one."""

    @property
    def status(self) -> int:
        """HTTP status; only 200 has a body."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body; it is whole only when this ends without an error."""
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
            for chunk in _plain(download.chunks()):
                if ended.is_set():
                    raise Ended
                lines.take(chunk)
                digest.update(chunk)
                size += target.write(chunk)
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


def _plain(chunks: Iterator[bytes]) -> Iterable[bytes]:
    """Return the text of a file that is itself a gzip file: no JSON begins like one."""
    first = next((chunk for chunk in chunks if chunk), b"")
    whole = _chained(first, chunks)
    if first.startswith(MAGIC):
        return decoded(whole, encoding="gzip", most=LARGEST, what=WHAT)
    return whole


def _chained(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks
