"""The library's verbs of mapping: load a study, build its cohort, map one resource."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from pydantic import ValidationError

from fhiradapter.assembly import LANDED, Assembly, Progress
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.issues import IssueRows
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.definitions.catalogue import Catalogue, load_catalogue
from fhiradapter.errors import SettingsError, UsageError
from fhiradapter.fhir.conformance import violations
from fhiradapter.fhir.files import FileSource, is_url
from fhiradapter.fhir.memory import MemorySource, is_path, to_bytes
from fhiradapter.fhir.reading import Reader
from fhiradapter.fhir.source import Source
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.reasons import Reason
from fhiradapter.settings import Source as SourceSettings
from fhiradapter.settings import Study, StudyCard, load_study
from fhiradapter.store.landing import FolderLanding, Landing, MemoryLanding, replacing
from fhiradapter.store.place import is_store
from fhiradapter.workbench import Plan

if TYPE_CHECKING:
    import pandas as pd

    from fhiradapter.cluster.layout import Layout
    from fhiradapter.cluster.mapping import Made, Say

__all__ = ["build_cohort", "load_study", "map_on_spark", "map_resource", "map_to_folder"]

FUTURE = timedelta(days=1)  # clocks of hospitals and their time zones differ by less
PACKAGES = ("fhiradapter", "fhir.resources", "msgspec", "numpy", "pandas", "pyarrow", "scipy")


@dataclass(frozen=True)
class MappedResource:
    """What one resource becomes: rows by table, and issues, as DataFrames."""

    cohort: Cohort

    @property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The tables that got rows, without the issues."""
        tables = {table: self.cohort.frame(table) for table in SCHEMAS if table != "issues"}
        return {table: frame for table, frame in tables.items() if len(frame)}

    @property
    def issues(self) -> pd.DataFrame:
        """What was wrong or odd; empty when nothing was."""
        return self.cohort.issues


def build_cohort(
    source: Any = None,
    study: Study | None = None,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    workers: int = 1,
) -> Cohort:
    """Read FHIR and return its cohort, in memory.

    `source` is a path, or several; the folder of a store, whose last snapshot is read; bytes, text or
    dictionaries of resources, Bundles or NDJSON; objects of `fhir.resources`; or any iterable of these.
    Without one the sources of the study file are read, and of a study with servers its store.
    What cannot be used is in `cohort.issues`, and `cohort.accounting` says what became of every resource.
    `now` is the moment after which dates are in the future, by default the present one. Files are mapped by
    `workers` processes, with the same cohort whatever their number.

    Raises UsageError for a path that is not there or a thing that cannot be FHIR, SettingsError and
    DefinitionsError for wrong study, mapping and site files.

    >>> patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1970-05"}
    >>> cohort = build_cohort([patient])
    >>> cohort.subjects[["subject_id", "sex", "birth_precision"]].to_dict("records")
    [{'subject_id': 'p1', 'sex': 'female', 'birth_precision': 'month'}]
    """
    store = _store_of(source, study)
    if store is not None:
        from fhiradapter.store.snapshot import read_snapshot

        return read_snapshot(store)
    landing = MemoryLanding(LANDED)
    accounts = _assemble(landing, source, study or anonymous_study(), now, progress, workers)
    return Cohort({table: landing.table(table) for table in SCHEMAS}, accounts)


def map_to_folder(
    source: Any,
    study: Study,
    folder: Path,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    workers: int = 1,
) -> dict[str, TypeAccount]:
    """Read FHIR and write its cohort as Parquet into a folder; memory does not grow with the input.

    The folder appears when everything is written, and replaces an older cohort there. Returns the account
    of each resource type. Raises what `build_cohort` raises, and UsageError when other files are there.
    """
    folder = Path(folder)
    with replacing(folder, LANDED) as unfinished:
        landing = FolderLanding(unfinished, LANDED)
        accounts = _assemble(landing, source, study, now, progress, workers)
        landing.close()
    return accounts


