"""Runs: syncs of a simulated server while others write, and what was lost when they have stopped."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fhiradapter.connection import Members, Server
from fhiradapter.fhir.instants import instant, written
from fhiradapter.fhir.rest import Rest
from fhiradapter.sync.fetching import fetch
from fhiradapter.sync.lags import Lags
from fhiradapter.sync.planning import plan
from fhiradapter.sync.plans import Plan, Probed
from fhiradapter.sync.reading import Reading
from fhiradapter.sync.stages import STAGES

from .server import KINDS, Simulator
from .store import MemoryStore
from .traits import Traits

READ = ("Patient", "Observation", "MedicationAdministration", "Condition")
QUIET_SECONDS = 200.0


@dataclass(frozen=True)
class Setting:
    """A way in which a server behaves and is read."""

    name: str
    traits: Traits
    server: Server = field(default_factory=lambda: Server(page_size=100))
    naive: bool = True  # whether a cursor on lastUpdated can be tried at all


EVERYONE = Server(page_size=100, patients_at_once=10)
SOME = Server(page_size=100, patients_at_once=8, cohort=Members(group="cohort"))

SETTINGS: tuple[Setting, ...] = (
    Setting("sorted, history, offset", Traits(), EVERYONE),
    Setting("sorted, counts, snapshot", Traits(paging="snapshot", history=False), EVERYONE),
    Setting("unsorted, history, offset", Traits(sorts=False, order="newest"), EVERYONE),
    Setting(
        "unsorted, counts, tokens expire",
        Traits(sorts=False, history=False, paging="snapshot", token_seconds=20.0, order="id"),
        EVERYONE,
    ),
    Setting("whole seconds, offset", Traits(seconds_shown=True, history=False), EVERYONE),
    Setting(
        "offset of zone, outcomes, empty end",
        Traits(zone_shown=True, outcomes=True, empty_end=True, cached=True),
        EVERYONE,
    ),
    Setting("_lastUpdated ignored: reread", Traits(last_updated="ignored"), EVERYONE, naive=False),
    Setting(
        "_lastUpdated refused: reread, one by one, snapshot",
        Traits(last_updated="refused", lists=False, paging="snapshot", token_seconds=30.0),
        EVERYONE,
        naive=False,
    ),
    Setting(
        "a Group, in shards, counts, merges silent and hidden",
        Traits(history=False, relinks_silently=True, hides_merged=True),
        SOME,
    ),
    Setting(
        "a Group, types without a search by Patient",
        Traits(no_patient_for=frozenset({"Condition", "Observation"}), history=False, order="newest"),
        SOME,
    ),
    Setting("empty when asked by time: reread; Group", Traits(last_updated="empty"), SOME, naive=False),
)


class Loss(NamedTuple):
    """What differs from the truth in the end."""

    lost: int
    stale: int
    undeleted: int
    duplicates: int


class Outcome(NamedTuple):
    """What came of one seed."""

    setting: str
    loss: Loss
    naive: Loss | None
    resources: int
    requests: int
    runs: int
    failures: tuple[str, ...]


def sync(
    simulator: Simulator,
    store: MemoryStore,
    server: Server,
    remembered: Probed | None = None,
    lags: Lags | None = None,
    **more: bool,
) -> Plan:
    """Run one sync, as a whole, stage by stage."""
    store.begin_run()
    rest = Rest(simulator, page_size=server.page_size)
    lags = lags or Lags(settle_seconds=server.settle_seconds)
    planned = plan("ehr", server, READ, rest, store, remembered=remembered, lag_seconds=lags.longest, **more)
    reading = Reading(rest, store, planned.probed.abilities, lags)
    for fetched in planned.excluded:
        store.take(fetched)
    for stage in STAGES:
        for unit in stage(planned, store):
            for fetched in fetch(unit, reading):
                store.take(fetched)
    return planned


def run_seed(
    seed: int, writes: int, setting: Setting, *, every: float = 900.0, naive: bool = True
) -> Outcome:
    """Sync a server again and again while it is written to, then once when it is quiet."""
    simulator = simulated(seed, setting)
    store = MemoryStore()
    end = simulator.plan_writes(writes)
    runs = 0
    remembered: Probed | None = None
    while simulator.now < end:
        remembered = sync(simulator, store, setting.server, remembered).probed
        runs += 1
        simulator.advance(every)
    simulator.advance(QUIET_SECONDS)
    store.failures.clear()
    sync(simulator, store, setting.server, remembered)
    truth = expected(simulator, setting.server)
    beside = _naive(seed, writes, setting, every) if naive and setting.naive else None
    return Outcome(
        setting.name,
        loss(simulator, store, truth),
        beside,
        len(truth),
        len(simulator.requests),
        runs + 1,
        tuple(f"{name}: {failure.reason}" for name, failure in store.failures),
    )


def simulated(seed: int, setting: Setting) -> Simulator:
    simulator = Simulator(seed, setting.traits)
    simulator.groups["cohort"] = tuple(f"p{number}" for number in range(0, 30, 2))
    return simulator


def expected(simulator: Simulator, server: Server) -> dict[tuple[str, str], object]:
    """Return what a store has to have: everything, or what belongs to the cohort and its survivors."""
    truth = simulator.truth()
    members: set[str | None] | None = None
    if server.cohort.group is not None:
        members = set(simulator.groups[server.cohort.group])
        for _ in range(len(truth)):
            more = {
                version.survivor
                for (kind, key), version in truth.items()
                if kind == "Patient" and key in members and version.survivor
            }
            if more <= members:
                break
            members |= more
    kept = {
        key: version
        for key, version in truth.items()
        if key[0] != "Medication" and (members is None or version.patient in members)
    }
    used = {f"m{n}" for n in range(5) if any(b"Medication/m%d" % n in v.content for v in kept.values())}
    return {**kept, **{key: v for key, v in truth.items() if key[0] == "Medication" and key[1] in used}}


def loss(simulator: Simulator, store: MemoryStore, truth: Mapping[tuple[str, str], object]) -> Loss:
    """Compare a store with the truth; what moved to somebody outside of the cohort is not asked for."""
    lost = stale = undeleted = 0
    for (kind, key), version in truth.items():
        row = store.rows.get(kind, {}).get(key)
        if row is None or row[0].state in {"deleted", "gone"}:
            lost += 1
        elif row[1].content != version.content:  # type: ignore[attr-defined]
            stale += 1
    everything = simulator.truth()
    for kind in KINDS:
        for key, (held, _) in store.rows.get(kind, {}).items():
            undeleted += held.state == "current" and (kind, key) not in everything
    return Loss(lost, stale, undeleted, store.duplicates)


def _naive(seed: int, writes: int, setting: Setting, every: float) -> Loss:
    """Do the same with a cursor: greater than the newest lastUpdated seen, and the server's own pages."""
    simulator = simulated(seed, setting)
    end = simulator.plan_writes(writes)
    rows: dict[tuple[str, str], tuple[int, bytes]] = {}
    cursors: dict[str, int] = {}
    quiet = False
    while True:
        for kind in READ:
            _read_on(simulator, kind, setting, rows, cursors)
        if quiet:
            break
        if simulator.now < end:
            simulator.advance(every)
        if simulator.now >= end:
            simulator.advance(QUIET_SECONDS)
            quiet = True
    truth = {key: v for key, v in expected(simulator, setting.server).items() if key[0] != "Medication"}
    lost = sum(key not in rows for key in truth)
    stale = sum(key in rows and rows[key][1] != v.content for key, v in truth.items())  # type: ignore[attr-defined]
    everything = simulator.truth()
    return Loss(lost, stale, sum(key not in everything for key in rows), 0)


