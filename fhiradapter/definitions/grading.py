"""The reader of `mappings/grading/`: criteria that a clinician edits, checked row by row."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from fhiradapter.definitions.criteria import (
    BASES,
    CLINICAL,
    COMPARISONS,
    CONDITIONS,
    COUNTS_UNDER,
    DIRECTIONS,
    GRADES,
    IN_UNITS,
    Branch,
    Comparison,
    GradingTable,
    TermCriteria,
    UnitFactor,
    term_key,
    unit_spelling,
)
from fhiradapter.definitions.location import mappings_folder
from fhiradapter.definitions.tables import Finding, Row, decimal_or_none, read_table
from fhiradapter.errors import DefinitionsError, UsageError

CRITERIA_COLUMNS = (
    "term", "direction", "grade", "branch", "basis", "comparison", "number", "unit", "condition",
    "counts_under", "qualifier", "text",
)  # fmt: skip
TERM_COLUMNS = ("term", "direction", "quantity", "concepts")
UNIT_COLUMNS = ("quantity", "unit", "criteria_unit", "factor")


def grading_versions(*, folder: Path | None = None) -> tuple[str, ...]:
    """List the versions that have a table: a file `grading/ctcae_<version>.csv` makes a version."""
    found = ((folder or mappings_folder()) / "grading").glob("ctcae_[0-9]*.csv")
    return tuple(sorted(path.stem.removeprefix("ctcae_") for path in found))


def read_grading(version: str, *, folder: Path | None = None) -> GradingTable:
    """Read the criteria of one version, once.

    Raises UsageError for a version without a table, DefinitionsError naming file and line for a wrong table.
    """
    return _read_once(version, folder or mappings_folder())


def check_grading(*, folder: Path | None = None) -> list[Finding]:
    """List everything wrong in the grading tables of every version."""
    place = folder or mappings_folder()
    return sorted(
        {finding for version in grading_versions(folder=place) for finding in _read(version, place)[1]}
    )


@lru_cache(maxsize=16)
def _read_once(version: str, folder: Path) -> GradingTable:
    known = grading_versions(folder=folder)
    if version not in known:
        raise UsageError(f"no CTCAE version {version!r} in mappings/grading; there are {', '.join(known)}")
    table, findings = _read(version, folder)
    if findings:
        raise DefinitionsError("\n".join(str(finding) for finding in findings))
    return table


def _read(version: str, folder: Path) -> tuple[GradingTable, list[Finding]]:
    place = folder / "grading"
    unit_rows, findings = read_table(place / "units.csv", columns=UNIT_COLUMNS, folder=folder)
    term_rows, more = read_table(place / "terms.csv", columns=TERM_COLUMNS, folder=folder)
    findings += more
    rows, more = read_table(place / f"ctcae_{version}.csv", columns=CRITERIA_COLUMNS, folder=folder)
    findings += more
    units = _units(unit_rows, findings)
    quantities: dict[tuple[str, str], str] = {}
    concepts: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in term_rows:
        key = term_key(row["term"], row["direction"])
        if key in quantities:
            findings.append(row.finding("this term and direction stand in the table twice"))
        if row["quantity"] and row["quantity"] not in units:
            findings.append(row.finding(f"quantity {row['quantity']} has no row in units.csv"))
        quantities[key] = row["quantity"]
        for concept in row["concepts"].split():
            concepts[concept] = (*concepts.get(concept, ()), (row["term"], row["direction"]))
    good = [row for row in rows if _right(row, quantities, findings)]
    terms = _terms(good, quantities, units, findings)
    table = GradingTable(version, terms, frozenset(quantities), concepts, units)
    return table, sorted(findings)


def _units(rows: Iterable[Row], findings: list[Finding]) -> dict[str, dict[str, UnitFactor]]:
    units: dict[str, dict[str, UnitFactor]] = {}
    for row in rows:
        factor = decimal_or_none(row["factor"])
        accepted = units.setdefault(row["quantity"], {})
        if factor is None or factor <= 0:
            findings.append(row.finding(f"factor {row['factor']!r} is not a positive number"))
        elif unit_spelling(row["unit"]) in accepted:
            findings.append(row.finding(f"unit {row['unit']} stands in the table twice"))
        else:
            accepted[unit_spelling(row["unit"])] = UnitFactor(row["criteria_unit"], float(factor))
    return units


def _right(row: Row, quantities: Mapping[tuple[str, str], str], findings: list[Finding]) -> bool:
    """Whether a row of criteria can be read; what hinders it is added to the findings."""
    clinical, in_units = row["basis"] == CLINICAL, row["basis"] in IN_UNITS
    closed: tuple[tuple[str, Iterable[str]], ...] = (
        ("direction", DIRECTIONS), ("grade", GRADES), ("basis", BASES), ("condition", CONDITIONS),
        ("counts_under", COUNTS_UNDER), ("comparison", {""} if clinical else COMPARISONS),
    )  # fmt: skip
    wrong = [
        f"{column} {row[column]!r} is none of {', '.join(sorted(word or 'empty' for word in words))}"
        for column, words in closed
        if row[column] not in words
    ]
    if term_key(row["term"], row["direction"]) not in quantities:
        wrong.append(f"term {row['term']} {row['direction']} has no row in terms.csv")
    if not clinical and decimal_or_none(row["number"]) is None:
        wrong.append(f"number {row['number']!r} is not a number")
    if bool(row["unit"]) != in_units:
        wrong.append(f"basis {row['basis']} {'needs a unit' if in_units else 'has no unit'}")
    if not row["branch"]:
        wrong.append("branch is empty")
    findings.extend(row.finding(message) for message in wrong)
    return not wrong


def _terms(
    rows: Iterable[Row],
    quantities: Mapping[tuple[str, str], str],
    units: Mapping[str, Mapping[str, UnitFactor]],
    findings: list[Finding],
) -> dict[tuple[str, str], TermCriteria]:
    def place(row: Row) -> tuple[str, str]:
        return term_key(row["term"], row["direction"])

    def rank(row: Row) -> tuple[tuple[str, str], int, str]:
        return place(row), list(GRADES).index(row["grade"]), row["branch"]

    terms: dict[tuple[str, str], TermCriteria] = {}
    ordered = sorted((row for row in rows if row["basis"] != CLINICAL), key=rank)
    for key, of_term in groupby(ordered, place):
        grouped = [list(of_branch) for _, of_branch in groupby(of_term, rank)]
        branches = tuple(_branch(of_branch, findings) for of_branch in grouped)
        first = grouped[0][0]
        quantity = quantities[key]
        needed = {factor.criteria_unit for factor in units.get(quantity, {}).values()}
        # A grade in mg/dL alone would silently not exist for a value in mmol/L.
        for grade in {branch.grade for branch in branches}:
            given = {branch.unit for branch in branches if branch.grade == grade and branch.unit}
            if given and given != needed:
                units_needed = ", ".join(sorted(needed)) or "none"
                message = f"grade {grade} is in {', '.join(sorted(given))}; units.csv leads to {units_needed}"
                findings.append(first.finding(message))
        terms[key] = TermCriteria(first["term"], first["direction"], quantity, branches)
    return terms


def _branch(rows: list[Row], findings: list[Finding]) -> Branch:
    first = rows[0]
    for row in rows[1:]:
        differing = [c for c in ("condition", "counts_under", "qualifier") if row[c] != first[c]]
        findings.extend(
            row.finding(f"{column} differs within branch {row['branch']}") for column in differing
        )
    numbers = [float(decimal_or_none(row["number"]) or 0) for row in rows]
    comparisons = tuple(
        Comparison(row["basis"], row["comparison"], number, row["unit"])
        for row, number in zip(rows, numbers, strict=True)
    )
    if len({c.unit for c in comparisons if c.unit}) > 1:
        findings.append(first.finding("a branch has its numbers in one unit; give each unit its own branch"))
    return Branch(
        grade=GRADES[first["grade"]],
        name=first["branch"],
        comparisons=comparisons,
        condition=first["condition"],
        counts_under=first["counts_under"],
        qualifier=first["qualifier"],
        line=first.line,
    )
