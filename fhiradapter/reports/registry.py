"""The reports that can be written, by the suffix of their file."""

from importlib import import_module
from pathlib import Path

from fhiradapter.errors import UsageError
from fhiradapter.results import Results

# Import strings: drawing needs matplotlib, which a command that writes no report should not wait for.
REPORTS = {
    ".html": "fhiradapter.reports.html:write_html",
}


def write_report(results: Results, path: str | Path) -> Path:
    """Write the report whose kind the suffix of `path` names, and return its path.

    Folders on the way are created; a file that is there is replaced.
    Raises UsageError when no report has that suffix.

    >>> write_report(None, "report.docx")
    Traceback (most recent call last):
    fhiradapter.errors.UsageError: report.docx: no report has this suffix; there is .html
    """
    file = Path(path)
    try:
        module, name = REPORTS[file.suffix.lower()].split(":")
    except KeyError:
        known = ", ".join(REPORTS)
        raise UsageError(f"{file}: no report has this suffix; there is {known}") from None
    written: Path = getattr(import_module(module), name)(results, file)
    return written