def _read_on(
    simulator: Simulator,
    kind: str,
    setting: Setting,
    rows: dict[tuple[str, str], tuple[int, bytes]],
    cursors: dict[str, int],
) -> None:
    rest = Rest(simulator, page_size=setting.server.page_size)
    newer = (("_lastUpdated", f"gt{written(cursors[kind])}"),) if kind in cursors else ()
    newest = cursors.get(kind, 0)
    try:
        for page in rest.pages(kind, (*newer, ("_sort", "_lastUpdated"))):
            for entry in page.entries:
                at = instant(entry.updated) or 0
                newest = max(newest, at)
                old = rows.get((kind, entry.id))
                if old is None or old[0] <= at:
                    rows[kind, entry.id] = at, entry.content
    except Exception:  # noqa: BLE001 - a naive client stops at an expired page and goes on next time
        pass
    if newest:
        cursors[kind] = newest


def outcomes(seeds: int, writes: int, *, naive: bool = True) -> Iterator[Outcome]:
    """Yield what came of each seed; the settings take turns."""
    for seed in range(seeds):
        yield run_seed(seed, writes, SETTINGS[seed % len(SETTINGS)], naive=naive)


def table(found: list[Outcome]) -> str:
    """Return the outcomes by setting, the naive cursor's loss beside."""
    lines = [
        f"{'synthetic server':54} seeds  resources  requests"
        "  lost stale undeleted twice | naive cursor: lost stale"
    ]
    for setting in SETTINGS:
        own = [outcome for outcome in found if outcome.setting == setting.name]
        if not own:
            continue
        beside = [outcome.naive for outcome in own if outcome.naive is not None]
        naive = (
            f"{sum(n.lost for n in beside):18} {sum(n.stale for n in beside):5}" if beside else f"{'-':>18}"
        )
        lines.append(
            f"{setting.name:54} {len(own):5} {sum(o.resources for o in own):10,}"
            f" {sum(o.requests for o in own):9,} {sum(o.loss.lost for o in own):5}"
            f" {sum(o.loss.stale for o in own):5} {sum(o.loss.undeleted for o in own):9}"
            f" {sum(o.loss.duplicates for o in own):5} | {naive}"
        )
    return "\n".join(lines)
