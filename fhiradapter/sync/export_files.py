"""Export files: NDJSON streamed to the disk as it comes, checked line by line on the way."""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import msgspec

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.bodies import MAGIC, decoded
from fhiradapter.fhir.datatypes import Element
from fhiradapter.fhir.decoding import BOM, DEEP_ENDS, depth
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.manifests import ManifestFile
from fhiradapter.fhir.pages import DEEPEST
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Landed, Slice

LONGEST_LINE = 32 << 20  # bytes; past it a file is no NDJSON, or its resource none that a study can use
SLICE = 32 << 20  # bytes of lines that are committed together
LARGEST = 1 << 36  # bytes of one file after decompression
WORTH_CHECKING = 1 << 18  # bytes gathered before they are checked: each check has a cost of its own
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


class Head(Element):
    """All that is read of a line."""

    resource_type: str


_heads = msgspec.json.Decoder(Head)


class Lines:
    """Checks lines as they come: each is one JSON object, of the declared type."""

    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        self.count = 0
        self.types: Counter[str] = Counter()
        self.slices: list[Slice] = []
        self._size = 0
        self._begun = 0
        self._pending: list[bytes] = []
        self._waiting = 0

    def take(self, chunk: bytes) -> None:
        """Check the next bytes of the file. Raises RefusedAnswerError for a line that breaks a rule."""
        if self._waiting + len(chunk) < WORTH_CHECKING:
            self._pending.append(chunk)
            self._waiting += len(chunk)
            return
        content = b"".join((*self._pending, chunk))
        cut = content.rfind(b"\n") + 1
        rest = content[cut:]
        if len(rest) > LONGEST_LINE:
            _refuse(Reason.BODY_TOO_LARGE)
        if cut:
            self._check(content[:cut])
        self._pending, self._waiting = [rest], len(rest)

    def finish(self) -> None:
        """Check what is left; a last line needs no line break."""
        content = b"".join(self._pending)
        if content.strip():
            self._check(content, is_last=True)
        else:
            self._size += len(content)
        self._close_slice()

    def _check(self, content: bytes, *, is_last: bool = False) -> None:
        if not self._size:
            content = b" " * len(BOM) + content[len(BOM) :] if content.startswith(BOM) else content
        _refuse_what_is_no_text(content)
        try:
            heads = _heads.decode_lines(content)
            if not _is_line_by_line(content, len(heads)):
                for line in content.split(b"\n"):
                    if line.strip():
                        _heads.decode(line)
        except msgspec.ValidationError:
            _refuse(Reason.NOT_FHIR)
        except (msgspec.MsgspecError, RecursionError) as error:
            is_cut = is_last and "truncated" in str(error) and not content.endswith(b"\n")
            _refuse(Reason.TRUNCATED_JSON if is_cut else Reason.MALFORMED_JSON)
        kinds = Counter([head.resource_type for head in heads])
        if self.kind is not None and kinds.keys() - {self.kind}:
            _refuse(Reason.NOT_ASKED_FOR)
        self.types.update(kinds)
        self.count += len(heads)
        self._size += len(content)
        if self._size - self._begun >= SLICE:
            self._close_slice()

    def _close_slice(self) -> None:
        if self._size > self._begun:
            self.slices.append(Slice(self._begun, self._size))
            self._begun = self._size


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


def _refuse_what_is_no_text(content: bytes) -> None:
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            _refuse(Reason.INVALID_ENCODING)
    if any(end in content for end in DEEP_ENDS) and depth(content) > DEEPEST:
        _refuse(Reason.TOO_DEEP)


def _is_line_by_line(content: bytes, count: int) -> bool:
    """Return True when each line is surely one object, which is so for what servers write.

    The decoder reads objects, wherever the lines end. No line break can stand between } and { inside of one,
    so when all of them do, there is an object on each line; as many objects as lines then is one on each.
    """
    if not content.startswith(b"{"):
        return False
    breaks = content.count(b"}\n{")
    return (
        content.endswith(b"}\n" if breaks < content.count(b"\n") else b"}")
        and count == breaks + 1
        and (content.count(b"\n") - content.endswith(b"\n") == breaks)
    )


def _refuse(reason: Reason) -> NoReturn:
    raise RefusedAnswerError(f"{WHAT}: breaks a rule: {reason}", reason=reason)
