"""Planning: the units of one run, from the settings, what the server can do, and what the store has."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from fhiradapter.connection import Server
from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.capabilities import Capabilities, read_capabilities
from fhiradapter.fhir.instants import EPOCH, MICROSECOND, SECOND, instant, written
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.units import Failure, Feed, Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.deletions import HISTORY
from fhiradapter.sync.known import Known, Mark
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.membership import Membership, everybody, members
from fhiradapter.sync.naming import named
from fhiradapter.sync.probe import Ability, Kept, probe
from fhiradapter.sync.reading import PATIENT_TYPE
from fhiradapter.sync.shards import ALL, BESIDE, Shard, shard_of, shards

PROBE_DAYS = 7  # servers are updated in between
RECONCILED, COUNTED, MERGED, UNMERGED = "reconcile/", "count/", "merged/", "unmerged/"
# After these a server is no longer what the probe found.
CHANGED = frozenset({Reason.FILTER_IGNORED, Reason.QUERY_REFUSED, Reason.NOT_OFFERED})


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


def plan(
    source: str,
    server: Server,
    kinds: Sequence[str],
    rest: Rest,
    known: Known,
    *,
    remembered: Probed | None = None,
    reconcile_days: float = 7,
    folder: Path = Path(),
    full: bool = False,
) -> Plan:
    """Return the first stage of a run over some types, in the order of their names with Patient first.

    `remembered` is what an earlier run found out of the server; `full` reads everything again. Raises
    ServerError when the server does not say what it is or who belongs to the cohort.
    """
    wanted = sorted({*kinds, *LOOKED_UP}, key=lambda kind: (kind != PATIENT_TYPE, kind))
    capabilities = read_capabilities(rest, with_smart=remembered is None)
    membership = members(rest, server.cohort, known, folder=folder)
    probed = remembered
    if probed is None or _is_outdated(probed, capabilities, wanted, server):
        probed = _probe(rest, server, capabilities, wanted, membership)
    until = _until(capabilities, server)
    if until is None:
        probed = msgspec.structs.replace(probed, abilities=_without_time(probed.abilities))
    abilities = probed.abilities
    patients = membership.patients
    needing = [kind for kind in wanted if kind not in LOOKED_UP and _needs_patients(abilities[kind])]
    refusal: RefusedAnswerError | None = None
    if patients is None and needing:
        try:
            patients = everybody(rest)
        except RefusedAnswerError as error:
            refusal = error
    begun = Plan(
        source,
        [],
        [],
        probed,
        membership,
        patients,
        until,
        frozenset(kind for kind in wanted if not _main_marks(known, kind)),
        full,
        server,
        reconcile_days,
        capabilities,
    )
    for kind in wanted:
        ability = abilities[kind]
        if kind in LOOKED_UP:
            continue
        if ability.feed is None:
            reason = ability.refused or Reason.QUERY_REFUSED
            begun.excluded.append(_excluded(begun, kind, reason, ability.refused_status))
        elif refusal is not None and kind in needing and kind != PATIENT_TYPE:
            begun.excluded.append(_excluded(begun, kind, Reason(refusal.reason), refusal.status))
        elif ability.feed != "bulk":
            begun.units.extend(_of_type(begun, known, kind))
    return begun


def absent(plan: Plan, known: Known) -> list[Unit]:
    """Return the second stage: what is there no longer."""
    return [unit for kind in _readable(plan) for unit in _deletions(plan, known, kind)]


def merged(plan: Plan, known: Known) -> list[Unit]:
    """Return the third stage: in full whoever was merged or parted; a hidden merge shows as an absence."""
    return [unit for kind in _readable(plan) for unit in _merges(plan, known, kind)]


def last(plan: Plan, known: Known) -> list[Unit]:
    """Return the fourth stage: what was referred to, and the comparison of types that are due for it."""
    units: list[Unit] = []
    for kind, ability in plan.probed.abilities.items():
        if kind in LOOKED_UP:
            since = None if plan.full else _since(plan, _newest(known, kind, ALL))
            units.append(_unit(plan, kind, "lookup", ALL, since=since))
        elif ability.feed == "updated" and plan.until is not None:
            units += _reconciliations(plan, known, kind)
    return units


Stage = Callable[[Plan, Known], list[Unit]]
STAGES: tuple[Stage, ...] = (
    lambda plan, _: plan.units,  # each is planned, and read, after the commit of the one before
    absent,
    merged,
    last,
)


def described(probed: Probed) -> dict[str, str]:
    """Return in words how each type is read, for `fhiradapter check`."""
    return {
        kind: f"{ability.feed or 'not read'}: {'; '.join(ability.why) or 'as the settings say'}"
        for kind, ability in probed.abilities.items()
    }


def _probe(
    rest: Rest, server: Server, capabilities: Capabilities, wanted: Sequence[str], membership: Membership
) -> Probed:
    patients = membership.patients
    if patients is None:
        try:
            patients = tuple(entry.id for entry in rest.search(PATIENT_TYPE, count=5).entries)
        except RefusedAnswerError:
            patients = ()
    feeds: dict[str, Kept] = dict(server.feeds)
    abilities = probe(rest, capabilities, wanted, patients=patients, overruled=feeds)
    date = capabilities.date
    return Probed(abilities, date.isoformat() if date is not None else None, capabilities.software, feeds)


def _is_outdated(probed: Probed, capabilities: Capabilities, wanted: Sequence[str], server: Server) -> bool:
    if capabilities.date is None or probed.at is None:
        return True
    age = capabilities.date - (EPOCH + (instant(probed.at) or 0) * MICROSECOND)
    return (
        age > timedelta(days=PROBE_DAYS)
        or probed.software != capabilities.software
        or probed.feeds != server.feeds
        or not set(wanted) <= set(probed.abilities)
    )


def _until(capabilities: Capabilities, server: Server) -> str | None:
    """Return the end of this run's windows, in whole seconds, by the server's clock and no other."""
    if capabilities.date is None:
        return None
    end = (capabilities.date - EPOCH) // MICROSECOND - int(server.settle_seconds * SECOND)
    return written(end - end % SECOND)


def _without_time(abilities: Mapping[str, Ability]) -> dict[str, Ability]:
    """Without the server's time nothing can be read by time."""
    remark = "the server does not tell its time (no Date), so everything is read each time"
    return {
        kind: msgspec.structs.replace(ability, feed="reread", updates=False, why=(*ability.why, remark))
        if ability.feed == "updated"
        else ability
        for kind, ability in abilities.items()
    }


