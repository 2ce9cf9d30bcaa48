"""Verbs that read a study's files and compute."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhiradapter.cli.options import AsJson, Buckets, Engine, Format, Site, StudyFile, Workers, Zone
from fhiradapter.cli.printing import print_files, print_json
from fhiradapter.engines.crew import begun
from fhiradapter.engines.processors import usable_processors
from fhiradapter.errors import PartialError, SettingsError, UsageError

if TYPE_CHECKING:
    from fhiradapter.runs import Run
    from fhiradapter.settings import Study
    from fhiradapter.sync.checking import ServerCheck

SMALL = 32 << 20  # bytes


def run(
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; by default out/<study id>.")
    ] = None,
    workers: Workers = None,
    engine: Engine = "local",
    as_json: AsJson = False,
) -> None:
    """Read the sources, make the cohort, analyse it and write the report, in one go."""
    from fhiradapter.runs import run_study
    from fhiradapter.settings import load_study

    loaded = load_study(study)
    folder = out or Path("out") / loaded.study.id
    if engine == "spark":
        made = run_study(loaded, folder, workers=workers, engine=engine, say=_say)
    else:
        with _reading(None, loaded) as (progress, size):
            made = run_study(loaded, folder, progress=progress, workers=_workers(workers, size))
    _show(made, as_json=as_json)


def map_(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, folders or globs; with --engine spark also URLs."),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Where to write cohort/ and run.json.")],
    site: Site = None,
    time_zone: Zone = None,
    workers: Workers = None,
    engine: Engine = "local",
    format: Format = "parquet",  # noqa: A002 - as it is called on the command line
    buckets: Buckets = None,
    as_json: AsJson = False,
) -> None:
    """Map NDJSON, Bundles and folders of these to a cohort in Parquet."""
    with begun(_early(inputs, workers) if engine == "local" else 0):
        _map(inputs, out, site, time_zone, workers, engine, format, buckets, as_json=as_json)


def _map(
    inputs: list[str],
    out: str,
    site: Path | None,
    time_zone: str | None,
    workers: int | None,
    engine: Engine,
    format: Format,  # noqa: A002 - as it is called on the command line
    buckets: int | None,
    *,
    as_json: bool,
) -> None:
    # Imported here, while the workers load what they need.
    from fhiradapter.api import anonymous_study
    from fhiradapter.cluster.layout import Layout
    from fhiradapter.runs import map_study

    study = anonymous_study(site=str(site.resolve()) if site else None, time_zone=time_zone)
    if engine == "spark":
        layout = Layout(format, buckets)
        made = map_study(inputs, study, out, workers=workers, engine=engine, layout=layout, say=_say)
    elif format != "parquet" or buckets is not None:
        raise UsageError("--format and --buckets are for --engine spark")
    else:
        with _reading(inputs, study) as (progress, size):
            made = map_study(inputs, study, out, progress=progress, workers=_workers(workers, size))
    _show(made, as_json=as_json)


def analyse(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT_DIR", help="What `map` or `run` wrote.")],
    study: Annotated[Path, typer.Option(metavar="STUDY.toml", help="The study file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write results.json.")],
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes that analyse side by side; same results.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Compute the results of a cohort that is already mapped."""
    from fhiradapter.analysing import analyse as compute
    from fhiradapter.settings import load_study
    from fhiradapter.store.directory import read_cohort

    results = compute(read_cohort(cohort), load_study(study), workers=workers)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_bytes(results.to_json())
    print_files({"results": out / "results.json"}, as_json=as_json)


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS_DIR", help="The folder that holds results.json.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The report to write, such as report.html.")],
    as_json: AsJson = False,
) -> None:
    """Write the report of results that are already computed."""
    import msgspec

    from fhiradapter.reports.registry import write_report
    from fhiradapter.results import Results

    path = results / "results.json" if results.is_dir() else results
    try:
        read = Results.from_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UsageError(f"{path}: is not a results.json of this version; run `analyse` again") from error
    print_files({"report": write_report(read, out)}, as_json=as_json)


