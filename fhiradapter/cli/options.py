"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Site = Annotated[Path | None, typer.Option(metavar="FILE", help="Site overlay with local codes and units.")]
Zone = Annotated[str | None, typer.Option("--time-zone", metavar="NAME", help="IANA zone of local days.")]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Processes that map side by side; by default as many as there are processors for inputs of more"
        " than 32 MB, else one. The cohort does not depend on it.",
    ),
]
