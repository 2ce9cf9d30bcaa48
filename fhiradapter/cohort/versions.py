"""Versions: which of several receipts of one resource is the newest, and which are its copies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhiradapter.cohort.receipts import MAPPED, Copy, Place
from fhiradapter.reasons import QUARANTINED, Reason


@dataclass
class Verdict:
    """What becomes of copies.

    `dropped` are places whose rows are dropped, with the reason; `differing` are the second, third, ...
    places of contents that differ under one version, with their number.
    """

    dropped: dict[Place, Reason] = field(default_factory=dict)
    differing: dict[Place, int] = field(default_factory=dict)


def judge(groups: Iterable[list[Copy]], content: Mapping[Place, Any], verdict: Verdict) -> None:
    """Keep the newest version of each resource, once; the verdict gets what is not kept.

    Newer is the later lastUpdated, then the greater versionId where all are numbers, then, where both were
    sent and differ, the later arrival. Receipts of one version, or without any, are copies when their
    content is equal; otherwise all of them are kept, since nothing tells which one is right.
    """
    for group in groups:
        # What could not be read cannot replace what could.
        usable = [copy for copy in group if copy.disposition != QUARANTINED]
        if len(usable) < 2:
            continue
        numeric = all(copy.version is not None and copy.version.isdecimal() for copy in usable)
        newest = max(_rank(copy, numeric) for copy in usable)
        current = [copy for copy in usable if _rank(copy, numeric) == newest]
        if not numeric and len({copy.version for copy in current}) > 1:
            last = current[-1].version
            current = [copy for copy in current if copy.version == last]
        kept: list[Any] = []
        for copy in usable:
            if copy not in current:
                if copy.disposition == MAPPED:
                    verdict.dropped[copy.place] = Reason.SUPERSEDED
                continue
            found = (copy.disposition, content.get(copy.place))
            if found in kept:
                if copy.disposition == MAPPED:
                    verdict.dropped[copy.place] = Reason.DUPLICATE
            else:
                kept.append(found)
                if len(kept) > 1:
                    verdict.differing[copy.place] = len(kept)


def _rank(copy: Copy, numeric: bool) -> tuple[int, int]:
    updated = copy.updated if copy.updated is not None else -(2**63)
    return updated, int(copy.version) if numeric and copy.version is not None else 0