def _needs_patients(ability: Ability) -> bool:
    """Return True for what is read Patient by Patient although everybody belongs to the cohort."""
    if ability.feed == "reread":
        return ability.patient is not None
    return ability.feed == "updated" and not ability.everything


def _of_type(plan: Plan, known: Known, kind: str) -> list[Unit]:
    ability = plan.probed.abilities[kind]
    feed: Feed = "updated" if ability.feed == "updated" else "reread"
    if plan.membership.patients is None and (kind == PATIENT_TYPE or not _needs_patients(ability)):
        at = None if plan.full else _newest(known, kind, ALL)
        return [_unit(plan, kind, feed, ALL, since=_since(plan, at) if feed == "updated" else None)]
    if ability.patient is None and not ability.everything:
        plan.excluded.append(_excluded(plan, kind, Reason.QUERY_REFUSED, None))
        return []
    return [
        _unit(
            plan,
            kind,
            feed,
            shard.name,
            patients=shard.patients,
            since=_since(plan, None if plan.full else shard.at) if feed == "updated" else None,
        )
        for shard in shards(known.marks(kind), plan.patients or (), _size(plan, kind))
    ]


def _readable(plan: Plan) -> list[str]:
    return [
        kind
        for kind, ability in plan.probed.abilities.items()
        if kind not in LOOKED_UP and ability.feed in {"updated", "reread"}
    ]


def _deletions(plan: Plan, known: Known, kind: str) -> list[Unit]:
    ability = plan.probed.abilities[kind]
    if ability.feed != "updated":
        return []  # a type that is read in full shows by itself what is missing
    units: list[Unit] = []
    if ability.history:
        at = _newest(known, kind, HISTORY) or min(
            (mark.at for mark in _main_marks(known, kind)), default=None
        )
        since = None if kind in plan.first else _since(plan, at)
        units.append(_unit(plan, kind, "deletions", HISTORY, since=since))
    # Merged Patients vanish from searches without having been deleted, so these are counted in any case.
    if kind not in plan.first and (not ability.history or kind == PATIENT_TYPE):
        units += [
            _unit(plan, kind, "deletions", f"{COUNTED}{shard.name}", patients=shard.patients)
            for shard in _groups(plan, kind)
        ]
    return units


