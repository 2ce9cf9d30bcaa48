"""Order: what parts told, taken as if one process had read every source from its beginning to its end.

The same rules as in `succession`, for parts that were all mapped before anything was known of the others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhiradapter.cluster.inputs import Input
from fhiradapter.cluster.mapped import Split, Told
from fhiradapter.mappers.lookups import Lookups


@dataclass(frozen=True)
class Order:
    """What holds for the parts of a wave.

    `lines` are the lines of a file before a split, where there are any; `again` the splits that supposed
    something else than what is so, with their first line and the bases; `homes` the bases of all sources.
    """

    lines: dict[Split, int]
    again: dict[Split, tuple[int, frozenset[str]]]
    homes: dict[int, frozenset[str]]


def in_order(told: Iterable[Told], inputs: tuple[Input, ...], homes: Mapping[int, frozenset[str]]) -> Order:
    """Compare what every part supposed with what the parts before it showed."""
    splits: dict[Split, list[Told]] = defaultdict(list)
    for one in sorted(told, key=lambda one: (one.split, one.part)):
        splits[one.split].append(one)
    known = dict(homes)
    lines: dict[Split, int] = {}
    again: dict[Split, tuple[int, frozenset[str]]] = {}
    reached: Counter[int] = Counter()
    for split, parts in splits.items():
        source = inputs[split.file].source
        offset = reached[split.file]
        if offset:
            lines[split] = offset
        for part in parts:
            home = known.get(source, frozenset())
            # A base that was not needed was not supposed either.
            same_home = not home or part.home in (frozenset(), home)
            # Resources without an id are named by their lines.
            if (not same_home or (part.placed and offset)) and split not in again:
                again[split] = (offset + 1, home)
            known[source] = home or part.home
            reached[split.file] += part.lines_read
    return Order(lines, again, known)


def latest(*waves: Iterable[Told]) -> list[Told]:
    """Return the parts in their order, of splits that were mapped several times those of the last."""
    found: dict[Split, list[Told]] = {}
    for wave in waves:
        parts: dict[Split, list[Told]] = defaultdict(list)
        for one in wave:
            parts[one.split].append(one)
        found |= parts
    return sorted((one for parts in found.values() for one in parts), key=lambda one: (one.split, one.part))


def lookups_of(told: Iterable[Told], inputs: tuple[Input, ...]) -> dict[int, Lookups]:
    """Return what the resources of each source refer to, from parts in their order."""
    found: dict[int, Lookups] = {}
    for one in told:
        found.setdefault(inputs[one.split.file].source, Lookups()).take(one.lookups)
    return found
