"""One run of a sync: the store is opened, each server is read, and what changed is published."""

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fhiradapter.api import run_id_at
from fhiradapter.connection import Server
from fhiradapter.errors import AuthenticationError, FhirAdapterError, ServerError, SettingsError
from fhiradapter.fhir.rest import Rest
from fhiradapter.settings import Source, Study
from fhiradapter.store.ledger import Run
from fhiradapter.store.ledger import run as run_of
from fhiradapter.store.store import Store
from fhiradapter.sync.circumstances import Circumstances, circumstances, types_of
from fhiradapter.sync.logs import say
from fhiradapter.sync.mapping import StudyMapper
from fhiradapter.sync.source_run import SourceRun

__all__ = ["Circumstances", "SyncRun", "circumstances", "run_sync", "servers_of", "store_folder", "types_of"]

TOLD = (AuthenticationError, ServerError)  # what one server does must not keep others from being read


@dataclass(frozen=True)
class SyncRun:
    """What a run did. `errors` are those of whole servers, in the order of the sources."""

    run: Run
    store: Path
    remarks: tuple[str, ...]
    errors: tuple[FhirAdapterError, ...]
    excluded: tuple[str, ...] = ()
    """Types that the server offers and did not let be read, with the reason."""

    @property
    def partial(self) -> tuple[str, ...]:
        """Why not everything was read; nothing when it was."""
        reasons = [str(error) for error in self.errors]
        if self.run.failed:
            reasons.append(f"{self.run.failed} of {self.run.planned} units could not be read")
        reasons += [f"not read: {one}" for one in self.excluded]
        if not reasons and self.run.outcome != "complete":
            reasons.append("the run was stopped")
        return tuple(reasons)


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
    excluded: list[str] = []
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
                    one = SourceRun(store, source, Rest(fetcher, **_limits(source)), given, run_id)
                    remarks += one.read(kinds, study, full=full)
                    excluded += one.excluded
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
    return SyncRun(run, place, tuple(remarks), tuple(errors), tuple(excluded))


def _limits(source: Source) -> dict[str, int]:
    assert source.server is not None
    return {"page_size": source.server.page_size, "most_pages": source.server.pages}


def _reason(error: FhirAdapterError) -> str:
    return str(error.reason) if isinstance(error, ServerError) else type(error).__name__
