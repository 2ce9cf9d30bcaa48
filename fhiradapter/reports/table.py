"""A table as a report shows it: a caption, columns and rows of text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhiradapter.reports.formats import MISSING
from fhiradapter.reports.wording import plural

LONGEST = 50  # rows; a report is read, the files beside it hold everything


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers are set to the right, digits under digits."""

    label: str
    numeric: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A text that carries a meaning beside its words: good, bad, worse or group."""

    text: str
    kind: str


Row = tuple[str | Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A caption, columns, rows, and remarks below."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def words(*labels: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(label) for label in labels)


def numbers(*labels: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(label, numeric=True) for label in labels)


def without_empty_columns(table: Table) -> Table:
    """Return the table without the columns that hold nothing, and a remark that names them."""
    kept = [
        place
        for place in range(len(table.columns))
        if any(
            (cell.text if isinstance(cell := row[place], Cell) else cell) not in {"", MISSING}
            for row in table.rows
        )
    ]
    empty = [column.label for place, column in enumerate(table.columns) if place not in kept]
    if not empty:
        return table
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        remarks=(*table.remarks, f"Without a value in all rows: {', '.join(empty)}."),
    )


def remainder(rows: Sequence[object], noun: str, *, longest: int = LONGEST) -> tuple[str, ...]:
    """Return the remark that tells how many rows are not shown, or nothing.

    >>> remainder(range(128), "subject")
    ('The first 50 of 128 subjects are shown; 78 are not.',)
    """
    if len(rows) <= longest:
        return ()
    return (f"The first {longest} of {plural(len(rows), noun)} are shown; {len(rows) - longest:,} are not.",)
