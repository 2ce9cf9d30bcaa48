"""A comma-separated table of `mappings/`, each row with the line it stands on."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

# 5/9 of the Fahrenheit scale has no finite decimal form: fifty digits leave its error far below a float's.
EXACT = Context(prec=50, traps=[InvalidOperation])


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something wrong in the definitions, with the file and line where a person mends it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by column name, all trimmed, none absent."""

    file: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def finding(self, message: str) -> Finding:
        """Say what is wrong with this row."""
        return Finding(self.file, self.line, message)


def read_table(path: Path, *, columns: Iterable[str], folder: Path) -> tuple[list[Row], list[Finding]]:
    """Read the rows of one file and find what hinders it; further columns are allowed, for notes."""
    name = path.relative_to(folder).as_posix()
    try:
        # Excel writes a byte order mark in front of UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        return [], [Finding(name, 1, f"the file cannot be read ({error.strerror})")]
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        return [], [Finding(name, line, "the file is not UTF-8 here; save it as UTF-8")]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [cell.strip() for cell in next(reader, [])]
    missing = [column for column in columns if column not in header]
    if missing:
        return [], [Finding(name, 1, f"column {', '.join(missing)} is missing")]
    rows: list[Row] = []
    findings: list[Finding] = []
    try:
        begins = reader.line_num + 1
        for cells in reader:
            # A quoted cell may run over several lines: the row stands where it begins.
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                message = f"{len(cells)} cells, but {len(header)} columns; quote a text that holds a comma"
                findings.append(Finding(name, line, message))
                continue
            trimmed = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
            rows.append(Row(name, line, trimmed))
    except csv.Error as error:
        findings.append(Finding(name, reader.line_num, f"not a comma-separated line ({error})"))
    return rows, findings


def decimal_or_none(text: str) -> Decimal | None:
    """Read a finite decimal number or a quotient of two such as `5/9`; None when the text is neither."""
    numerator, slash, denominator = text.partition("/")
    try:
        value = EXACT.create_decimal(numerator.strip())
        divisor = EXACT.create_decimal(denominator.strip()) if slash else Decimal(1)
    except InvalidOperation:
        return None
    if not (value.is_finite() and divisor.is_finite()) or not divisor:
        return None
    return EXACT.divide(value, divisor)
