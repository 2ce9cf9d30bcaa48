"""Runs: sources to cohort, results, report and the record of it, in one folder."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pyarrow.parquet as pq

from fhiradapter.api import (
    catalogue_of,
    map_on_spark,
    map_to_folder,
    sources_of,
    study_hash,
    versions,
)
from fhiradapter.assembly import LANDED, Progress
from fhiradapter.checks import check_names
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import SettingsError, UsageError
from fhiradapter.fhir.files import FileSource, Found, is_url, list_files
from fhiradapter.reasons import Reason
from fhiradapter.settings import Study
from fhiradapter.store.directory import read_cohort
from fhiradapter.store.landing import refuse_strangers

if TYPE_CHECKING:
    from fhiradapter.cluster.layout import Layout
    from fhiradapter.cluster.mapping import Made
    from fhiradapter.results import Results

# Files that were not read, or not to their end, make a run partial, whatever else went well.
LOST_FILES = (Reason.UNREADABLE_FILE, Reason.TRUNCATED_FILE, Reason.UNKNOWN_FORMAT, Reason.FILE_TOO_LARGE)

Engine = Literal["local", "spark"]
FEW_ROWS = 500_000  # one process has analysed them before others have started
HASHED_AT_ONCE = 1 << 18  # bytes
MADE_OF_A_COHORT = ("results.json", "report.html", "run.json")


@dataclass(frozen=True)
class Run:
    """What a run made, and whether all of the input got in."""

    folder: Path
    accounting: dict[str, TypeAccount]
    issues: dict[str, dict[str, int]]
    unmapped: dict[str, tuple[int, int]]
    """Rows of each table whose code no code list knows, and all its rows."""
    partial: tuple[str, ...]
    results: "Results | None" = None
    report: Path | None = None
    url: str | None = None
    """The folder, where it is not of this machine."""

    def where(self, name: str) -> str:
        """Return where a file of the run is."""
        return f"{self.url}/{name}" if self.url else str(self.folder / name)


def run_study(
    study: Study,
    folder: str | Path,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    engine: Engine = "local",
    say: Callable[[str], None] | None = None,
) -> Run:
    """Map, analyse and report a study; writes cohort/, results.json, report.html and run.json.

    With the engine "spark" mapping and what is derived of subjects run there; see `map_study`. A run that is
    partial still writes everything; `Run.partial` says why, and so does run.json.
    Raises SettingsError, DefinitionsError or UsageError when it cannot begin.
    """
    if is_url(folder):
        raise UsageError(f"{folder}: a run writes its report to a folder of this machine; `map` takes URLs")
    # Imported here: pandas takes long to load, and mapping does without it.
    from fhiradapter.analysing import analyse, analyse_on_spark
    from fhiradapter.reports.registry import write_report

    wrong = check_names(study)
    if wrong:
        raise SettingsError("; ".join(f"{finding.where} {finding.message}" for finding in wrong))
    if engine == "spark":
        made = map_study(None, study, folder, now=now, workers=workers, engine=engine, say=say)
        if say is not None:
            say("deriving what is told of each subject")
        results = analyse_on_spark(folder, study, made.accounting, workers=workers)
    else:
        made = map_study(None, study, folder, now=now, progress=progress, workers=workers)
        cohort = read_cohort(made.folder)
        rows = sum(len(table) for table in cohort.tables.values())
        results = analyse(cohort, study, workers=(workers or 1) if rows > FEW_ROWS else 1)
    (made.folder / "results.json").write_bytes(results.to_json())
    report = write_report(results, made.folder / "report.html")
    return replace(made, results=results, report=report)


def map_study(
    source: Any,
    study: Study,
    folder: str | Path,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    engine: Engine = "local",
    layout: "Layout | None" = None,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Map sources to cohort/ and write run.json; without `source` those of the study file.

    With the engine "spark" the paths may be of any file system that Spark knows, `layout` says how the tables
    lie in folders, `say` hears of each stage, and `workers` are the processors of a session of this machine.

    What an earlier run wrote beside its cohort is gone before this one begins, so that a run that fails
    leaves no report of other data. A run that cannot begin leaves everything as it was.
    """
    if engine == "spark":
        return _map_on_spark(source, study, folder, now=now, workers=workers, layout=layout, say=say)
    if is_url(folder):
        raise UsageError(f"{folder}: only the Spark engine writes to URLs (--engine spark)")
    begun = now or datetime.now(UTC)
    out = Path(folder)
    _clear(out, source, study)
    with _hashing(source, study) as inputs:
        accounting = map_to_folder(
            source, study, out / "cohort", now=now, progress=progress, workers=workers or 1
        )
    run = _run(out, study, accounting, count_issues(out / "cohort"), count_unmapped(out / "cohort"))
    rows = {table: pq.read_metadata(out / "cohort" / f"{table}.parquet").num_rows for table in SCHEMAS}
    (out / "run.json").write_bytes(_record(begun, study, run, rows, inputs(), versions()))
    return run


