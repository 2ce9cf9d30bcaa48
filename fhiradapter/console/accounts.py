"""What a run says: accounts, issues, codes."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from fhiradapter.console.screens import data

if TYPE_CHECKING:
    from fhiradapter.code_counts import CodeCount
    from fhiradapter.cohort.accounting import TypeAccount


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
