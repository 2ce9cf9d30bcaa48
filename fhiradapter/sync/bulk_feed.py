"""The bulk feed: the types of one source that are read by exports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, cast

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import Offers
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.units import Failure, Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.bulk_log import BulkLog
from fhiradapter.sync.circumstances import Circumstances
from fhiradapter.sync.export_downloads import Told
from fhiradapter.sync.export_files import ExportServer
from fhiradapter.sync.export_journal import ExportJournals
from fhiradapter.sync.export_plans import orders, request_of
from fhiradapter.sync.export_runs import run_exports
from fhiradapter.sync.export_states import Order
from fhiradapter.sync.exports import Exports
from fhiradapter.sync.fetching import fetch
from fhiradapter.sync.held import StoreKnown
from fhiradapter.sync.known import Mark
from fhiradapter.sync.naming import named
from fhiradapter.sync.plans import Plan, unit_of
from fhiradapter.sync.reading import Reading

FOLDER = "exports"  # of the store
LOG = "log.ndjson"


def exports_of(
    fetcher: object,
    store: Path,
    settings: Server,
    *,
    source: str,
    given: Circumstances,
    offers: Offers | None = None,
) -> Exports:
    """Return the exports of a source, with their journals and log in the store's folder."""
    folder = store / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)

    def tell(told: Told) -> None:
        if given.note is not None:
            given.note(_sentence(told))

    return Exports(
        cast("ExportServer", fetcher),
        ExportJournals(folder),
        folder,
        settings,
        source=source,
        offers=offers,
        log=BulkLog(folder / LOG),
        tell=tell,
        sleep=given.wait,
        now=given.now,
    )


class Came(NamedTuple):
    """What exports brought of the types that were left to them without a word of the settings."""

    exported: frozenset[str] = frozenset()
    """A full export had something of these."""
    refused: Mapping[str, str] = MappingProxyType({})
    """Types to be searched for after all, and why."""


class BulkFeed:
    """Reads some types of a source by exports, and hands on what came of them."""

    def __init__(
        self, planned: Plan, known: StoreKnown, rest: Rest, given: Circumstances, store: Path
    ) -> None:
        self._planned = planned
        self._known = known
        self._rest = rest
        self._given = given
        self._types = [kind for kind, one in planned.probed.abilities.items() if one.feed == "bulk"]
        self._store = store
        self._offers = planned.capabilities.offers

    def read(self, commit: Callable[[Fetched], object]) -> Came:
        """Go on with the export under way and do those that are needed; parts are committed as they come.

        What failed for good of the types that were chosen for exports is not committed but returned.
        """
        if not self._types and not (self._store / FOLDER).exists():
            return Came()
        server, members = self._planned.server, self._planned.membership.patients
        exports = exports_of(
            self._rest.fetcher,
            self._store,
            server,
            source=self._planned.source,
            given=self._given,
            offers=self._offers,
        )
        if not self._types and exports.held() is None:
            return Came()
        asked = request_of(server, self._types, self._offers, patients=members or ())
        if asked is None and self._types:
            for kind in self._types:
                commit(Fetched(self._unit(kind), failure=Failure(Reason.NOT_OFFERED)))
            return Came()

        def plan() -> Sequence[Order]:
            if asked is None or not self._types:
                return ()
            overlap = self._planned.overlap_seconds
            return orders(asked, self._marks, members=members, overlap_seconds=overlap)

        sieve = _Sieve(self._planned.probed.abilities, commit)
        ran = run_exports(
            exports, plan, sieve.take, read_history=self._history, wait=server.export.wait_seconds
        )
        for order in ran.left:
            for kind in order.request.types:
                commit(Fetched(self._unit(kind, order), failure=Failure(Reason.EXPORT_RUNNING)))
        over = {kind: one.over for one in ran.advances for kind in one.export.request.types}
        return sieve.came(over)

    def _marks(self, kind: str) -> Sequence[Mark]:
        """Return up to when a type was read; exports go on from searches where they surely have it."""
        ability = self._planned.probed.abilities[kind]
        unproven = ability.chosen and ability.exported is not True
        return () if self._planned.full or unproven else self._known.marks(kind)

    def _history(self, order: Order) -> Iterator[Fetched]:
        """Read new members by searches, where the server exports no Patients by name."""
        reading = Reading(self._rest, self._known, self._planned.probed.abilities)
        for kind in order.request.types:
            unit = unit_of(self._planned, kind, "reread", order.shard, patients=tuple(order.request.patients))
            yield from fetch(unit, reading)

    def _unit(self, kind: str, order: Order | None = None) -> Unit:
        shard = order.shard if order is not None else "all"
        patients = tuple(order.members) if order is not None else ()
        return named(Unit(self._planned.source, kind, "", "bulk", shard, patients, None, self._planned.until))


class _Sieve:
    """Commits what exports bring, and keeps back what makes a chosen type one to be searched for."""

    def __init__(self, abilities: Mapping[str, Ability], commit: Callable[[Fetched], object]) -> None:
        self._abilities, self._commit = abilities, commit
        self._failed: list[Fetched] = []
        self._exported: set[str] = set()
        self._refused: dict[str, str] = {}

    def take(self, fetched: Fetched) -> None:
        unit, ability = fetched.unit, self._abilities.get(fetched.unit.type)
        # An export begun by an earlier run may hold types that are searched for now.
        is_asked_for = ability is not None and ability.feed == "bulk" and not ability.chosen
        has_no_file = str(Reason.NO_FILE) in fetched.warnings
        if ability is None or is_asked_for or unit.feed != "bulk":
            self._commit(fetched)
        elif fetched.failure is not None:
            self._failed.append(fetched)
        elif has_no_file and ability.proven and ability.exported is not True:
            # Searches show some, and a server need not say that it never exports a type.
            self._refused[unit.type] = str(Reason.NO_FILE)
        else:
            if fetched.watermark is not None and unit.since is None and not has_no_file:
                self._exported.add(unit.type)
            self._commit(fetched)

    def came(self, over: Mapping[str, bool]) -> Came:
        """Commit the failures of exports that are gone on with; `over` tells the others."""
        for fetched in self._failed:
            if fetched.failure is not None and over.get(fetched.unit.type):
                self._refused[fetched.unit.type] = str(fetched.failure.reason)
            elif self._abilities[fetched.unit.type].chosen:
                self._commit(fetched)
        refused = {kind: why for kind, why in self._refused.items() if self._abilities[kind].chosen}
        return Came(frozenset(self._exported - self._refused.keys()), refused)


def _sentence(told: Told) -> str:
    text = f"export {told.step.lower()}"
    if told.total:
        text += f", {told.done} of {told.total} files, {told.bytes / 1e6:,.0f} MB"
    return f"{text}: {told.text}" if told.text else text
