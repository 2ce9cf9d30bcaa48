"""Reading: a text of NDJSON, a document or something else, from its portions to batches of resources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from fhiradapter.fhir.compression import Portion
from fhiradapter.fhir.decoding import BOM, is_hazardous
from fhiradapter.fhir.documents import batches_of_bundle, batches_of_document, is_bundle
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
        head, damaged, number = _beginning(stream)
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
            yield from self._lines(stream, name, number)

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

    def _lines(self, stream: Iterator[Portion], name: str, number: int) -> Iterator[Batch]:
        """Yield the complete lines of each portion; a line longer than allowed is skipped to its end."""
        pending: list[bytes] = []
        size, skipping = 0, False
        for portion in stream:
            end = portion.content.rfind(b"\n") + 1
            if end:
                # One copy: a megabyte costs more to move than to look through.
                text = b"".join((*pending, memoryview(portion.content)[:end]))
                if skipping:
                    text, skipping, number = text.partition(b"\n")[2], False, number + 1
                lines = Lines(text)
                yield from self._batch(lines, name, number)
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
        yield from self._batch(Lines(b"".join(pending)), name, number)

    def _batch(self, lines: Lines, name: str, number: int) -> Iterator[Batch]:
        text = lines.text
        if not text:
            return
        # Files that were put together keep the mark that each of them began with.
        if not text.isascii() and BOM in text:
            lines = Lines(text.replace(b"\n" + BOM, b"\n"))
        numbers = range(number, number + len(lines))
        kept, bundles, large = self._take_out(lines)
        yield Batch(
            name,
            kept,
            numbers,
            is_hazardous(text),
            failures=tuple(Failure(Reason.TOO_LARGE, numbers[index], True) for index in large),
            bytes_read=len(text),
            text=lines.text if kept is lines else None,
        )
        for index, bundle in bundles.items():
            for batch in batches_of_bundle(bundle, name, numbers[index]):
                yield from self._within_limit(batch)

    def _take_out(self, lines: Lines) -> tuple[Sequence[bytes], dict[int, bytes], list[int]]:
        """Take Bundles and too large resources out of the lines; mostly there are none."""
        if len(lines.text) <= self.resource_bytes and b'"Bundle"' not in lines.text:
            return lines, {}, []
        bundles: dict[int, bytes] = {}
        large: list[int] = []
        kept = lines[:]
        for index, line in enumerate(kept):
            if is_bundle(line):
                bundles[index] = line
            elif len(line) > self.resource_bytes:
                large.append(index)
        for index in (*bundles, *large):
            kept[index] = b""
        return (kept if bundles or large else lines), bundles, large


def _beginning(stream: Iterator[Portion]) -> tuple[bytes, bool, int]:
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


def failed(name: str, reason: Reason, *, line: int | None = None, counted: bool = False) -> Batch:
    """Return a batch that holds nothing but a failure."""
    return Batch(name, [], [], False, failures=(Failure(reason, line, counted),))