def _map_on_spark(
    source: Any,
    study: Study,
    folder: str | Path,
    *,
    now: datetime | None,
    workers: int | None,
    layout: "Layout | None",
    say: Callable[[str], None] | None,
) -> Run:
    begun = now or datetime.now(UTC)
    runs: list[Run] = []

    def record(made: "Made") -> bytes:
        runs.append(_run(folder, study, made.accounting, made.issues, made.unmapped))
        known = {one["file"]: one for one in inputs()}
        listed = [known.get(one["file"], one) for one in made.inputs]
        found = {**versions(), **made.versions}
        return _record(begun, study, runs[-1], made.tables, listed, found)

    with _hashing(source, study) as inputs:
        map_on_spark(
            source,
            study,
            folder,
            now=now,
            workers=workers,
            layout=layout,
            say=say,
            outdated=MADE_OF_A_COHORT,
            record=record,
        )
    return runs[-1]


def _run(
    folder: str | Path,
    study: Study,
    accounting: dict[str, TypeAccount],
    issues: dict[str, dict[str, int]],
    unmapped: dict[str, tuple[int, int]],
) -> Run:
    partial = shortcomings(accounting, issues, study.limits.quarantined_percent)
    url = str(folder).rstrip("/") if is_url(folder) else None
    return Run(Path(folder), accounting, issues, unmapped, partial, url=url)


def _record(
    begun: datetime,
    study: Study,
    run: Run,
    rows: dict[str, int],
    inputs: list[dict[str, Any]],
    found: dict[str, str],
) -> bytes:
    """Return the content of run.json; `found` are the versions of packages."""
    record = {
        "begun": begun.isoformat(),
        "study": study.study.id,
        "partial": run.partial,
        "accounting": run.accounting,
        "issues": run.issues,
        "unmapped_rows": run.unmapped,
        "tables": rows,
        "inputs": inputs,
        "hashes": {"settings": study_hash(study), "definitions": catalogue_of(study).digest},
        "policies": study.policies(),
        "versions": found,
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2)


@contextmanager
def _hashing(source: Any, study: Study) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Hash the files of this machine while they are mapped, and give what returns them in the end.

    Hashing leaves the interpreter to others.
    """
    failed = Event()
    with ThreadPoolExecutor(1) as beside:
        hashed = beside.submit(_hashed, _files_of(source, study), failed)
        try:
            yield hashed.result
        except BaseException:
            failed.set()
            raise


def _clear(folder: Path, source: Any, study: Study) -> None:
    """Remove what was made of an older cohort, once it is known that the sources are there."""
    catalogue_of(study)
    refuse_strangers(folder / "cohort", LANDED)
    for _, one in sources_of(study, source):
        if isinstance(one, FileSource):
            list_files(one.paths)
    for name in MADE_OF_A_COHORT:
        (folder / name).unlink(missing_ok=True)


def shortcomings(
    accounting: dict[str, TypeAccount], issues: dict[str, dict[str, int]], limit: float
) -> tuple[str, ...]:
    """Return the reasons for which a run does not hold all that it was given; none when it does."""
    found = [
        f"{sum(issues[reason].values())} file(s) not read, or not to the end ({reason})"
        for reason in LOST_FILES
        if reason in issues
    ]
    found += [
        f"{kind}: {account.quarantined} of {account.received} quarantined, more than {limit:g} %"
        for kind, account in accounting.items()
        if account.quarantined * 100 > limit * account.received
    ]
    if not accounting:
        found.append("nothing was received")
    return tuple(found)


def count_issues(cohort_folder: Path) -> dict[str, dict[str, int]]:
    """Return the issues of a cohort directory by reason and disposition."""
    table = pq.read_table(cohort_folder / "issues.parquet", columns=["reason", "disposition"])
    counted = table.group_by(["reason", "disposition"]).aggregate([([], "count_all")]).to_pylist()
    found: dict[str, dict[str, int]] = {}
    for row in sorted(counted, key=lambda row: (row["reason"], row["disposition"])):
        found.setdefault(row["reason"], {})[row["disposition"]] = row["count_all"]
    return found


def count_unmapped(cohort_folder: Path) -> dict[str, tuple[int, int]]:
    """Return for each table that has codes the rows without a concept, and all its rows."""
    found = {}
    for table in ("measurements", "exposures"):
        concepts = pq.read_table(cohort_folder / f"{table}.parquet", columns=["concept"])["concept"]
        found[table] = (concepts.null_count, len(concepts))
    return found


def _files_of(source: Any, study: Study) -> list[Found]:
    """Return the files that are to be read."""
    paths: Iterable[str | Path]
    if source is None:
        paths = [path if is_url(path) else study.folder / path for one in study.sources for path in one.path]
    else:
        paths = source if isinstance(source, (list, tuple)) else [source]
    here = tuple(path for path in paths if not is_url(path))
    return list_files(here) if here else []


def _hashed(files: list[Found], failed: Event) -> list[dict[str, Any]]:
    """Return name, size and sha256 of files, so that a run can be repeated and proved."""
    return [
        {
            "file": found.name,
            "bytes": found.path.stat().st_size,
            "sha256": _digest(found.path, failed),
        }
        for found in files
        if found.path.is_file()
    ]


def _digest(path: Path, failed: Event) -> str | None:
    """Return the sha256 of a file; None for one that cannot be read, which the issues tell."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while not failed.is_set() and (content := stream.read(HASHED_AT_ONCE)):
                digest.update(content)
    except OSError:
        return None
    return digest.hexdigest()