def map_on_spark(
    source: Any,
    study: Study,
    folder: str | Path,
    *,
    now: datetime | None = None,
    workers: int | None = None,
    layout: Layout | None = None,
    say: Say | None = None,
    outdated: Collection[str] = (),
    record: Callable[[Made], bytes] | None = None,
) -> Made:
    """Read FHIR with Spark and write its cohort into `folder`/cohort, by buckets of whole subjects.

    Paths may name any file system that Spark knows; those without a scheme are of this machine. The rows are
    those of `map_to_folder`. The active session is used, else one of this machine with `workers` processors.
    `say` hears of each stage; files that are `outdated` are gone before, and `record` makes run.json.

    Raises what `map_to_folder` raises, and UsageError without PySpark 4, Java 17 or what `layout` needs.
    """
    if find_spec("pyspark") is None:
        raise UsageError("the Spark engine needs PySpark 4 and Java 17: pip install 'fhiradapter[spark]'")
    from fhiradapter.cluster.layout import Layout
    from fhiradapter.cluster.mapping import map_on_spark

    catalogue_of(study)
    _, plans = _plans(study, sources_of(study, source), now)
    return map_on_spark(
        plans,
        url_of(folder),
        layout=layout or Layout(),
        workers=workers,
        say=say or (lambda _: None),
        outdated=outdated,
        record=record,
    )


def map_resource(resource: Any, study: Study | None = None, *, now: datetime | None = None) -> MappedResource:
    """Map one resource, and say by `fhir.resources` where it departs from the FHIR specification.

    `resource` is a dict, bytes, text or a `fhir.resources` object. Departures are issues with the reason
    NOT_CONFORMANT, flagged: the rows are the same as in a whole run.

    >>> mapped = map_resource({"resourceType": "Encounter", "id": "e", "status": "finished",
    ...                        "class": {"code": "AMB"}, "subject": {"reference": "Patient/p"},
    ...                        "period": {"start": "2024-03-01", "end": "2024-03-01"}})
    >>> mapped.rows["encounters"]["encounter_class"].tolist()
    ['AMB']
    """
    content = to_bytes(resource)
    cohort = build_cohort(content, study, now=now)
    rows = IssueRows("library")
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decoded = None
    if isinstance(decoded, dict):
        fhir_version = study.sources[0].fhir_version if study and study.sources else None
        for path, rule in violations(decoded, fhir_version):
            kind = str(decoded.get("resourceType"))
            rows.add(
                Reason.NOT_CONFORMANT, kind=kind, identity=str(decoded.get("id")), path=path, detail=rule
            )
    tables = {table: cohort.arrow(table) for table in SCHEMAS}
    if len(rows):
        tables["issues"] = pa.concat_tables([tables["issues"], pa.Table.from_batches(rows.batches())])
    return MappedResource(Cohort(tables, cohort.accounting))


def url_of(folder: str | Path) -> str:
    """Return a folder as Spark finds it.

    What is not a URL is of this machine, whatever file system Spark takes for its own; its name is not
    escaped, since Hadoop reads it as it stands.
    """
    return str(folder).rstrip("/") if is_url(folder) else f"file:{Path(folder).absolute()}"


@lru_cache(maxsize=8)
def anonymous_study(*, site: str | None = None, time_zone: str | None = None) -> Study:
    """Return a study that says nothing but how to read: for mapping without a study file."""
    try:
        source = SourceSettings(site=site, time_zone=time_zone)
    except ValidationError as error:
        raise SettingsError(f"time zone {time_zone!r}: {error.errors()[0]['msg']}") from error
    return Study(study=StudyCard(id="unnamed", title="Mapping without a study file"), sources=[source])


def catalogue_of(study: Study) -> Catalogue:
    """Return the definitions of a study; of several sources the first one's site file names the products."""
    return _catalogue(study, study.sources[0] if study.sources else SourceSettings())


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def run_id_at(now: datetime) -> str:
    """Return the name of a run: its start in UTC."""
    return now.astimezone(UTC).strftime("run-%Y%m%dT%H%M%S.%fZ")


