"""The console: accounts as tables, progress as bars on a terminal and as plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fhiradapter.code_counts import CodeCount
    from fhiradapter.cohort.accounting import TypeAccount

SECONDS_BETWEEN_LINES = 10

# Data goes to stdout, so that it can be piped; everything else goes to stderr.
talk = Console(stderr=True, highlight=False)
# Where nobody looks at the width, nothing is cut.
data = Console(highlight=False, width=None if sys.stdout.isatty() else 220)


class ProgressView:
    """Shows how many resources and bytes were read, and how long it will still take."""

    def __init__(self, total_bytes: int | None) -> None:
        self._total = total_bytes
        self._resources = self._bytes = 0
        self._begun = self._last = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("reading"),
                BarColumn(),
                DownloadColumn(),
                TextColumn("{task.fields[resources]} resources, {task.fields[rate]}/s"),
                TimeRemainingColumn(),
                console=talk,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total_bytes, resources="0", rate="0")

    def __enter__(self) -> "ProgressView":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if kind is None:
            talk.print(f"read {self._resources:,} resources in {time.monotonic() - self._begun:.1f} s")

    def advance(self, resources: int, bytes_read: int) -> None:
        """Count what was read since the last call."""
        self._resources += resources
        self._bytes += bytes_read
        now = time.monotonic()
        rate = f"{self._resources / max(now - self._begun, 1e-3):,.0f}"
        if self._bar:
            self._bar.update(self._task, completed=self._bytes, resources=f"{self._resources:,}", rate=rate)
        elif now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            share = f", {100 * self._bytes / self._total:.0f} %" if self._total else ""
            talk.print(f"read {self._resources:,} resources, {rate}/s{share}")


def print_accounts(accounting: "dict[str, TypeAccount]") -> None:
    """Print received = mapped + quarantined + ignored, one line per type."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("resource type", "received", "mapped", "quarantined", "ignored"):
        table.add_column(name, justify="left" if name == "resource type" else "right")
    table.add_column("ignored because", style="dim")
    for kind, account in accounting.items():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in account.ignored.items())
        table.add_row(
            kind,
            f"{account.received:,}",
            f"{account.mapped:,}",
            f"{account.quarantined:,}",
            f"{sum(account.ignored.values()):,}",
            reasons,
        )
    data.print(table)


def print_issues(issues: dict[str, dict[str, int]]) -> None:
    """Print the issues by reason; nothing when there is none."""
    if not issues:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("issue")
    table.add_column("rows", justify="right")
    table.add_column("what became of it")
    for reason, dispositions in issues.items():
        for disposition, count in dispositions.items():
            table.add_row(reason, f"{count:,}", disposition)
    data.print()
    data.print(table)


def print_unmapped(unmapped: dict[str, tuple[int, int]]) -> None:
    """Say how many rows have a code that no code list knows, and how to see which."""
    for table, (without, rows) in unmapped.items():
        if without:
            data.print(
                f"\n{without:,} of {rows:,} {table} have a code that no code list knows; "
                "`fhiradapter profile --unmapped` shows which",
                soft_wrap=True,
            )


def print_code_counts(counts: "list[CodeCount]") -> None:
    """Print codes and units with their counts; what is not mapped or not converted comes first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("code", "display", "unit", "mapped to", "rows"):
        table.add_column(
            name, justify="right" if name == "rows" else "left", overflow="fold", no_wrap=name == "code"
        )
    for row in counts:
        concept = row.concept or "(not mapped)"
        if row.concept and not row.converted:
            concept += " (unit not converted)"
        cells = (row.code or "(no code)", row.display or "", row.unit or "", concept, f"{row.rows:,}")
        table.add_row(*(Text(cell) for cell in cells))
    data.print(table)