def _merges(plan: Plan, known: Known, kind: str) -> list[Unit]:
    """Return units for the pairs of Patients that were merged, or parted, since they were last read in full.

    A mark holds its pairs one after the other. A type that was read for the first time needs no reading.
    """
    ability = plan.probed.abilities[kind]
    done: dict[tuple[str, str], str] = {}
    marks = [mark for mark in known.marks(kind) if mark.shard.startswith((MERGED, UNMERGED))]
    for mark in sorted(marks, key=lambda mark: mark.at):
        what = MERGED if mark.shard.startswith(MERGED) else UNMERGED
        done.update((pair, what) for pair in zip(mark.patients[::2], mark.patients[1::2], strict=True))
    now = {(one.patient, one.survivor) for one in known.replacements()}
    joined = sorted(pair for pair in now if done.get(pair) != MERGED)
    parted = sorted(pair for pair, what in done.items() if what == MERGED and pair not in now)
    if ability.patient is None and not ability.everything:
        return []
    half = max(1, plan.server.patients_at_once // 2)
    units = []
    for what, pairs in ((MERGED, joined), (UNMERGED, parted)):
        for start in range(0, len(pairs), half):
            patients = tuple(key for pair in pairs[start : start + half] for key in pair)
            since = plan.until if kind in plan.first and _is_covered(plan, patients) else None
            feed: Feed = "updated" if ability.feed == "updated" else "reread"
            units.append(
                _unit(plan, kind, feed, f"{what}{shard_of(patients)}", patients=patients, since=since)
            )
    return units


def _is_covered(plan: Plan, patients: Sequence[str]) -> bool:
    """Return True when this run's first stage read some Patients."""
    return plan.membership.patients is None or set(patients) <= set(plan.patients or ())


def _reconciliations(plan: Plan, known: Known, kind: str) -> list[Unit]:
    marks = [
        mark._replace(shard=mark.shard.removeprefix(RECONCILED))
        for mark in known.marks(kind)
        if mark.shard.startswith(RECONCILED)
    ]
    due = _before(plan, plan.reconcile_days)
    if _groups(plan, kind) == [Shard(ALL)]:
        found = [Shard(ALL, (), max((mark.at for mark in marks if mark.shard == ALL), default=None))]
    else:
        found = shards(marks, plan.patients or (), _size(plan, kind))
    return [
        _unit(
            plan,
            kind,
            "reconcile",
            f"{RECONCILED}{shard.name}",
            patients=shard.patients,
            since=plan.until if kind in plan.first else None,
        )
        for shard in found
        if shard.at is None or shard.at <= due or plan.full
    ]


def _groups(plan: Plan, kind: str) -> list[Shard]:
    """Return the Patients of a type some at a time, or one shard of all."""
    ability = plan.probed.abilities[kind]
    if plan.membership.patients is None and (kind == PATIENT_TYPE or not _needs_patients(ability)):
        return [Shard(ALL)]
    return shards((), plan.patients or (), _size(plan, kind))


def _size(plan: Plan, kind: str) -> int:
    """Return how many Patients are read together; all of them where no search asks for some alone."""
    if plan.probed.abilities[kind].patient is None:
        return max(1, len(plan.patients or ()))
    return plan.server.patients_at_once


def _unit(
    plan: Plan, kind: str, feed: Feed, shard: str, *, patients: tuple[str, ...] = (), since: str | None = None
) -> Unit:
    return named(Unit(plan.source, kind, "", feed, shard, patients, since, plan.until))


def _excluded(plan: Plan, kind: str, reason: Reason, status: int | None) -> Fetched:
    return Fetched(_unit(plan, kind, "updated", ALL), failure=Failure(reason, status))


def _main_marks(known: Known, kind: str) -> list[Mark]:
    return [mark for mark in known.marks(kind) if BESIDE not in mark.shard]


def _newest(known: Known, kind: str, shard: str) -> str | None:
    return max((mark.at for mark in known.marks(kind) if mark.shard == shard), default=None)


def _since(plan: Plan, at: str | None) -> str | None:
    """Return where to begin: some time before the last end, for what became visible late."""
    if at is None or plan.until is None:
        return None
    begin = instant(min(at, plan.until)) or 0
    return written(begin - int(plan.server.overlap_seconds * SECOND))


def _before(plan: Plan, days: float) -> str:
    return written((instant(plan.until) or 0) - int(days * 86_400 * SECOND))