def kinds_of(study: Study) -> dict[str, str]:
    """Return the kind of each concept of a study's definitions."""
    return {name: concept.kind for name, concept in catalogue_of(study).concepts.items()}


def context_of(study: Study, source: SourceSettings, *, now: datetime, several: bool) -> Context:
    """Return what the mapping of one source needs to know; of `several` each has subjects of its own."""
    return _plan(study, source, now, several=several).context()


def study_hash(study: Study) -> str:
    """Return a sha256 of the settings, so that two runs can be told to have had the same."""
    return hashlib.sha256(study.model_dump_json(exclude={"folder"}).encode()).hexdigest()


def sources_of(study: Study, source: Any = None) -> list[tuple[SourceSettings, Source]]:
    """Return what is to be read: the source of the call, else the files of the study file."""
    settings = study.sources or [SourceSettings()]
    reader = Reader(study.limits.resource_bytes, study.limits.document_bytes)
    files: Callable[[tuple[str | Path, ...]], Source] = partial(
        FileSource, reader=reader, first=tuple(MAPPERS)
    )
    if source is None:
        if not any(one.path or one.kind == "server" for one in study.sources):
            raise UsageError("nothing to read: give a source, or a study file whose [[sources]] have a path")
        found = []
        for one in study.sources:
            if one.kind == "server":
                raise SettingsError(
                    f"source {one.name!r} is a server: `fhiradapter sync` reads it, `[sync] then` analyses"
                )
            if not one.path:
                raise SettingsError(
                    f"nothing to read: the call gives no source, and source {one.name!r} no path"
                )
            found.append(
                (one, files(tuple(path if is_url(path) else study.folder / path for path in one.path)))
            )
        return found
    if is_path(source):
        return [(settings[0], files((source,)))]
    if isinstance(source, (list, tuple)) and source and all(is_path(item) for item in source):
        return [(settings[0], files(tuple(source)))]
    if isinstance(source, Iterable) or hasattr(source, "model_dump_json"):
        return [(settings[0], MemorySource(source, reader))]
    raise UsageError(f"FHIR cannot be read from {type(source).__name__}")


def _store_of(source: Any, study: Study | None) -> Path | None:
    """Return the store that is meant: by its folder, or as that of a study with servers."""
    if source is None and study is not None and any(one.kind == "server" for one in study.sources):
        return study.folder / study.store.path
    return Path(source) if is_path(source) and is_store(Path(source)) else None


def _assemble(
    landing: Landing,
    source: Any,
    study: Study,
    now: datetime | None,
    progress: Progress | None,
    workers: int,
) -> dict[str, TypeAccount]:
    found = sources_of(study, source)
    run_id, plans = _plans(study, found, now)
    assembly = Assembly(landing, run_id, plans, progress, workers)
    assembly.add_all([one for _, one in found])
    return assembly.settle()


def _plans(
    study: Study, found: list[tuple[SourceSettings, Source]], now: datetime | None
) -> tuple[str, tuple[Plan, ...]]:
    """Return the name of a run and how each of its sources is mapped."""
    moment = now or datetime.now(UTC)
    run_id = run_id_at(moment)
    return run_id, tuple(
        replace(
            _plan(study, settings, moment, several=len(found) > 1),
            run_id=run_id,
            files=one if isinstance(one, FileSource) else None,
        )
        for settings, one in found
    )


def _plan(study: Study, source: SourceSettings, now: datetime, *, several: bool) -> Plan:
    return Plan(
        source.name,
        int((now + FUTURE).timestamp() * 1_000_000),
        site=study.folder / source.site if source.site else None,
        time_zone=source.time_zone,
        base_url=source.base_url,
        subject_prefix=f"{source.name}:" if several else "",
        nesting=study.limits.nesting,
    )


def _catalogue(study: Study, source: SourceSettings) -> Catalogue:
    return load_catalogue(site=study.folder / source.site if source.site else None)
