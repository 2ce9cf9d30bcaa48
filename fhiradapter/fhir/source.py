"""The Source protocol: where resources come from, as batches of the bytes of single resources."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fhiradapter.reasons import Reason


class Version(NamedTuple):
    """Which version of which resource an entry speaks of that holds none of it, such as a deletion."""

    resource_type: str
    id: str
    version_id: str | None = None
    last_updated: str | None = None


class Failure(NamedTuple):
    """Something of the input that is no resource: a file, a line or an entry, and why."""

    reason: Reason
    line: int | None = None
    counted: bool = False
    """True when it stands for a resource that was received and cannot be read."""
    version: Version | None = None
    """The deleted version; what came before it is no fact any more."""


@dataclass(frozen=True)
class Batch:
    """Resources of one file, one per item of `lines`; an empty item is a blank line.

    `numbers` are their lines in the file, or their entries in the Bundle, counted from 1. `ids` are those of
    entries that have no id of their own. `hazardous` says that a close look at each item is needed.
    """

    file: str
    lines: list[bytes]
    numbers: range | list[int]
    hazardous: bool
    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bases: frozenset[str] = frozenset()
    ids: Mapping[int, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    bytes_read: int = 0
    text: bytes | None = None
    """The lines as they stand in the file, where none was taken out."""


class Source(Protocol):
    """Anything that resources are read from."""

    def batches(self) -> Iterator[Batch]:
        """Yield the resources in batches of bounded size; failures travel with the batches."""
        ...
