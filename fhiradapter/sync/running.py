"""One run of a sync: what is to be read is planned, fetched, committed, and published at the end."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from fhiradapter.api import run_id_at
from fhiradapter.connection import Server
from fhiradapter.errors import AuthenticationError, FhirAdapterError, ServerError, SettingsError
from fhiradapter.fhir.fetching import Fetcher
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.transport_opening import open_transport
from fhiradapter.fhir.units import Fetched, Unit
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.settings import Source, Study
from fhiradapter.store.disk import Disk
from fhiradapter.store.ledger import Run
from fhiradapter.store.ledger import run as run_of
from fhiradapter.store.store import Store
from fhiradapter.sync.crew import Crew
from fhiradapter.sync.fetching import fetch
from fhiradapter.sync.held import StoreKnown
from fhiradapter.sync.logs import say
from fhiradapter.sync.mapping import StudyMapper
from fhiradapter.sync.planning import CHANGED, plan
from fhiradapter.sync.plans import Plan, Probed
from fhiradapter.sync.reading import Reading
from fhiradapter.sync.stages import STAGES

ENTRIES_AT_ONCE = 10_000  # of one commit; a commit costs some hundredths of a second besides its rows
TOLD = (AuthenticationError, ServerError)  # what one server does must not keep others from being read

Progress = Callable[[str, int], None]
"""Called with a resource type and how many of it have come since the last call."""


class ClosableFetcher(Fetcher, Protocol):
    """A fetcher that holds connections."""

    def close(self) -> None:
        """Give them back."""
        ...


OpenFetcher = Callable[[Source], ClosableFetcher]


@dataclass(frozen=True)
class SyncRun:
    """What a run did. `errors` are those of whole servers, in the order of the sources."""

    run: Run
    store: Path
    remarks: tuple[str, ...]
    errors: tuple[FhirAdapterError, ...]

    @property
    def partial(self) -> tuple[str, ...]:
        """Why not everything was read; nothing when it was."""
        reasons = [str(error) for error in self.errors]
        if self.run.failed:
            reasons.append(f"{self.run.failed} of {self.run.planned} units could not be read")
        if not reasons and self.run.outcome != "complete":
            reasons.append("the run was stopped")
        return tuple(reasons)


@dataclass
class Circumstances:
    """What a run takes from outside: network, clock, disk, and the wish to stop."""

    open_fetcher: OpenFetcher
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stopping: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None
    disk: Disk | None = None


def circumstances(study: Study, environment: Mapping[str, str]) -> Circumstances:
    """Return the usual ones: the network, this machine's clock and disk."""
    stopping = threading.Event()

    def wait(seconds: float) -> None:
        if stopping.wait(seconds):
            raise FhirAdapterError("stopped while waiting for the server")

    def opened(source: Source) -> ClosableFetcher:
        assert source.server is not None
        return open_transport(
            source.base_url or "",
            source.server,
            folder=study.folder,
            environment=environment,
            types=types_of(study),
            sleep=wait,
        )

    return Circumstances(opened, stopping=stopping)


def types_of(study: Study) -> list[str]:
    """Return the resource types that a study reads."""
    unknown = sorted(set(study.sync.types) - set(MAPPERS))
    if unknown:
        raise SettingsError(
            f"sync.types: {', '.join(unknown)} cannot be mapped; choose of {', '.join(MAPPERS)}"
        )
    return list(study.sync.types or MAPPERS)


def servers_of(study: Study) -> list[Source]:
    """Return the sources that are servers; raises SettingsError when there is none."""
    found = [
        source if source.server is not None else source.model_copy(update={"server": Server()})
        for source in study.sources
        if source.kind == "server"
    ]
    if not found:
        raise SettingsError('no source is a server: write kind = "server" and base_url into [[sources]]')
    return found


def store_folder(study: Study) -> Path:
    """Return where a study's store is."""
    return study.folder / study.store.path