def profile(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...|STUDY.toml", help="FHIR, or a study file.")
    ],
    site: Site = None,
    as_json: AsJson = False,
    unmapped: Annotated[bool, typer.Option("--unmapped", help="Only what no code list knows.")] = False,
) -> None:
    """Count codes and units, and print those that are not mapped, ready for a site file."""
    from fhiradapter.api import anonymous_study
    from fhiradapter.code_counts import count_codes, site_entries
    from fhiradapter.console import data, print_code_counts
    from fhiradapter.settings import load_study

    if len(inputs) == 1 and inputs[0].suffix == ".toml":
        counts = count_codes(None, load_study(inputs[0]))
    else:
        study = anonymous_study(site=str(site.resolve()) if site else None)
        counts = count_codes([str(path) for path in inputs], study)
    if unmapped:
        counts = [row for row in counts if row.concept is None or not row.converted]
    if as_json:
        print_json([row._asdict() for row in counts])
        return
    print_code_counts(counts)
    entries = site_entries(counts)
    if entries:
        data.print("\n# For the site file, once the concept is filled in and the marks are taken away:\n")
        data.print(entries, markup=False, soft_wrap=True)


def check(
    study: Annotated[Path | None, typer.Argument(metavar="STUDY.toml", help="The study file.")] = None,
    definitions: Annotated[
        bool, typer.Option("--definitions", help="Check the shipped definitions.")
    ] = False,
    site: Site = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a study file, its definitions, paths and servers can be used, and how."""
    from fhiradapter.checks import Finding, check_shipped, check_study
    from fhiradapter.console import data, print_servers
    from fhiradapter.settings import load_study

    if study is None and not definitions and site is None:
        raise UsageError("give a study file, --site FILE or --definitions")
    found = check_shipped(site) if definitions or site else []
    servers = []
    if study is not None:
        loaded = load_study(study)
        found += check_study(loaded)
        servers = _ask_servers(loaded)
        found += [Finding(f"[[sources]] {one.source}", one.problem) for one in servers if one.problem]
    if as_json:
        listed = [finding._asdict() for finding in found]
        print_json({"findings": listed, "servers": servers} if servers else listed)
    else:
        print_servers(servers)
        for finding in found:
            data.print(f"{finding.where}: {finding.message}", soft_wrap=True, markup=False)
        if not found:
            data.print("nothing is wrong")
    if found:
        raise SettingsError(f"{len(found)} finding(s)")


def _ask_servers(study: "Study") -> "list[ServerCheck]":
    """Return what the study's servers are; nothing where it has none."""
    if not any(source.kind == "server" for source in study.sources):
        return []
    from fhiradapter.cli.syncing import environment
    from fhiradapter.sync.checking import check_servers
    from fhiradapter.sync.running import circumstances

    return check_servers(study, circumstances(study, environment()))


@contextmanager
def _reading(source: Any, study: Any) -> Iterator[tuple[Any, int]]:
    """Show progress against the size of all files, which is given too, unless one is compressed."""
    from fhiradapter.api import sources_of
    from fhiradapter.console import ProgressView
    from fhiradapter.fhir.compression import COMPRESSIONS
    from fhiradapter.fhir.files import FileSource, list_files

    found = [one for _, one in sources_of(study, source) if isinstance(one, FileSource)]
    total = sum(one.total_bytes() for one in found)
    names = [file.name.lower() for one in found for file in list_files(one.paths)]
    with ProgressView(None if any(name.endswith(COMPRESSIONS) for name in names) else total) as view:
        yield view.advance, total


def _say(stage: str) -> None:
    """Tell of a stage of Spark's."""
    from fhiradapter.console import talk

    talk.print(stage, markup=False)


def _workers(asked: int | None, size: int) -> int:
    """Return the number of processes that map; for a small input to start one takes longer than to map it."""
    if asked is not None:
        return asked
    return usable_processors() if size > SMALL else 1


def _early(inputs: list[str], asked: int | None) -> int:
    """Return how many workers are surely needed, as the size of files tells before anything is loaded."""
    size = sum(path.stat().st_size for path in map(Path, inputs) if path.is_file())
    count = _workers(asked, size)
    return count if count > 1 else 0


def _show(made: "Run", *, as_json: bool) -> None:
    """Print the account of a run; raises PartialError when not everything got in."""
    from fhiradapter.console import data, print_accounts, print_issues, print_unmapped

    files = {
        "cohort": made.where("cohort"),
        **({"results": made.where("results.json")} if made.results else {}),
        **({"report": str(made.report)} if made.report else {}),
        "record": made.where("run.json"),
    }
    if as_json:
        print_json(
            {
                "files": {name: str(path) for name, path in files.items()},
                "accounting": made.accounting,
                "issues": made.issues,
                "unmapped_rows": made.unmapped,
                "partial": made.partial,
            }
        )
    else:
        print_accounts(made.accounting)
        print_issues(made.issues)
        print_unmapped(made.unmapped)
        data.print()
        print_files(files, as_json=False)
    if made.partial:
        raise PartialError("; ".join(made.partial))
