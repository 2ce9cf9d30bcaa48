"""Abilities: how each type of a server can be read."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from fhiradapter.reasons import Reason

Kept = Literal["updated", "reread", "bulk"]


class Ability(msgspec.Struct, frozen=True):
    """How one type of a server is read; msgspec can write and read it as JSON."""

    feed: Kept | None
    """Null: it cannot be read, for the reason of `refused`."""
    why: tuple[str, ...]
    """The findings, in words."""
    patient: str | None = None
    """The parameter that asks for one Patient's resources."""
    several: bool = False
    """Whether it takes a list of Patients."""
    everything: bool = False
    """Whether a search needs no Patient."""
    ordered: bool = False
    """Whether `_sort=_lastUpdated` is obeyed."""
    tied: bool = False
    """True when all resources had one time, so that no order could be seen."""
    history: bool = False
    counts: bool = False
    updates: bool = False
    """Whether `_lastUpdated` is obeyed."""
    categories: tuple[str, ...] = ()
    page_size: int | None = None
    """The largest one that is not refused, where the usual one is."""
    refused: Reason | None = None
    refused_status: int | None = None
    proven: bool = True
    """False when the type was empty, so that its abilities are taken from the server's other types."""
    total: int | None = None
    """How many resources the server counted, where a search needs no Patient."""
    exported: bool | None = None
    """Whether a full export had the type; null: none was tried. Servers leave types out without a word."""
    chosen: bool = False
    """True when exports were chosen by `choosing.RULE`."""
    searched: Kept | None = None
    """The feed that it has otherwise."""
    choice: str | None = None
    """Why exports were chosen, or were not."""


def as_the_others(ability: Ability, proven: Sequence[Ability]) -> Ability:
    """Take an empty type, which shows nothing, to be like the others where all of them are alike."""
    if not proven or not all(other.updates for other in proven):
        return ability
    return msgspec.structs.replace(
        ability,
        feed="updated",
        updates=True,
        ordered=are_ordered(proven),
        several=ability.patient is not None and all(other.several for other in proven if other.patient),
        why=(*ability.why, "the server's other types obey _lastUpdated"),
    )


def are_ordered(proven: Sequence[Ability]) -> bool:
    """Return True where the order was obeyed in each type that shows one."""
    return all(other.ordered or other.tied for other in proven) and any(other.ordered for other in proven)


def as_asked_for(ability: Ability, wanted: Kept) -> Ability:
    """Return an ability with the feed that the settings ask for."""
    why = (*ability.why, f"the settings ask for {wanted}")
    if wanted == "updated":
        return msgspec.structs.replace(ability, feed=wanted, updates=True, why=why)
    return msgspec.structs.replace(ability, feed=wanted, why=why)
