"""One server's part of a run: planned, fetched and committed stage by stage."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fhiradapter.errors import AuthenticationError
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.smart import SmartBackend
from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.settings import Source, Study
from fhiradapter.store.store import Store
from fhiradapter.sync.bulk_feed import BulkFeed
from fhiradapter.sync.choosing import Exportable
from fhiradapter.sync.circumstances import Circumstances
from fhiradapter.sync.crew import Crew
from fhiradapter.sync.fetching import fetch
from fhiradapter.sync.held import StoreKnown
from fhiradapter.sync.lags import Lags
from fhiradapter.sync.logs import say
from fhiradapter.sync.lookups import LOOKED_UP
from fhiradapter.sync.planning import CHANGED, after_exports, plan
from fhiradapter.sync.plans import Plan, Probed
from fhiradapter.sync.reading import Reading
from fhiradapter.sync.stages import STAGES

ENTRIES_AT_ONCE = 10_000  # of one commit; a commit costs some hundredths of a second besides its rows


class SourceRun:
    """One server's part of a run."""

    def __init__(self, store: Store, source: Source, rest: Rest, given: Circumstances, run_id: str) -> None:
        self._store = store
        self._source = source
        self._rest = rest
        self._given = given
        self._run_id = run_id
        self._lock = threading.RLock()
        self._known = StoreKnown(store, source.name, self._lock)
        self.excluded: list[str] = []
        self._received = 0
        settle = source.server.settle_seconds if source.server is not None else 0
        self._lags = Lags(float(store.remembered(self._lag) or 0), settle_seconds=settle)
        self._outdated = False  # True when the server does not do any more what the probe found

    def read(self, kinds: Sequence[str], study: Study, *, full: bool) -> tuple[str, ...]:
        """Read everything in three stages; return what is to be told of the cohort's members."""
        server = self._source.server
        assert server is not None
        self._check_scopes(kinds)
        planned = plan(
            self._source.name,
            server,
            kinds,
            self._rest,
            self._known,
            remembered=self._remembered(),
            reconcile_days=study.sync.reconcile_days,
            folder=study.folder,
            full=full,
            lag_seconds=self._lags.longest,
            exportable=Exportable(),
        )
        self._remember(planned.probed)
        self._exclude(planned.excluded)
        planned = self._export(planned)
        failed = {(unit.type, unit.shard) for unit in self._store.failed_units()}
        left: list[Fetched] = []
        for stage in STAGES:
            units = sorted(
                stage(planned, self._known), key=lambda unit: (unit.type, unit.shard) not in failed
            )
            self._store.plan(units)
            left = self._take(self._parts(units, planned), left)
            if self._given.stopping.is_set():
                break
        self._commit(left)
        if self._outdated:
            self._store.remember(f"probe/{self._source.name}", "")
        self._remember_lag()
        return planned.membership.remarks

    def _export(self, planned: Plan) -> Plan:
        """Read what exports read; return the plan of the rest."""
        feed = BulkFeed(planned, self._known, self._rest, self._given, self._store.place.folder)
        came = feed.read(self._take_one)
        for kind, reason in came.refused.items():
            say("type not exported", run=self._run_id, source=self._source.name, type=kind, reason=reason)
        changed = after_exports(planned, self._known, exported=came.exported, refused=came.refused)
        self._remember(changed.probed)
        self._exclude(changed.excluded[len(planned.excluded) :])
        return changed

    def _exclude(self, parts: Sequence[Fetched]) -> None:
        excluded = {one.unit: str(one.failure.reason if one.failure else "") for one in parts}
        self._store.plan((), excluded=excluded)
        for unit, reason in excluded.items():
            say("type excluded", run=self._run_id, source=unit.source, type=unit.type, reason=reason)
            if reason != Reason.NOT_OFFERED:
                self.excluded.append(f"{unit.type} ({reason})")

    def _check_scopes(self, kinds: Sequence[str]) -> None:
        """Raise AuthenticationError, naming the types, when the token does not let us read them."""
        auth = getattr(self._rest.fetcher, "auth", None)
        missing = auth.missing_types({*kinds, *LOOKED_UP}) if isinstance(auth, SmartBackend) else ()
        if missing:
            raise AuthenticationError(
                f"{self._source.name}: the server granted no scope to read {', '.join(sorted(missing))}; "
                "have them granted (system/TYPE.rs), or leave them out of sync.types"
            )

    def _parts(self, units: Sequence[Unit], planned: Plan) -> Iterator[Fetched]:
        reading = Reading(self._rest, self._known, planned.probed.abilities, self._lags)
        crew = Crew(
            lambda unit: fetch(unit, reading),
            workers=planned.server.concurrency,
            stopping=self._given.stopping,
        )
        return crew.work(units)

    def _take(self, parts: Iterable[Fetched], batch: list[Fetched]) -> list[Fetched]:
        """Commit parts as they come, many at once: each commit writes a journal and waits for the disk.

        Parts that bring nothing may wait for those of the next stage; they are returned.
        """
        size = 0
        for part in parts:
            entries = part.entries if isinstance(part.entries, Sequence) else None
            batch.append(part)
            size += ENTRIES_AT_ONCE if entries is None else len(entries)
            if self._given.progress is not None and entries:
                self._given.progress(part.unit.type, len(entries))
            self._tell(part, len(entries or ()))
            if size >= ENTRIES_AT_ONCE:
                self._commit(batch)
                batch, size = [], 0
        if not any(part.deleted or part.entries for part in batch):
            return batch
        self._commit(batch)
        return []

    def _take_one(self, part: Fetched) -> None:
        """Commit one part, which is in the store when this returns."""
        self._tell(part, 0)
        before = self._received
        self._commit([part])
        if self._given.progress is not None:
            self._given.progress(part.unit.type, self._received - before)

    def _commit(self, batch: list[Fetched]) -> None:
        if batch:
            began = time.monotonic()
            with self._lock:
                counts = self._store.commit(batch)
                self._known.forget()
            self._received += sum(counts.received.values())
            say(
                "committed",
                run=self._run_id,
                source=self._source.name,
                new=counts.new,
                changed=counts.changed,
                removed=counts.removed,
                seconds=round(time.monotonic() - began, 3),
            )

    def _tell(self, part: Fetched, received: int) -> None:
        what = {
            "run": self._run_id,
            "source": part.unit.source,
            "type": part.unit.type,
            "feed": part.unit.feed,
        }
        if part.failure is None:
            say("unit read", level=logging.DEBUG, **what, received=received)
        else:
            self._outdated = self._outdated or part.failure.reason in CHANGED
            say(
                "unit failed",
                level=logging.WARNING,
                **what,
                reason=str(part.failure.reason),
                status=part.failure.status,
            )

    @property
    def _lag(self) -> str:
        return f"lag/{self._source.name}"

    def _remember_lag(self) -> None:
        """Keep the longest lag, by which the next run's windows begin earlier."""
        longest = f"{self._lags.longest:.3f}"
        if float(longest) > float(self._store.remembered(self._lag) or 0):
            self._store.remember(self._lag, longest)
            say("shown late", run=self._run_id, source=self._source.name, seconds=float(longest))

    def _remembered(self) -> Probed | None:
        text = self._store.remembered(f"probe/{self._source.name}")
        try:
            return msgspec.json.decode(text, type=Probed) if text else None
        except msgspec.MsgspecError:
            return None  # written by another version: the server is asked again

    def _remember(self, probed: Probed) -> None:
        text = msgspec.json.encode(probed).decode()
        if text != self._store.remembered(f"probe/{self._source.name}"):
            self._store.remember(f"probe/{self._source.name}", text)
