"""Golden pairs: each resource in tests/cases becomes exactly the cells that were written beside it by hand.

`<case>.json` is one resource as it would arrive and `<case>.csv` every cell that must come of it. In
`claims.csv` one sentence says what the case shows. A case comes alone, without its Patient: that its rows are
flagged as an orphan's is claimed once for all of them, and not in every table.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fhiradapter.api import build_cohort
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

CASES = Path(__file__).parents[1] / "cases"
SITES = "sites"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVENANCE = frozenset(
    {
        "row_id",
        "source",
        "source_file",
        "source_line",
        "resource_type",
        "resource_id",
        "version_id",
        "last_updated",
        "rule",
        "run_id",
    }
)
OF_AN_ISSUE = ("reason", "path", "disposition")
ALONE = "ORPHAN_SUBJECT"
ALONE_TOO = ("ORPHAN_REFERENCE", "Encounter")  # the visit of a dose, which is no part of the case either

# The rules of clinical data integrity that one resource can show; the others need several resources.
TOPICS = (
    "entered-in-error",
    "Observation.status",
    "MedicationAdministration.status",
    "Unknown modifierExtension, at any depth; unknown implicitRules",
    "Unknown code in a required is-modifier element",
    "Negation",
    "dataAbsentReason (resource, component, primitive extension, Coding)",
    "Comparator",
    "Units",
    "value[x]",
    "component, hasMember",
    "Dates",
    "effective[x], occurrence[x]",
    "deceased[x]",
    "References",
    "contained",
    "Text-only codes",
    "Same id on every resource, ids that are not FHIR ids, `.` and `..`",
    "Versions",
    "PHI",
)

Cell = tuple[str, str, str, str]


class Claim(NamedTuple):
    """One row of a `claims.csv`."""

    resource: str
    case: str
    topic: str
    sentence: str
    site: str | None

    @property
    def sent(self) -> Path:
        """The resource."""
        return CASES / self.resource / f"{self.case}.json"

    @property
    def expected(self) -> Path:
        """The cells."""
        return CASES / self.resource / f"{self.case}.csv"


def read_claims() -> Iterator[Claim]:
    for file in sorted(CASES.glob("*/claims.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield Claim(
                    file.parent.name, row["case"], row["topic"], row["claim"], row.get("site") or None
                )


CLAIMS = tuple(read_claims())


def study_of(claim: Claim) -> Study:
    return Study.model_validate(
        {
            "study": {"id": "golden-pairs", "title": "Golden pairs (synthetic)"},
            "sources": [{"site": claim.site}],
            "folder": CASES / SITES,
        }
    )


@cache
def cohort_of(claim: Claim) -> Cohort:
    """Map the bytes of a case as they are, since a number's text ('1.10') is part of what was sent."""
    return build_cohort([claim.sent.read_bytes()], study_of(claim), now=NOW)


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def part_of(row: dict[str, Any]) -> str:
    """Return what follows the resource in the row's id; the id itself may hold any character."""
    resource = f"{row['source']}/{row['resource_type']}/{row['resource_id'] or ''}"
    mark, part = row["row_id"].removeprefix(resource).partition("#")[1:]
    return f"{mark}{part}"


def as_instant(text: str) -> str:
    """Write an instant in one way, so that '.5Z' and '.500000Z' are one."""
    return text_of(datetime.fromisoformat(text)) if "T" in text else text


def cells_of(cohort: Cohort) -> list[Cell]:
    """Return every cell of the tables but provenance and issues."""
    return sorted(
        (table, part_of(row), column, text_of(value))
        for table, content in cohort.tables.items()
        if table != "issues"
        for row in content.to_pylist()
        for column, value in row.items()
        if column not in PROVENANCE and value is not None
    )


def issues_of(cohort: Cohort) -> list[tuple[str, str, str]]:
    """Return what is odd about the resource itself."""
    return sorted(
        (row["reason"], row["path"] or "", row["disposition"])
        for row in cohort.tables["issues"].to_pylist()
        if row["reason"] != ALONE and (row["reason"], row["resource_type"]) != ALONE_TOO
    )


