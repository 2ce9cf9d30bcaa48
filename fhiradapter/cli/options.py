"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

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
        " than 32 MB, else one. With --engine spark the processors of a session started here. The cohort"
        " does not depend on it.",
    ),
]
Engine = Annotated[
    Literal["local", "spark"],
    typer.Option(
        help="Where mapping runs: in processes of this machine, or on Spark, which needs"
        " `pip install 'fhiradapter\\[spark]'` and Java 17. The rows are the same."
    ),
]
Format = Annotated[
    Literal["parquet", "delta"],
    typer.Option(help="With --engine spark: Parquet, or Delta Lake where the session has it."),
]
Buckets = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="With --engine spark: folders into which subjects are divided; by default one for every 256 MB.",
    ),
]
