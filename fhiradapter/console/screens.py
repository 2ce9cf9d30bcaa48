"""The two screens: data goes to stdout, so that it can be piped; everything else goes to stderr."""

import sys

from rich.console import Console
from rich.table import Table

talk = Console(stderr=True, highlight=False)
# Where nobody looks at the width, nothing is cut.
data = Console(highlight=False, width=None if sys.stdout.isatty() else 220)


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table without frames; `right` are the columns of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    return table
