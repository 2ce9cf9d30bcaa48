"""Stages: the parts of a run, each planned and read after the commit of the one before."""

from collections.abc import Callable, Sequence

from fhiradapter.fhir.instants import SECOND, instant, written
from fhiradapter.fhir.units import Feed, Unit
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.deletions import HISTORY
from fhiradapter.sync.known import Known
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.plans import Plan, begin_of, groups, main_marks, newest, size_of, unit_of
from fhiradapter.sync.reading import PATIENT_TYPE
from fhiradapter.sync.shards import ALL, Shard, shard_of, shards

RECONCILED, COUNTED, MERGED, UNMERGED = "reconcile/", "count/", "merged/", "unmerged/"


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
            since = None if plan.full else begin_of(plan, newest(known, kind, ALL))
            units.append(unit_of(plan, kind, "lookup", ALL, since=since))
        elif _is_compared(ability) and plan.until is not None:
            units += _reconciliations(plan, known, kind)
    return units


Stage = Callable[[Plan, Known], list[Unit]]
STAGES: tuple[Stage, ...] = (
    lambda plan, _: plan.units,  # each is planned, and read, after the commit of the one before
    absent,
    merged,
    last,
)


def _readable(plan: Plan) -> list[str]:
    return [
        kind
        for kind, ability in plan.probed.abilities.items()
        if kind not in LOOKED_UP and (ability.feed == "reread" or _is_followed(ability))
    ]


def _is_followed(ability: Ability) -> bool:
    """Return True for what is read by what changed: deletions have to be asked for.

    Of exports too, as their list of deletions is often empty because nobody looked; where searches work.
    """
    return ability.feed == "updated" or (ability.feed == "bulk" and ability.updates)


def _is_compared(ability: Ability) -> bool:
    """Return True for what has to be compared with the server from time to time.

    Where exports read what searches by time do not, nothing else tells of deletions: all of it is read again.
    """
    searchable = ability.everything or ability.patient is not None
    return _is_followed(ability) or (ability.feed == "bulk" and searchable)


def _deletions(plan: Plan, known: Known, kind: str) -> list[Unit]:
    ability = plan.probed.abilities[kind]
    if not _is_followed(ability):
        return []  # a type that is read in full shows by itself what is missing
    units: list[Unit] = []
    if ability.history:
        at = newest(known, kind, HISTORY) or min((mark.at for mark in main_marks(known, kind)), default=None)
        begin = None if kind in plan.first else begin_of(plan, at)
        units.append(unit_of(plan, kind, "deletions", HISTORY, since=begin))
    # Merged Patients vanish from searches without having been deleted, so these are counted in any case.
    if kind not in plan.first and (not ability.history or kind == PATIENT_TYPE):
        units += [
            unit_of(plan, kind, "deletions", f"{COUNTED}{shard.name}", patients=shard.patients)
            for shard in groups(plan, kind)
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
                unit_of(plan, kind, feed, f"{what}{shard_of(patients)}", patients=patients, since=since)
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
    by_time = _is_followed(plan.probed.abilities[kind]) or kind in plan.first
    if groups(plan, kind) == [Shard(ALL)]:
        found = [Shard(ALL, (), max((mark.at for mark in marks if mark.shard == ALL), default=None))]
    else:
        found = shards(marks, plan.patients or (), size_of(plan, kind))
    return [
        unit_of(
            plan,
            kind,
            "reconcile" if by_time else "reread",
            f"{RECONCILED}{shard.name}",
            patients=shard.patients,
            since=plan.until if kind in plan.first else None,
        )
        for shard in found
        if shard.at is None or shard.at <= due or plan.full
    ]


def _before(plan: Plan, days: float) -> str:
    return written((instant(plan.until) or 0) - int(days * 86_400 * SECOND))
