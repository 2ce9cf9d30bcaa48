"""Files: NDJSON, documents, folders and globs of these, plain or compressed, as a Source."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from fhiradapter.errors import UsageError
from fhiradapter.fhir.compression import COMPRESSIONS, Portion, portions
from fhiradapter.fhir.decoding import BOM, is_hazardous
from fhiradapter.fhir.documents import batches_of_bundle, batches_of_document, is_bundle
from fhiradapter.fhir.source import Batch, Failure
from fhiradapter.fhir.text import Sort, sort_of
from fhiradapter.reasons import Reason

FORMATS = (".ndjson", ".jsonl", ".json")
HEAD = 1 << 16  # bytes that show what a file holds
UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Found(NamedTuple):
    """A file to read, with the name that rows carry."""

    path: Path
    name: str


@dataclass(frozen=True)
class FileSource:
    """All resources below some paths; those that others refer to come first.

    Raises UsageError when a path does not exist. Whatever else is wrong with a file is a failure of its batch.
    """

    paths: tuple[str | Path, ...]
    resource_bytes: int = 8 * 2**20
    document_bytes: int = 2**30
    first: tuple[str, ...] = ()
    """Resource types whose files are read before the others."""

    def total_bytes(self) -> int:
        """Return the size of all files as they lie on disk."""
        return sum(found.path.stat().st_size for found in list_files(self.paths) if found.path.is_file())

    def batches(self) -> Iterator[Batch]:
        """Yield the resources of all files, and the failures of files that hold none."""
        files = list_files(self.paths)
        order = {name: place for place, name in enumerate(self.first)}
        for found in sorted(files, key=lambda found: (order.get(self._type(found), len(order)), found.name)):
            yield from self._file(found)

    def _type(self, found: Found) -> str:
        """Return the type of the first resource, by which bulk exports split their files."""
        try:
            return sort_of(next(portions(found.path)).content[:HEAD]).first_type
        except OSError:
            return ""

    def _file(self, found: Found) -> Iterator[Batch]:
        if found.path.is_dir():
            yield _failed(found, Reason.NOT_A_FILE)
            return
        try:
            yield from self._stream(portions(found.path), found)
        except OSError:
            yield _failed(found, Reason.UNREADABLE_FILE)

    def _stream(self, stream: Iterator[Portion], found: Found) -> Iterator[Batch]:
        first = next(stream)
        head = first.content.removeprefix(BOM)
        stream = chain([Portion(head, first.damaged)], stream)
        if first.damaged and not head:
            yield _failed(found, Reason.TRUNCATED_FILE)
        elif not head.strip():
            yield _failed(found, Reason.EMPTY_FILE)
        elif head.startswith(UTF16):
            yield _failed(found, Reason.INVALID_ENCODING, counted=True)
        elif (sort := sort_of(head[:HEAD])).kind is Sort.OTHER:
            yield _failed(found, Reason.UNKNOWN_FORMAT)
        elif sort.kind is Sort.DOCUMENT:
            yield from self._document(stream, found)
        else:
            yield from self._lines(stream, found)

    def _document(self, stream: Iterator[Portion], found: Found) -> Iterator[Batch]:
        content = bytearray()
        for portion in stream:
            content += portion.content
            if len(content) > self.document_bytes:
                yield _failed(found, Reason.TOO_LARGE, counted=True)
                return
            if portion.damaged:
                yield _failed(found, Reason.TRUNCATED_FILE)
        for batch in batches_of_document(bytes(content), found.name):
            yield from self._within_limit(batch)

    def _within_limit(self, batch: Batch) -> Iterator[Batch]:
        """Take out the entries that are larger than a resource may be."""
        large = [index for index, line in enumerate(batch.lines) if len(line) > self.resource_bytes]
        failures = [Failure(Reason.TOO_LARGE, batch.numbers[index], True) for index in large]
        for index in large:
            batch.lines[index] = b""
        yield replace(batch, failures=(*batch.failures, *failures))

    def _lines(self, stream: Iterator[Portion], found: Found) -> Iterator[Batch]:
        """Yield the complete lines of each portion; a line longer than allowed is skipped to its end."""
        pending: list[bytes] = []
        size, number, skipping = 0, 1, False
        for portion in stream:
            end = portion.content.rfind(b"\n") + 1
            if end:
                text = b"".join(pending) + portion.content[:end]
                if skipping:
                    text, skipping, number = text.partition(b"\n")[2], False, number + 1
                yield from self._batch(text, found, number)
                number += text.count(b"\n")
                pending, size = [], 0
            if not skipping:
                pending.append(portion.content[end:])
                size += len(pending[-1])
            if size > self.document_bytes:
                yield _failed(found, Reason.TOO_LARGE, line=number, counted=True)
                pending, size, skipping = [], 0, True
            if portion.damaged:
                # What came before the damage is still good; the line it hit is not.
                yield _failed(found, Reason.TRUNCATED_FILE)
        yield from self._batch(b"".join(pending), found, number)

    def _batch(self, text: bytes, found: Found, number: int) -> Iterator[Batch]:
        if not text:
            return
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        numbers = range(number, number + len(lines))
        failures: list[Failure] = []
        bundles: list[int] = []
        longest = max(map(len, lines), default=0)
        # Bundles are among the longest lines or the text has none; either look costs little.
        if longest > self.resource_bytes or b'"Bundle"' in text:
            for index, line in enumerate(lines):
                if is_bundle(line):
                    bundles.append(index)
                elif len(line) > self.resource_bytes:
                    failures.append(Failure(Reason.TOO_LARGE, numbers[index], True))
                    lines[index] = b""
        parts = {index: lines[index] for index in bundles}
        for index in bundles:
            lines[index] = b""
        yield Batch(
            found.name, lines, numbers, is_hazardous(text), failures=tuple(failures), bytes_read=len(text)
        )
        for index, bundle in parts.items():
            for batch in batches_of_bundle(bundle, found.name, numbers[index]):
                yield from self._within_limit(batch)


def list_files(paths: tuple[str | Path, ...]) -> list[Found]:
    """Return the files below paths, folders and globs, each once, in the order of their names.

    Raises UsageError for a path or a glob that matches nothing.
    """
    found: dict[Path, Found] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if _is_input(inner):
                    found.setdefault(inner.resolve(), Found(inner, str(inner.relative_to(path))))
        elif path.exists():
            found.setdefault(path.resolve(), Found(path, path.name))
        else:
            matches = [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]
            if not matches:
                raise UsageError(f"{given}: there is no such file or folder")
            for match in matches:
                for inner in [match, *sorted(match.rglob("*"))] if match.is_dir() else [match]:
                    if inner.is_file() or _is_input(inner):
                        found.setdefault(inner.resolve(), Found(inner, inner.name))
    return list(found.values())


def _is_input(path: Path) -> bool:
    """Return True for files of the known formats, and for folders that are named like one."""
    name = path.name.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.endswith(FORMATS)


def _failed(found: Found, reason: Reason, *, line: int | None = None, counted: bool = False) -> Batch:
    return Batch(found.name, [], [], False, failures=(Failure(reason, line, counted),))
