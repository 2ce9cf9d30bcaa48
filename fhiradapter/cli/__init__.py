"""The command line: arguments in, exit code out."""

from fhiradapter.cli.main import app, main

__all__ = ["app", "main"]
