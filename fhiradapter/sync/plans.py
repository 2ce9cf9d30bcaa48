"""Plans: what one run reads, and what its units are made of."""

from typing import NamedTuple

import msgspec

from fhiradapter.connection import Server
from fhiradapter.fhir.capabilities import Capabilities
from fhiradapter.fhir.instants import SECOND, instant, written
from fhiradapter.fhir.units import Feed, Fetched, Unit
from fhiradapter.sync.abilities import Ability, Kept
from fhiradapter.sync.known import Known, Mark
from fhiradapter.sync.membership import Membership
from fhiradapter.sync.naming import named
from fhiradapter.sync.reading import PATIENT_TYPE
from fhiradapter.sync.shards import ALL, BESIDE, Shard, shards


class Probed(msgspec.Struct, frozen=True):
    """What the probe found, to be kept between runs as JSON (`msgspec.json`)."""

    abilities: dict[str, Ability]
    at: str | None
    """The server's time."""
    software: str | None
    feeds: dict[str, Kept] = {}
    """The settings' feeds at that time."""


class Plan(NamedTuple):
    """One run's units; those of later stages are planned when the earlier ones were committed."""

    source: str
    units: list[Unit]
    """The first stage: what changed, or everything, of each type."""
    excluded: list[Fetched]
    """What cannot be read, each with its reason."""
    probed: Probed
    membership: Membership
    patients: tuple[str, ...] | None
    """Everybody, where types are read Patient by Patient; null: not needed."""
    until: str | None
    """The end of every window: the server's time less what has to settle."""
    first: frozenset[str]
    """Types that were never read before."""
    full: bool
    """Whether everything is read again."""
    server: Server
    reconcile_days: float
    capabilities: Capabilities
    overlap_seconds: float
    """What is read again from the last run."""


def unit_of(
    plan: Plan, kind: str, feed: Feed, shard: str, *, patients: tuple[str, ...] = (), since: str | None = None
) -> Unit:
    """Return a unit of a plan, which ends when the plan does."""
    return named(Unit(plan.source, kind, "", feed, shard, patients, since, plan.until))


def needs_patients(ability: Ability) -> bool:
    """Return True for what searches read Patient by Patient although everybody belongs to the cohort.

    What exports read is searched for as well: for what was deleted, and where an export fails.
    """
    feed = ability.feed
    if feed == "bulk":
        feed = ability.searched if ability.chosen else "updated" if ability.updates else "reread"
    if feed == "reread":
        return ability.patient is not None
    return feed == "updated" and not ability.everything


def groups(plan: Plan, kind: str) -> list[Shard]:
    """Return the Patients of a type some at a time, or one shard of all."""
    ability = plan.probed.abilities[kind]
    if plan.membership.patients is None and (kind == PATIENT_TYPE or not needs_patients(ability)):
        return [Shard(ALL)]
    return shards((), plan.patients or (), size_of(plan, kind))


def size_of(plan: Plan, kind: str) -> int:
    """Return how many Patients are read together; all of them where no search asks for some alone."""
    if plan.probed.abilities[kind].patient is None:
        return max(1, len(plan.patients or ()))
    return plan.server.patients_at_once


def main_marks(known: Known, kind: str) -> list[Mark]:
    """Return the marks of a type's own units, without those of what is read beside them."""
    return [mark for mark in known.marks(kind) if BESIDE not in mark.shard]


def newest(known: Known, kind: str, shard: str) -> str | None:
    """Return up to when a shard was read."""
    return max((mark.at for mark in known.marks(kind) if mark.shard == shard), default=None)


def begin_of(plan: Plan, at: str | None) -> str | None:
    """Return where to begin: some time before the last end, for what became visible late."""
    if at is None or plan.until is None:
        return None
    begin = instant(min(at, plan.until)) or 0
    return written(begin - int(plan.overlap_seconds * SECOND))
