"""Memory: bytes, text, dictionaries and objects handed to the library, as a Source."""

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
        for item, number in zip(_items(self.content), range(1, 2**62), strict=False):
            content = to_bytes(item)
            if _is_single(item):
                pending.append(content)
                if len(pending) >= TOGETHER:
                    yield from _together(pending)
                    pending = []
                continue
            yield from _together(pending)
            pending = []
            yield from self.reader.batches(iter([Portion(content, False)]), f"item-{number}")
        yield from _together(pending)


def to_bytes(item: Any) -> bytes:
    """Return one item as JSON bytes.

    Raises UsageError when it is neither bytes, text, a mapping nor an object that writes itself as JSON.
    """
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, Mapping):
        try:
            return msgspec.json.encode(item, enc_hook=str)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError("a resource given as a dict holds something that JSON cannot say") from error
    if isinstance(item, FhirObject):
        return item.model_dump_json().encode()
    raise UsageError(
        f"a resource was given as {type(item).__name__}; give bytes, str, dict, or a fhir.resources object"
    )


def is_path(item: object) -> bool:
    """Return True for a Path, and for a text that is no JSON."""
    return isinstance(item, Path) or (
        isinstance(item, str) and not item.lstrip("\ufeff \t\r\n").startswith(("{", "["))
    )


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


def _together(pending: list[bytes]) -> Iterator[Batch]:
    if pending:
        yield Batch("memory", pending, range(1, len(pending) + 1), True, bytes_read=sum(map(len, pending)))
