"""The verb that reads servers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhiradapter.cli.options import AsJson, StudyFile
from fhiradapter.cli.printing import print_json
from fhiradapter.errors import FhirAdapterError, PartialError, UsageError

if TYPE_CHECKING:
    from fhiradapter.settings import Study
    from fhiradapter.sync.running import Circumstances, SyncRun


def sync(
    study: StudyFile,
    once: Annotated[bool, typer.Option("--once", help="One run; this is the default.")] = False,
    every: Annotated[
        str | None, typer.Option(metavar="15m", help="Run now and at this interval: s, m, h or d.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="'0 3 * * *'", help="Run by a crontab line, in UTC.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and what it would do to the slopes.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a log as lines of JSON, without patient data.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log every unit, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read what changed on the study's FHIR servers into its store, once or by a schedule."""
    from fhiradapter.settings import load_study
    from fhiradapter.sync.logs import logged_to
    from fhiradapter.sync.running import circumstances
    from fhiradapter.sync.schedule import stopped_by_signals

    if sum((once, every is not None, cron is not None)) > 1:
        raise UsageError("--once, --every and --cron exclude each other")
    if dry_run and (every or cron):
        raise UsageError("--dry-run is done once")
    loaded = load_study(study)
    given = circumstances(loaded, environment=environment())
    with logged_to(log, debug=debug), stopped_by_signals(given.stopping):
        if dry_run:
            _rehearse(loaded, given, full=full, as_json=as_json)
        elif every is None and cron is None:
            _once(loaded, given, full=full, as_json=as_json)
        else:
            _repeatedly(loaded, given, every=every, cron=cron, full=full, as_json=as_json)


def environment() -> dict[str, str]:
    """Return the environment, where `env:` secrets are."""
    import os

    return dict(os.environ)  # the one place where it is read


def _once(study: "Study", given: "Circumstances", *, full: bool, as_json: bool) -> None:
    from fhiradapter.sync.aftermath import follow_up

    with _shown(given):
        from fhiradapter.sync.running import run_sync

        made = run_sync(study, given, full=full)
    files = follow_up(study, made)
    _show(made, files, as_json=as_json)
    if made.errors:
        raise made.errors[0]
    if made.partial:
        raise PartialError("; ".join(made.partial))


def _repeatedly(
    study: "Study", given: "Circumstances", *, every: str | None, cron: str | None, full: bool, as_json: bool
) -> None:
    from fhiradapter.console import talk
    from fhiradapter.sync import schedule

    trigger = schedule.every(every) if every is not None else schedule.cron(cron or "")

    def work() -> None:
        try:
            _once(study, given, full=full, as_json=as_json)
        except FhirAdapterError as error:
            # The next time may be better; what went wrong is in the ledger, and `status` tells it.
            talk.print(f"[bold red]partial:[/] {error}", soft_wrap=True)

    schedule.repeat(work, trigger, given.stopping)


def _rehearse(study: "Study", given: "Circumstances", *, full: bool, as_json: bool) -> None:
    from fhiradapter.console import print_rehearsal
    from fhiradapter.sync.rehearsal import rehearse

    with _shown(given):
        found = rehearse(study, given, full=full)
    if as_json:
        print_json(found)
    else:
        print_rehearsal(found)
    if found.partial:
        raise PartialError("; ".join(found.partial))


@contextmanager
def _shown(given: "Circumstances") -> Iterator[None]:
    """Show progress by resource type while a run goes on."""
    from fhiradapter.console import SyncView

    with SyncView() as view:
        given.progress, given.note = view.advance, view.note
        yield


def _show(made: "SyncRun", files: dict[str, Path], *, as_json: bool) -> None:
    from fhiradapter.console import print_sync

    if as_json:
        print_json(
            {
                "run": made.run,
                "store": str(made.store),
                "remarks": made.remarks,
                "partial": made.partial,
                "files": {name: str(path) for name, path in files.items()},
            }
        )
    else:
        print_sync(made.run, made.remarks, files)
    sys.stdout.flush()


bulk = typer.Typer(name="bulk", help="Bulk exports of the study's servers.", no_args_is_help=True)


@bulk.command("list")
def list_exports(study: StudyFile, as_json: AsJson = False) -> None:
    """List exports: when they began, what they ask for, and how far they are."""
    from fhiradapter.console import print_exports
    from fhiradapter.settings import load_study
    from fhiradapter.sync.export_listing import list_all

    found = list_all(load_study(study))
    if as_json:
        print_json(found)
    else:
        print_exports(found)


@bulk.command("cancel")
def cancel(
    study: StudyFile,
    export: Annotated[str, typer.Argument(metavar="ID", help="As `bulk list` names it.")],
) -> None:
    """Let the server forget an export that is under way; the next sync begins a new one."""
    from fhiradapter.settings import load_study
    from fhiradapter.sync.export_listing import cancel_one
    from fhiradapter.sync.running import circumstances

    loaded = load_study(study)
    cancel_one(loaded, circumstances(loaded, environment=environment()), export)
    typer.echo(f"{export}: cancelled")
