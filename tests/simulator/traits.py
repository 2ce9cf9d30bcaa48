"""Traits: how a simulated server behaves, one field per trap."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Traits:
    """A server's manners; the defaults are those of a good one."""

    paging: Literal["offset", "snapshot"] = "offset"
    order: Literal["insertion", "newest", "id"] = "insertion"  # of searches that do not ask for one
    sorts: bool = True
    last_updated: Literal["obeyed", "ignored", "refused", "empty"] = "obeyed"
    history: bool = True
    counts: bool = True
    seconds_shown: bool = False  # lastUpdated in whole seconds, searched finer
    zone_shown: bool = False  # lastUpdated with +02:00
    page_cap: int = 50
    largest_count: int | None = None  # a larger _count is refused
    token_seconds: float | None = None  # after that a next link is answered with 410
    expires_once: bool = False  # the first next link of all is answered with 410
    commit_seconds: float = 30.0  # the longest time between lastUpdated and being visible
    relinks_silently: bool = False  # merged resources change without a new version
    hides_merged: bool = False
    cached: bool = False  # the same search again within 60 s is answered from memory, unless it says no-cache
    outcomes: bool = False  # pages hold an OperationOutcome entry
    empty_end: bool = False  # the last page has a next one, which is empty
    subsetted: bool = True  # whether _elements is obeyed
    lists: bool = True  # whether patient=a,b is understood
    dated: bool = True
    needs_patient: frozenset[str] = frozenset()
    needs_category: frozenset[str] = frozenset()
    no_patient_for: frozenset[str] = frozenset()  # types that refuse a search by Patient
    no_updated_for: frozenset[str] = frozenset()  # types that refuse _lastUpdated
    forbidden: frozenset[str] = frozenset()
    broken_patients: frozenset[str] = frozenset()  # searches that touch these end in 500
    hidden: frozenset[str] = field(default_factory=frozenset)  # ids that only a reading by id shows
    barred: frozenset[str] = field(default_factory=frozenset)  # ids that are answered with 403
