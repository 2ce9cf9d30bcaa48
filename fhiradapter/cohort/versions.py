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
    places of contents that differ under one version, with their number; `outdated` those of which a newer
    version came that could not be read.
    """

    dropped: dict[Place, Reason] = field(default_factory=dict)
    differing: dict[Place, int] = field(default_factory=dict)
    outdated: set[Place] = field(default_factory=set)


def judge(groups: Iterable[list[Copy]], content: Mapping[Place, Any], verdict: Verdict) -> None:
    """Keep the newest version of each resource, once; the verdict gets what is not kept.

    Newer is the later lastUpdated, then the greater versionId where all are numbers, then, where both were
    sent and differ, the later arrival. Receipts of one version, or without any, are copies when their
    content is equal; otherwise all of them are kept, since nothing tells which one is right.
    """
    for group in groups:
        # What could not be read cannot replace what could.
        usable = [copy for copy in group if copy.disposition != QUARANTINED]
        if not usable:
            continue
        numeric = all((copy.version or "").isdecimal() for copy in usable)
        current = _current(usable, numeric)
        newest = _rank(current[0], numeric)
        unread = [copy for copy in group if copy.disposition == QUARANTINED]
        if any(_rank(copy, numeric) > newest for copy in unread):
            verdict.outdated.update(copy.place for copy in current if copy.disposition == MAPPED)
        _compare(usable, {copy.place for copy in current}, content, verdict)


def _current(usable: list[Copy], numeric: bool) -> list[Copy]:
    """Return the receipts of the newest version."""
    newest = max(_rank(copy, numeric) for copy in usable)
    current = [copy for copy in usable if _rank(copy, numeric) == newest]
    versions = {copy.version for copy in current}
    # Arrival decides only between versions that were both named.
    if numeric or None in versions or len(versions) == 1:
        return current
    return [copy for copy in current if copy.version == current[-1].version]


def _compare(usable: list[Copy], current: set[Place], content: Mapping[Place, Any], verdict: Verdict) -> None:
    """Drop older versions, and of one version the receipts with equal content; number those that differ."""
    kept: set[str] = set()
    for copy in usable:
        if copy.place not in current:
            if copy.disposition == MAPPED:
                verdict.dropped[copy.place] = Reason.SUPERSEDED
            continue
        found = repr((copy.disposition, content.get(copy.place)))
        if found in kept:
            if copy.disposition == MAPPED:
                verdict.dropped[copy.place] = Reason.DUPLICATE
            continue
        kept.add(found)
        if len(kept) > 1:
            verdict.differing[copy.place] = len(kept)


def _rank(copy: Copy, numeric: bool) -> tuple[int, int]:
    updated = copy.updated if copy.updated is not None else -(2**63)
    version = copy.version or ""
    return updated, int(version) if numeric and version.isdecimal() else 0
