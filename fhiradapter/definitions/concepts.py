"""Concepts: the meanings that codes of any system are mapped to."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from fhiradapter.definitions.tables import Finding, Row, decimal_or_none

COLUMNS = (
    "concept",
    "kind",
    "canonical_unit",
    "plausible_low",
    "plausible_high",
    "strict",
    "integer",
    "specimen_rule",
    "display",
    "note",
)

# What a concept is used for, in the order in which a subject meets them.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "date": "a day in the disease's history, such as symptom onset",
        "condition": "a diagnosis",
        "score_panel": "an instrument whose members carry the values",
        "score": "a total score",
        "score_item": "one question of an instrument",
        "biomarker": "a research biomarker, analysed on the log scale",
        "lung_function": "spirometry",
        "lab": "a routine laboratory test",
        "vital_panel": "a vital sign whose components carry the values",
        "vital": "a vital sign",
        "product": "an investigational product, named by the site or the study",
        "lymphodepletion": "given to make room for infused cells",
        "immunosuppressant": "given to suppress the immune system",
        "interleukin_2": "interleukin-2, which expands regulatory T cells itself",
        "premedication": "given to prevent or treat an infusion reaction",
        "concomitant": "background therapy of the disease",
        "route": "a route of administration",
        "specimen": "a specimen's matrix",
    }
)

SPECIMEN_RULES = ("matrix",)  # matrix: serum, plasma and CSF are different series


@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning: what it is, the unit it is kept in and the values it can take.

    `low` and `high` bound the plausible values in `canonical_unit`. Outside them a value is implausible, or
    unusable where `strict` is True (an ALSFRS-R item is 0, 1, 2, 3 or 4 and nothing else).
    `molar` is the factor from mg/dL to a canonical unit that counts moles.
    """

    name: str
    kind: str
    canonical_unit: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    integer: bool = False
    strict: bool = False
    specimen_rule: str | None = None
    molar: Decimal | None = None
    display: str = ""


def concept_of(row: Row) -> Concept:
    """Build the concept that a checked row of `concepts.csv` declares."""
    return Concept(
        name=row["concept"],
        kind=row["kind"],
        canonical_unit=row["canonical_unit"] or None,
        low=decimal_or_none(row["plausible_low"]),
        high=decimal_or_none(row["plausible_high"]),
        integer=row["integer"] == "yes",
        strict=row["strict"] == "yes",
        specimen_rule=row["specimen_rule"] or None,
        display=row["display"],
    )


def check_concepts(rows: list[Row], *, units: frozenset[str]) -> list[Finding]:
    """Find what is wrong with rows of `concepts.csv`, given the UCUM codes that `units.csv` knows."""
    findings: list[Finding] = []
    first: dict[str, Row] = {}
    for row in rows:
        name = row["concept"]
        if not name:
            findings.append(row.finding("the concept has no name"))
        elif name in first:
            findings.append(row.finding(f"concept {name} is declared already on line {first[name].line}"))
        first.setdefault(name, row)
        findings.extend(row.finding(message) for message in _messages(row, units=units))
    return findings


def _messages(row: Row, *, units: frozenset[str]) -> list[str]:
    messages: list[str] = []
    if row["kind"] not in KINDS:
        messages.append(f"unknown kind {row['kind']!r}; known: {', '.join(KINDS)}")
    if row["canonical_unit"] and row["canonical_unit"] not in units:
        messages.append(f"unknown unit {row['canonical_unit']!r}: add it to units.csv as kind ucum")
    if row["specimen_rule"] and row["specimen_rule"] not in SPECIMEN_RULES:
        messages.append(f"unknown specimen rule {row['specimen_rule']!r}; known: {', '.join(SPECIMEN_RULES)}")
    messages.extend(
        f"{column} is {row[column]!r}; write yes or leave it empty"
        for column in ("strict", "integer")
        if row[column] not in ("yes", "")
    )
    bounds = {column: decimal_or_none(row[column]) for column in ("plausible_low", "plausible_high")}
    messages.extend(
        f"{column} is {row[column]!r}, not a decimal number"
        for column, bound in bounds.items()
        if row[column] and bound is None
    )
    low, high = bounds.values()
    if low is not None and high is not None and low > high:
        messages.append(f"plausible_low {low} is above plausible_high {high}")
    if row["strict"] == "yes" and (low is None or high is None):
        messages.append("a strict concept needs plausible_low and plausible_high")
    return messages
