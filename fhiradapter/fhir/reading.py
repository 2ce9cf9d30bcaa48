"""Reading: a text of NDJSON, a document or something else, from its portions to batches of resources."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from fhiradapter.fhir.compression import Portion
from fhiradapter.fhir.decoding import BOM, is_hazardous
from fhiradapter.fhir.documents import batches_of_bundle, batches_of_document, is_bundle
from fhiradapter.fhir.regular import decode_regular
from fhiradapter.fhir.source import Batch, Failure, Lines
from fhiradapter.fhir.text import Sort, sort_of
from fhiradapter.reasons import Reason

HEAD = 1 << 16  # bytes that show what a text holds
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Reader:
    """Reads texts within limits on the size of a resource and of what has to be held whole."""

    resource_bytes: int = 8 * 2**20
    document_bytes: int = 2**30

    def batches(self, stream: Iterator[Portion], name: str) -> Iterator[Batch]:
        """Yield the resources of one text, whatever its form."""
        head, damaged, number = beginning(stream)
        stream = chain([Portion(head, damaged)], stream)
        if damaged and not head:
            yield failed(name, Reason.TRUNCATED_FILE)
        elif not head:
            yield failed(name, Reason.EMPTY_FILE)
        elif head.startswith(UTF16):
            yield failed(name, Reason.INVALID_ENCODING, counted=True)
        elif (sort := sort_of(head[:HEAD])).kind is Sort.OTHER:
            yield failed(name, Reason.UNKNOWN_FORMAT)
        elif sort.kind is Sort.DOCUMENT:
            yield from self._document(stream, name)
        else:
            yield from self.lines(stream, name, number)

    def _document(self, stream: Iterator[Portion], name: str) -> Iterator[Batch]:
        content = bytearray()
        for portion in stream:
            content += portion.content
            if len(content) > self.document_bytes:
                yield failed(name, Reason.TOO_LARGE, counted=True)
                return
            if portion.damaged:
                yield failed(name, Reason.TRUNCATED_FILE)
        for batch in batches_of_document(bytes(content), name):
            yield from self._within_limit(batch)

    def _within_limit(self, batch: Batch) -> Iterator[Batch]:
        """Take out the entries that are larger than a resource may be."""
        large = [index for index, line in enumerate(batch.lines) if len(line) > self.resource_bytes]
        failures = [Failure(Reason.TOO_LARGE, batch.numbers[index], True) for index in large]
        lines = [b"" if len(line) > self.resource_bytes else line for line in batch.lines]
        yield replace(batch, lines=lines, failures=(*batch.failures, *failures))

    def lines(self, stream: Iterator[Portion], name: str, number: int = 1) -> Iterator[Batch]:
        """Yield the resources of a text of lines; `number` is that of the first one.

        A batch holds the lines that are complete in a portion; a line longer than allowed is skipped to its
        end.
        """
        pending: list[bytes] = []
        size, skipping = 0, False
        for portion in stream:
            end = portion.content.rfind(b"\n") + 1
            if end:
                # One copy: a megabyte costs more to move than to look through.
                text = b"".join((*pending, memoryview(portion.content)[:end]))
                skipped = int(skipping)
                if skipping:
                    text, skipping, number = text.partition(b"\n")[2], False, number + 1
                lines = Lines(text)
                yield from self._batch(lines, name, number, lines_read=skipped + len(lines))
                number += len(lines)
                pending, size = [], 0
            if not skipping:
                pending.append(portion.content[end:])
                size += len(pending[-1])
            if size > self.document_bytes:
                yield failed(name, Reason.TOO_LARGE, line=number, counted=True)
                pending, size, skipping = [], 0, True
            if portion.damaged:
                # What came before the damage is still good; the line it hit is not.
                yield failed(name, Reason.TRUNCATED_FILE)
        rest = Lines(b"".join(pending))
        yield from self._batch(rest, name, number, lines_read=int(skipping) + len(rest))

    def _batch(self, lines: Lines, name: str, number: int, *, lines_read: int) -> Iterator[Batch]:
        text = lines.text
        if not lines_read:
            return
        # Files that were put together keep the mark that each of them began with.
        if not text.isascii() and BOM in text:
            lines = Lines(text.removeprefix(BOM).replace(b"\n" + BOM, b"\n"))
        numbers = range(number, number + len(lines))
        hazardous = is_hazardous(text)
        regular = None if hazardous else decode_regular(lines.text, len(lines))
        # No Bundle is among resources of other types, which spares looking for one in all of the bytes.
        simple = regular is not None and len(text) <= self.resource_bytes
        apart = {} if simple else self._apart(lines)
        if not apart:
            yield Batch(
                name,
                lines,
                numbers,
                hazardous,
                bytes_read=len(text),
                lines_read=lines_read,
                regular=regular,
            )
            return
        # What comes first in the file is mapped first, wherever batches begin and end.
        done = 0
        for index, bundle in apart.items():
            if index > done:
                yield Batch(name, lines[done:index], numbers[done:index], hazardous)
            done = index + 1
            if not bundle:
                yield failed(name, Reason.TOO_LARGE, line=numbers[index], counted=True)
                continue
            for batch in batches_of_bundle(bundle, name, numbers[index]):
                for kept in self._within_limit(batch):
                    yield replace(kept, bytes_read=0)  # they are counted with the lines
        yield Batch(
            name,
            lines[done:],
            numbers[done:],
            hazardous,
            bytes_read=len(text),
            lines_read=lines_read,
        )

    def _apart(self, lines: Lines) -> dict[int, bytes]:
        """Return the lines that are no resource to map: Bundles, and as b"" what is too large to be read."""
        if len(lines.text) <= self.resource_bytes and not _may_hold_bundle(lines.text):
            return {}
        apart: dict[int, bytes] = {}
        for index, line in enumerate(lines[:]):
            if is_bundle(line):
                apart[index] = line
            elif len(line) > self.resource_bytes:
                apart[index] = b""
        return apart


def beginning(stream: Iterator[Portion]) -> tuple[bytes, bool, int]:
    """Return enough of a text to tell what it holds, whether it is damaged there, and its first line number.

    A compressed file may begin with a member of a few bytes, or of blank lines only.
    """
    head, number = b"", 1
    for portion in stream:
        content = portion.content if head else portion.content.removeprefix(BOM)
        if head or content.strip():
            head += content
        else:
            number += content.count(b"\n")
        if portion.damaged or len(head) >= HEAD:
            return head, portion.damaged, number
    return head, False, number


def _may_hold_bundle(text: bytes) -> bool:
    """Return True when a text has the word; most have no such letters, which is seen in half the time."""
    letters = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(letters[:-1] == ord("B"))
    return bool((letters[places + 1] == ord("u")).any()) and b'"Bundle"' in text


def failed(name: str, reason: Reason, *, line: int | None = None, counted: bool = False) -> Batch:
    """Return a batch that holds nothing but a failure."""
    return Batch(name, [], [], False, failures=(Failure(reason, line, counted),))