def run_sync(
    study: Study, given: Circumstances, *, full: bool = False, folder: Path | None = None
) -> SyncRun:
    """Read what changed on the study's servers, or everything, into its store.

    Raises LockedError when another run holds the store, and SettingsError when it cannot begin. What a server
    does is in the result: nothing that was read is lost by it, and the next run goes on from there.
    """
    servers = servers_of(study)
    kinds = types_of(study)
    mapper = StudyMapper(study)
    place = folder or store_folder(study)
    errors: list[FhirAdapterError] = []
    remarks: list[str] = []
    with Store.open(place, mapper=mapper, sources=mapper.sources, disk=given.disk) as store:
        begun, started = given.now(), time.monotonic()
        run_id = run_id_at(begun)
        store.begin_run(run_id, now=begun, kind="full" if full else "sync")
        say("run begins", run=run_id)
        for source in servers:
            if given.stopping.is_set():
                break
            try:
                with closing(given.open_fetcher(source)) as fetcher:
                    one = _SourceRun(store, source, Rest(fetcher, **_limits(source)), given, run_id)
                    remarks += one.read(kinds, study, full=full)
            except TOLD as error:
                errors.append(error)
                say(
                    "server failed",
                    level=logging.ERROR,
                    run=run_id,
                    source=source.name,
                    reason=_reason(error),
                )
            except FhirAdapterError:
                if not given.stopping.is_set():
                    raise
        store.finish_run(now=given.now(), stopped=bool(errors) or given.stopping.is_set())
        run = run_of(store.database, run_id)
        say(
            "run ends",
            run=run_id,
            outcome=run.outcome,
            new=run.new,
            changed=run.changed,
            removed=run.removed,
            units=run.planned,
            done=run.done,
            failed=run.failed,
            excluded=run.excluded,
            seconds=round(time.monotonic() - started, 3),
        )
    return SyncRun(run, place, tuple(remarks), tuple(errors))


class _SourceRun:
    """One server's part of a run."""

    def __init__(self, store: Store, source: Source, rest: Rest, given: Circumstances, run_id: str) -> None:
        self._store = store
        self._source = source
        self._rest = rest
        self._given = given
        self._run_id = run_id
        self._lock = threading.RLock()
        self._known = StoreKnown(store, source.name, self._lock)
        self._outdated = False  # True when the server does not do any more what the probe found

    def read(self, kinds: Sequence[str], study: Study, *, full: bool) -> tuple[str, ...]:
        """Read everything in three stages; return what is to be told of the cohort's members."""
        server = self._source.server
        assert server is not None
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
        )
        self._remember(planned.probed)
        excluded = {one.unit: str(one.failure.reason if one.failure else "") for one in planned.excluded}
        self._store.plan((), excluded=excluded)
        for unit, reason in excluded.items():
            say("type excluded", run=self._run_id, source=unit.source, type=unit.type, reason=reason)
        failed = {(unit.type, unit.shard) for unit in self._store.failed_units()}
        for stage in STAGES:
            units = sorted(
                stage(planned, self._known), key=lambda unit: (unit.type, unit.shard) not in failed
            )
            self._store.plan(units)
            self._take(self._parts(units, planned))
            if self._given.stopping.is_set():
                break
        if self._outdated:
            self._store.remember(f"probe/{self._source.name}", "")
        return planned.membership.remarks

    def _parts(self, units: Sequence[Unit], planned: Plan) -> Iterator[Fetched]:
        reading = Reading(self._rest, self._known, planned.probed.abilities)
        crew = Crew(
            lambda unit: fetch(unit, reading),
            workers=planned.server.concurrency,
            stopping=self._given.stopping,
        )
        return crew.work(units)

    def _take(self, parts: Iterable[Fetched]) -> None:
        """Commit parts as they come, many at once: each commit writes a journal and waits for the disk."""
        batch: list[Fetched] = []
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
        self._commit(batch)

    def _commit(self, batch: list[Fetched]) -> None:
        if batch:
            began = time.monotonic()
            with self._lock:
                counts = self._store.commit(batch)
                self._known.forget()
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


def _limits(source: Source) -> dict[str, int]:
    assert source.server is not None
    return {"page_size": source.server.page_size, "most_pages": source.server.pages}


def _reason(error: FhirAdapterError) -> str:
    return str(error.reason) if isinstance(error, ServerError) else type(error).__name__
