"""What verbs print besides tables: files and JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer


def print_files(files: Mapping[str, Path | str], *, as_json: bool) -> None:
    """Print where files are."""
    from fhiradapter.console import data

    if as_json:
        print_json({name: str(path) for name, path in files.items()})
        return
    for name, path in files.items():
        data.print(f"{name + ':':<9}{path}", soft_wrap=True, markup=False)


def print_json(content: Any) -> None:
    """Print anything as indented JSON."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
