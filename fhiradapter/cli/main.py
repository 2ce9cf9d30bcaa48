"""The command `fhiradapter`: its verbs, and what an error ends it with."""

import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from fhiradapter.cli import store, study, syncing
from fhiradapter.engines.freed_memory import keep_freed_memory
from fhiradapter.engines.without_pandas import do_without_pandas
from fhiradapter.errors import FhirAdapterError, PartialError

# Heavy modules are imported by the verb that needs them, so that --help answers at once.

app = typer.Typer(
    name="fhiradapter",
    help="From FHIR to a traceable trial cohort, progression slopes and safety tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 complete, 1 unexpected, 2 usage, 3 settings or definitions, 4 partial, "
    "5 authentication, 6 server, 7 another run holds the store.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fhiradapter {version('fhiradapter')}")
        raise typer.Exit


@app.callback()
def _every(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From FHIR to a traceable trial cohort, progression slopes and safety tables."""


VERBS: tuple[Callable[..., None], ...] = (
    study.run,
    study.map_,
    study.analyse,
    study.report,
    syncing.sync,
    store.status,
    study.profile,
    study.check,
    store.explain,
    store.export,
    store.rebuild,
)
for verb in VERBS:
    app.command(verb.__name__.rstrip("_"))(verb)
app.add_typer(store.quarantine)
app.add_typer(syncing.bulk)


def main() -> None:
    """Run the command; an error of fhiradapter or of the file system becomes one line and an exit code.

    Of any other error are told its kind and where it happened. Its text may hold what it stumbled over, which
    may be a patient's.
    """
    if sys.argv[1:2] == ["map"] and not any(word.startswith("--engine") for word in sys.argv):
        do_without_pandas()  # Arrow would load it, and nothing here makes a DataFrame; Spark may ask for it
        keep_freed_memory()
    try:
        app(standalone_mode=True)
    except FhirAdapterError as error:
        _say("partial" if isinstance(error, PartialError) else "error", str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        _say("error", f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}")
        sys.exit(FhirAdapterError.exit_code)
    except Exception as error:  # noqa: BLE001 - the last one to see it
        for frame in traceback.extract_tb(error.__traceback__):
            sys.stderr.write(f"  {frame.filename}:{frame.lineno} in {frame.name}\n")
        _say("error", f"{type(error).__name__}, which nobody expected; the places above help to mend it")
        sys.exit(FhirAdapterError.exit_code)


def _say(label: str, message: str) -> None:
    from rich.markup import escape

    from fhiradapter.console import talk

    talk.print(f"[bold red]{label}:[/] {escape(message)}", soft_wrap=True)
