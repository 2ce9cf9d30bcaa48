"""Stores for tests: resources as a server would show them, committed without a network."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.fhir.units import Absence, Failure, Fetched, Tombstone, Unit
from fhiradapter.settings import Source, Study, StudyCard
from fhiradapter.store.commit import Counts
from fhiradapter.store.disk import Disk
from fhiradapter.store.snapshot import read_cohort, read_snapshot
from fhiradapter.store.store import Store
from fhiradapter.sync.mapping import StudyMapper

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "https://ehr.example.org/fhir"
Json = dict[str, Any]


class Sent(NamedTuple):
    """An entry of a page, as far as the store looks at it."""

    content: bytes


def study_of(*names: str) -> Study:
    """Return a study that reads some servers."""
    sources = [Source(name=name, base_url=BASE) for name in names or ("ehr",)]
    return Study(study=StudyCard(id="test", title="Synthetic"), sources=sources)


STUDY = study_of()
MAPPER = StudyMapper(STUDY)


def content_of(resource: Json | bytes) -> bytes:
    """Return a resource on one line."""
    return resource if isinstance(resource, bytes) else json.dumps(resource, separators=(",", ":")).encode()


def unit(kind: str, name: str = "all", *, source: str = "ehr", **more: Any) -> Unit:
    """Return a unit of work."""
    return Unit(source, kind, f"{kind}/updated/{name}", "updated", **more)


def fetched(
    kind: str,
    resources: Iterable[Json | bytes] = (),
    *,
    name: str = "all",
    source: str = "ehr",
    deleted: Iterable[Tombstone] = (),
    watermark: str | None = None,
    failure: Failure | None = None,
    **more: Any,
) -> Fetched:
    """Return what came of a unit."""
    entries = [Sent(content_of(resource)) for resource in resources]
    return Fetched(unit(kind, name, source=source, **more), entries, tuple(deleted), watermark, (), failure)


def by_type(resources: Iterable[Json | bytes], *, source: str = "ehr") -> list[Fetched]:
    """Return resources as one unit for each type."""
    found: dict[str, list[Json | bytes]] = {}
    for resource in resources:
        kind = (
            resource["resourceType"] if isinstance(resource, dict) else json.loads(resource)["resourceType"]
        )
        found.setdefault(kind, []).append(resource)
    return [fetched(kind, some, source=source) for kind, some in found.items()]


def grave(kind: str, identity: str, state: Absence = "deleted", at: str | None = None) -> Tombstone:
    """Return a tombstone."""
    return Tombstone(kind, identity, state, at)


@contextmanager
def opened(
    folder: Path, *, mapper: StudyMapper = MAPPER, disk: Disk | None = None, run: str | None = "run-1"
) -> Iterator[Store]:
    """Open a store, and begin a run in it."""
    with Store.open(folder, mapper=mapper, sources=mapper.sources, disk=disk) as store:
        if run is not None:
            store.begin_run(run, now=NOW)
        yield store


def run_in(
    folder: Path,
    commits: Iterable[Sequence[Fetched]],
    *,
    run: str = "run-1",
    mapper: StudyMapper = MAPPER,
    disk: Disk | None = None,
) -> tuple[list[Counts], str]:
    """Make one run of some commits; return what each did, and the digest of the store."""
    with opened(folder, mapper=mapper, disk=disk, run=run) as store:
        counts = [store.commit(commit) for commit in commits]
        store.finish_run(now=NOW)
        return counts, store.dump_hash()


def shown(store: Store) -> Cohort:
    """Return the cohort of an open store, before it is published."""
    return read_cohort(store.database)


def cohort_in(folder: Path) -> Cohort:
    """Return the cohort that a store has published."""
    return read_snapshot(folder)