def read_expected(claim: Claim) -> tuple[list[Cell], list[tuple[str, str, str]]]:
    cells: list[Cell] = []
    issues: dict[str, dict[str, str]] = {}
    with claim.expected.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["table"] == "issues":
                assert row["column"] in OF_AN_ISSUE, f"{claim.expected.name}: {row['column']} is not compared"
                issues.setdefault(row["part"], {})[row["column"]] = row["value"]
            else:
                value = as_instant(row["value"]) if row["column"].endswith("_at") else row["value"]
                cells.append((row["table"], row["part"], row["column"], value))
    found = [tuple(issue.get(column, "") for column in OF_AN_ISSUE) for issue in issues.values()]
    return sorted(cells), sorted((reason, path, fate) for reason, path, fate in found if reason != ALONE)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.resource}/{claim.case}")
def test_a_resource_becomes_the_cells_written_beside_it(claim: Claim) -> None:
    """No cell is missing, none is there that was not expected, and the issues say why."""
    cells, issues = read_expected(claim)
    cohort = cohort_of(claim)
    assert cells_of(cohort) == cells, claim.sentence
    assert issues_of(cohort) == issues, claim.sentence


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.resource}/{claim.case}")
def test_a_case_is_received_once_and_accounted_for(claim: Claim) -> None:
    """Each case is one resource that is mapped, quarantined or ignored."""
    accounts = cohort_of(claim).accounting.values()
    assert sum(account.received for account in accounts) == 1
    assert all(account.balanced for account in accounts)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.resource}/{claim.case}")
def test_rows_about_a_person_who_was_not_received_are_flagged_as_orphans(claim: Claim) -> None:
    """The flag comes once for each subject without a Patient, and for nobody else."""
    tables = {table: content.to_pylist() for table, content in cohort_of(claim).tables.items()}
    issues, people = tables.pop("issues"), {row["subject_id"] for row in tables.pop("subjects")}
    mentioned = {row["subject_id"] for rows in tables.values() for row in rows}
    flagged = [row["subject_id"] for row in issues if row["reason"] == ALONE]
    assert sorted(flagged) == sorted(mentioned - people)


def test_every_resource_has_its_cells_and_its_claim() -> None:
    """No file of a pair is left alone, and no two claims share a case."""
    claimed = Counter((claim.resource, claim.case) for claim in CLAIMS)
    assert all(count == 1 for count in claimed.values())
    for suffix in (".json", ".csv"):
        files = {(file.parent.name, file.stem) for file in CASES.glob(f"*/*{suffix}")}
        assert {pair for pair in files if pair[1] != "claims"} == claimed.keys(), suffix


def test_every_claim_is_a_sentence_with_a_topic() -> None:
    """A table of cells without a sentence would be a snapshot, and not a claim."""
    assert all(claim.topic.strip() and len(claim.sentence.split()) >= 3 for claim in CLAIMS)
    assert all((CASES / SITES / claim.site).is_file() for claim in CLAIMS if claim.site)


def test_there_are_enough_pairs_and_every_integrity_rule_has_some() -> None:
    """At least 90 pairs, 30 for administrations and 30 for observations; prints how many of each."""
    resources = Counter(claim.resource for claim in CLAIMS)
    topics = Counter(claim.topic.casefold() for claim in CLAIMS)
    for name, count in sorted(resources.items()) + sorted(topics.items()):
        print(f"{count:5}  {name}")
    assert len(CLAIMS) >= 90
    assert resources["medication_administration"] >= 30
    assert resources["observation"] >= 30
    assert [topic for topic in TOPICS if not topics[topic.casefold()]] == []


@pytest.mark.parametrize(
    ("resource", "spellings"),
    [
        (
            "medication_administration",
            ("same_administration_r4", "same_administration_r5", "same_administration_stu3"),
        ),
        ("encounter", ("finished_r4", "finished_r5")),
    ],
)
def test_the_spelling_of_a_fhir_version_changes_no_cell(resource: str, spellings: tuple[str, ...]) -> None:
    """R4, R5 and STU3 say one thing in different words: the rows that come of it are equal."""
    known = {(claim.resource, claim.case): claim for claim in CLAIMS}
    first, *others = (cells_of(cohort_of(known[resource, name])) for name in spellings)
    assert first
    assert all(other == first for other in others)
