"""The bulk feed: the types of one source that are read by exports."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import Offers, offers_of
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.units import Failure, Fetched, Unit
from fhiradapter.reasons import Reason
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

    def read(self, commit: Callable[[Fetched], object]) -> None:
        """Go on with the export under way and do those that are needed; parts are committed as they come."""
        if not self._types:
            return
        server, members = self._planned.server, self._planned.membership.patients
        offers = offers_of(self._rest.document("metadata").body)
        asked = request_of(server, self._types, offers, patients=members or ())
        if asked is None:
            for kind in self._types:
                commit(Fetched(self._unit(kind), failure=Failure(Reason.NOT_OFFERED)))
            return

        def plan() -> Sequence[Order]:
            marks = (lambda _: ()) if self._planned.full else self._known.marks
            return orders(asked, marks, members=members, overlap_seconds=server.overlap_seconds)

        exports = exports_of(
            self._rest.fetcher,
            self._store,
            server,
            source=self._planned.source,
            given=self._given,
            offers=offers,
        )
        ran = run_exports(exports, plan, commit, read_history=self._history, wait=server.export.wait_seconds)
        for order in ran.left:
            for kind in order.request.types:
                commit(Fetched(self._unit(kind, order), failure=Failure(Reason.EXPORT_RUNNING)))

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


def _sentence(told: Told) -> str:
    text = f"export {told.step.lower()}"
    if told.total:
        text += f", {told.done} of {told.total} files, {told.bytes / 1e6:,.0f} MB"
    return f"{text}: {told.text}" if told.text else text
