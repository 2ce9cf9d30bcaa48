"""Planning: the units of one run, from the settings, what the server can do, and what the store has."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from fhiradapter.connection import Server
from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.capabilities import Capabilities, read_capabilities
from fhiradapter.fhir.instants import EPOCH, MICROSECOND, SECOND, instant, written
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.units import Failure, Feed, Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability, Kept
from fhiradapter.sync.choosing import Exportable, as_searched, chosen
from fhiradapter.sync.known import Known
from fhiradapter.sync.lags import overlap_with
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.membership import Membership, everybody, members
from fhiradapter.sync.plans import (
    Plan,
    Probed,
    begin_of,
    main_marks,
    needs_patients,
    newest,
    size_of,
    unit_of,
)
from fhiradapter.sync.probe import probe
from fhiradapter.sync.reading import PATIENT_TYPE
from fhiradapter.sync.shards import ALL, shards

PROBE_DAYS = 7  # servers are updated in between
# After these a server is no longer what the probe found.
CHANGED = frozenset({Reason.FILTER_IGNORED, Reason.QUERY_REFUSED, Reason.NOT_OFFERED})


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
    lag_seconds: float = 0,
    exportable: Exportable | None = None,
) -> Plan:
    """Return the first stage of a run over some types, in the order of their names with Patient first.

    `remembered` is what an earlier run found out of the server; `full` reads everything again; `lag_seconds`
    is the longest lag seen, `exportable` what may be left to exports. Raises ServerError when the server does
    not say what it is or who belongs to the cohort.
    """
    wanted = sorted({*kinds, *LOOKED_UP}, key=lambda kind: (kind != PATIENT_TYPE, kind))
    capabilities = read_capabilities(rest, with_smart=remembered is None)
    membership = members(rest, server.cohort, known, folder=folder)
    probed = remembered
    if probed is None or _is_outdated(probed, capabilities, wanted, server):
        probed = _still_exported(_probe(rest, server, capabilities, wanted, membership), remembered)
    until = _until(capabilities, server)
    if until is None:
        probed = msgspec.structs.replace(probed, abilities=_without_time(probed.abilities))
    abilities = probed.abilities
    patients = membership.patients
    needing = [kind for kind in wanted if kind not in LOOKED_UP and needs_patients(abilities[kind])]
    refusal: RefusedAnswerError | None = None
    if patients is None and needing:
        try:
            patients = everybody(rest)
        except RefusedAnswerError as error:
            refusal = error
    first = frozenset(kind for kind in wanted if not main_marks(known, kind))
    if exportable is not None and exportable.offers is None:
        exportable = exportable._replace(offers=capabilities.offers)
    abilities = chosen(
        abilities,
        exportable,
        server,
        membership,
        patients=None if patients is None else len(patients),
        first=frozenset(wanted) if full else first,
    )
    probed = msgspec.structs.replace(probed, abilities=abilities)
    begun = Plan(
        source,
        [],
        [],
        probed,
        membership,
        patients,
        until,
        first,
        full,
        server,
        reconcile_days,
        capabilities,
        overlap_with(lag_seconds, at_least=server.overlap_seconds),
    )
    for kind in wanted:
        if kind in LOOKED_UP or abilities[kind].feed == "bulk":
            continue
        if refusal is not None and kind in needing and kind != PATIENT_TYPE:
            begun.excluded.append(_excluded(begun, kind, Reason(refusal.reason), refusal.status))
        else:
            _add(begun, known, kind)
    return begun


def after_exports(plan: Plan, known: Known, *, exported: Collection[str], refused: Mapping[str, str]) -> Plan:
    """Return a plan after its exports: what was chosen for them and they did not bring is searched for.

    `exported` are types of which a full export had something, `refused` are those that it has not, and why.
    Units and exclusions that are new are the last ones.
    """
    abilities = dict(plan.probed.abilities)
    for kind in exported:
        abilities[kind] = msgspec.structs.replace(abilities[kind], exported=True)
    for kind, reason in refused.items():
        choice = f"no export: the server did not export it ({reason})"
        abilities[kind] = msgspec.structs.replace(as_searched(abilities[kind]), exported=False, choice=choice)
    probed = msgspec.structs.replace(plan.probed, abilities=abilities)
    changed = plan._replace(probed=probed, units=list(plan.units), excluded=list(plan.excluded))
    for kind in refused:
        unlisted = plan.membership.patients is None and plan.patients is None
        if kind != PATIENT_TYPE and unlisted and needs_patients(abilities[kind]):
            changed.excluded.append(_excluded(changed, kind, Reason.QUERY_REFUSED, None))
        else:
            _add(changed, known, kind)
    return changed


def described(probed: Probed) -> dict[str, str]:
    """Return in words how each type is read, for `fhiradapter check`."""
    return {
        kind: f"{ability.feed or 'not read'}: {'; '.join(_reasons(ability)) or 'as the settings say'}"
        for kind, ability in probed.abilities.items()
    }


def _reasons(ability: Ability) -> tuple[str, ...]:
    return (*ability.why, ability.choice) if ability.choice is not None else ability.why


def _still_exported(probed: Probed, remembered: Probed | None) -> Probed:
    """Keep of an earlier probe which types exports have; those that they had not are tried again."""
    before = remembered.abilities if remembered is not None else {}
    abilities = {
        kind: msgspec.structs.replace(ability, exported=(kind in before and before[kind].exported) or None)
        for kind, ability in probed.abilities.items()
    }
    return msgspec.structs.replace(probed, abilities=abilities)


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


def _add(plan: Plan, known: Known, kind: str) -> None:
    """Add the units of a type that is searched for, or why it is not."""
    ability = plan.probed.abilities[kind]
    if ability.feed is None:
        reason = ability.refused or Reason.QUERY_REFUSED
        plan.excluded.append(_excluded(plan, kind, reason, ability.refused_status))
    else:
        plan.units.extend(_of_type(plan, known, kind))


def _of_type(plan: Plan, known: Known, kind: str) -> list[Unit]:
    ability = plan.probed.abilities[kind]
    feed: Feed = "updated" if ability.feed == "updated" else "reread"
    if plan.membership.patients is None and (kind == PATIENT_TYPE or not needs_patients(ability)):
        at = None if plan.full else newest(known, kind, ALL)
        return [unit_of(plan, kind, feed, ALL, since=begin_of(plan, at) if feed == "updated" else None)]
    if ability.patient is None and not ability.everything:
        plan.excluded.append(_excluded(plan, kind, Reason.QUERY_REFUSED, None))
        return []
    return [
        unit_of(
            plan,
            kind,
            feed,
            shard.name,
            patients=shard.patients,
            since=begin_of(plan, None if plan.full else shard.at) if feed == "updated" else None,
        )
        for shard in shards(known.marks(kind), plan.patients or (), size_of(plan, kind))
    ]


def _excluded(plan: Plan, kind: str, reason: Reason, status: int | None) -> Fetched:
    return Fetched(unit_of(plan, kind, "updated", ALL), failure=Failure(reason, status))
