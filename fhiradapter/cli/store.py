"""Verbs that look into a study's store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhiradapter.cli.options import AsJson, StudyFile
from fhiradapter.cli.printing import print_json
from fhiradapter.errors import UsageError

if TYPE_CHECKING:
    from fhiradapter.settings import Study

quarantine = typer.Typer(
    name="quarantine", help="Resources that cannot be used, and why.", no_args_is_help=True
)


def status(study: StudyFile, as_json: AsJson = False) -> None:
    """Show last runs, watermarks, what is in the store, quarantine, and what changed since the analysis."""
    from msgspec.structs import replace

    from fhiradapter.console import print_status
    from fhiradapter.store.status import read_status
    from fhiradapter.sync.aftermath import since_analysis

    loaded, folder = _store_of(study)
    found = read_status(folder)
    changes = since_analysis(loaded, found)
    if as_json:
        # Units name the Patients whose data they read; their names do not.
        failed = [unit._replace(patients=()) for unit in found.failed]
        print_json({"status": replace(found, failed=failed), "since_analysis": changes})
    else:
        print_status(found, changes)


@quarantine.command("list")
def list_(
    study: StudyFile,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only those for this reason.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what is in quarantine: type, id, element and reason, and nothing of its content."""
    from contextlib import closing

    from fhiradapter.console import print_quarantine
    from fhiradapter.store.quarantine import quarantined
    from fhiradapter.store.snapshot import open_snapshot

    _, folder = _store_of(study)
    with closing(open_snapshot(folder)) as database:
        found = quarantined(database, reason)
    if as_json:
        print_json(found)
    else:
        print_quarantine(found)


@quarantine.command("show")
def show(
    study: StudyFile,
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID", help="As `quarantine list` names it.")],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Source, where there are several.")
    ] = None,
) -> None:
    """Print a resource as it was sent. This is patient content, on your screen."""
    from contextlib import closing

    from fhiradapter.store.place import Place
    from fhiradapter.store.quarantine import show as sent
    from fhiradapter.store.snapshot import open_snapshot

    loaded, folder = _store_of(study)
    kind, _, key = resource.partition("/")
    if not key:
        raise UsageError(f"{resource}: write TYPE/ID, such as Observation/123")
    with closing(open_snapshot(folder)) as database:
        content = sent(database, Place(folder).raw, source or loaded.sources[0].name, kind, key)
    typer.echo(content.decode("utf-8", "replace"))


@quarantine.command("replay")
def replay(
    study: StudyFile,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only those for this reason.")] = None,
    as_json: AsJson = False,
) -> None:
    """Map what is in quarantine again, after a definition was mended."""
    from datetime import UTC, datetime

    from fhiradapter.sync.replaying import replay_quarantine

    loaded, folder = _store_of(study)
    left, freed = replay_quarantine(loaded, folder, reason=reason, now=datetime.now(UTC))
    if as_json:
        print_json({"mapped": freed, "still_quarantined": left})
    else:
        typer.echo(f"{freed} mapped now, {left} still in quarantine")


def explain(
    study: StudyFile,
    row: Annotated[str, typer.Argument(metavar="ROW_ID", help="As in the column row_id of a table.")],
    cohort: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Cohort that `run` wrote; by default the store, else out/<study id>."
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the resource as it was sent, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lead from a row of the cohort to its resource, version, rule and decisions."""
    from fhiradapter.console import print_explanation
    from fhiradapter.settings import load_study
    from fhiradapter.tracing import explain_row

    found = explain_row(load_study(study), row, cohort=cohort, raw=raw)
    if as_json:
        print_json(found)
    else:
        print_explanation(found)


def export(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.toml|DIR", help="A study with a store, or a cohort.")
    ],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="parquet, csv, or ndjson (resources as sent).")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")],
    as_json: AsJson = False,
) -> None:
    """Write the cohort's tables, or the store's resources as NDJSON with a manifest."""
    from fhiradapter.cli.printing import print_files
    from fhiradapter.exporting import export_to

    print_files(export_to(study, to, out), as_json=as_json)


def rebuild(study: StudyFile, as_json: AsJson = False) -> None:
    """Make the store's database anew from its raw files alone, with today's definitions."""
    from fhiradapter.store.rebuilding import rebuild as rebuild_store
    from fhiradapter.sync.mapping import StudyMapper

    loaded, folder = _store_of(study)
    mapper = StudyMapper(loaded)
    digest = rebuild_store(folder, mapper=mapper, sources=mapper.sources)
    if as_json:
        print_json({"digest": digest})
    else:
        typer.echo(f"rebuilt; digest {digest}")


def _store_of(study: Path) -> "tuple[Study, Path]":
    from fhiradapter.settings import load_study
    from fhiradapter.store.place import is_store

    loaded = load_study(study)
    folder = loaded.folder / loaded.store.path
    if not is_store(folder):
        raise UsageError(f"{folder}: is no store; `fhiradapter sync` makes one")
    return loaded, folder
