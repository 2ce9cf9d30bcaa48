"""Memory: bytes, text, dictionaries and objects handed to the library, as a Source."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from fhiradapter.errors import UsageError
from fhiradapter.fhir.compression import Portion
from fhiradapter.fhir.reading import Reader
from fhiradapter.fhir.source import Batch

TOGETHER = 500  # single resources that make one batch
LONGEST_PATH = 4_096  # PATH_MAX of Linux

_encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


@runtime_checkable
class FhirObject(Protocol):
    """A resource of `fhir.resources`, or any object that writes itself as FHIR JSON."""

    def model_dump_json(self) -> str:
        """Return the resource as JSON."""
        ...


@dataclass(frozen=True)
class MemorySource:
    """Resources, Bundles and NDJSON in memory, one or many."""

    content: Any
    reader: Reader = field(default_factory=Reader)

    def batches(self) -> Iterator[Batch]:
        """Yield the resources; raises UsageError for a thing that cannot be FHIR."""
        pending: list[bytes] = []
        number = 0
        for number, item in enumerate(_items(self.content), 1):
            content = to_bytes(item)
            if _is_single(item):
                pending.append(content)
                if len(pending) >= TOGETHER:
                    yield from _together(pending, number)
                    pending = []
                continue
            yield from _together(pending, number - 1)
            pending = []
            yield from self.reader.batches(iter([Portion(content, False)]), f"item-{number}")
        yield from _together(pending, number)


def to_bytes(item: Any) -> bytes:
    """Return one item as JSON bytes.

    Raises UsageError when it is neither bytes, text, a mapping nor an object that writes itself as JSON.
    """
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")  # half a character is refused as INVALID_ENCODING
    if isinstance(item, Mapping):
        try:
            return _encode(item)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError("a resource given as a dict holds something that JSON cannot say") from error
    if isinstance(item, FhirObject):
        return item.model_dump_json().encode()
    raise UsageError(
        f"a resource was given as {type(item).__name__}; give bytes, str, dict, or a fhir.resources object"
    )


def is_path(item: object) -> bool:
    """Return True for a Path, and for a text that can be one: short, in one line, neither JSON nor XML."""
    if not isinstance(item, str):
        return isinstance(item, Path)
    text = item.strip("\ufeff \t\r\n")
    return 0 < len(text) <= LONGEST_PATH and text.isprintable() and not text.startswith(("{", "[", "<"))


def _encode(item: Mapping[str, Any]) -> bytes:
    content = _encoder.encode(item)
    if b"null" in content:
        try:
            json.dumps(item, default=str, allow_nan=False)
        except ValueError:
            # The encoder writes NaN as null, which would say "absent"; a text with NaN in it is refused.
            return json.dumps(item, default=str).encode()
    return content


def _items(content: Any) -> Iterable[Any]:
    if isinstance(content, (bytes, bytearray, memoryview, str, Mapping, FhirObject)):
        return [content]
    if isinstance(content, Iterable):
        return content
    return [content]


def _is_single(item: Any) -> bool:
    """Return True for what is surely one resource, so that many of them make one batch."""
    if isinstance(item, Mapping):
        return item.get("resourceType") != "Bundle"
    return isinstance(item, FhirObject) and type(item).__name__ != "Bundle"


def _together(pending: list[bytes], last: int) -> Iterator[Batch]:
    """Make a batch of some items, of which the last one's number is given."""
    if pending:
        numbers = range(last - len(pending) + 1, last + 1)
        yield Batch("memory", pending, numbers, True, bytes_read=sum(map(len, pending)))
