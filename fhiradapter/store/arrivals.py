"""Arrivals: resources on their way into the store, in portions of bounded size."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fhiradapter.store.heads import Head, head_of
from fhiradapter.store.mapping import LOOKED_UP

RESOURCES_AT_ONCE = 10_000
BYTES_AT_ONCE = 16 << 20


class Arrival(NamedTuple):
    """One resource as it was sent; `place` says where it is already among the raw files."""

    source: str
    head: Head
    content: bytes
    place: tuple[str, int] | None = None


@dataclass
class Portion:
    """Arrivals that are decided about together; copies of one version were counted and left out."""

    rounds: list[list[Arrival]] = field(default_factory=list)
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)


def arrivals_of(source: str, kind: str, contents: Iterable[bytes]) -> Iterator[Arrival]:
    """Yield resources as they were sent, each on one line; what is blank is none."""
    for content in contents:
        line = content.replace(b"\n", b" ") if b"\n" in content else content
        if line and not line.isspace():
            yield Arrival(source, head_of(line, kind), line)


def portions(arrivals: Iterable[Arrival]) -> Iterator[Portion]:
    """Yield arrivals in portions."""
    pending: list[Arrival] = []
    size = 0
    for arrival in arrivals:
        pending.append(arrival)
        size += len(arrival.content)
        if len(pending) >= RESOURCES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield _portion(pending)
            pending, size = [], 0
    if pending:
        yield _portion(pending)


def _portion(arrivals: Sequence[Arrival]) -> Portion:
    """Split into rounds: no two arrivals of a round are of one resource, and their order is kept."""
    portion = Portion()
    last: dict[tuple[str, str, str], tuple[int, str]] = {}
    for arrival in arrivals:
        source, head = arrival.source, arrival.head
        key = (source, head.type, head.id)
        known = last.get(key)
        if known is not None and known[1] == head.content:
            portion.copies[source, head.type] += 1
            continue
        number = 0 if known is None else known[0] + 1
        last[key] = (number, head.content)
        if number == len(portion.rounds):
            portion.rounds.append([])
        portion.rounds[number].append(arrival)
    for part in portion.rounds:
        # What others refer to comes first; within a type the order of arrival stays.
        part.sort(key=lambda arrival: order_of(arrival.head.type))
    return portion


def order_of(kind: str) -> int:
    """Return the place of a type in the order in which types are mapped."""
    return LOOKED_UP.index(kind) if kind in LOOKED_UP else len(LOOKED_UP)
