"""The Source protocol: where resources come from, as batches of the bytes of single resources."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, overload

import numpy as np

from fhiradapter.reasons import Reason

COUNTED_AT_ONCE = 1 << 16  # bytes


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


class Lines(Sequence[bytes]):
    """The lines of a text, which are cut apart only when one of them is asked for."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._cut: list[bytes] | None = None
        letters = np.frombuffer(text, np.uint8)
        # Some at a time, since fresh memory for each of them would cost more than looking at it.
        count = sum(
            int(np.count_nonzero(letters[start : start + COUNTED_AT_ONCE] == ord("\n")))
            for start in range(0, len(letters), COUNTED_AT_ONCE)
        )
        self._count = count + (not text.endswith(b"\n")) if text else 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if self._cut is None:
            self._cut = self.text.split(b"\n")[: self._count]
        return self._cut[index]


@dataclass(frozen=True)
class Batch:
    """Resources of one file, one per item of `lines`; an empty item is a blank line.

    `numbers` are their lines in the file, or their entries in the Bundle, counted from 1. `ids` are those of
    entries that have no id of their own. `hazardous` says that a close look at each item is needed.
    """

    file: str
    lines: Sequence[bytes]
    numbers: range | list[int]
    hazardous: bool
    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bases: frozenset[str] = frozenset()
    ids: Mapping[int, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    bytes_read: int = 0
    lines_read: int = 0
    """Bytes and lines of the file that were read for it, those of Bundles among them."""
    regular: Sequence[Any] | None = None
    """The resources in their reduced forms (`fhir.regular`), one for each line, where all have one."""


class Source(Protocol):
    """Anything that resources are read from."""

    def batches(self) -> Iterator[Batch]:
        """Yield the resources in batches of bounded size; failures travel with the batches."""
        ...
