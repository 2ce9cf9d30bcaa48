"""One file mapped twice: column by column where it is regular, and every resource by itself."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhiradapter.api import build_cohort
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.mappers import kernel
from fhiradapter.settings import Source, Study, StudyCard

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def study(time_zone: str | None) -> Study:
    """A study that reads in one time zone."""
    return Study(study=StudyCard(id="x", title="x"), sources=[Source(time_zone=time_zone)])


def rows(cohort: Cohort) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, in an order that does not depend on how they were made."""
    found = {}
    for table in SCHEMAS:
        listed = cohort.arrow(table).to_pylist()
        for row in listed:
            row.pop("run_id")
        found[table] = sorted(listed, key=lambda row: json.dumps(row, default=str, sort_keys=True))
    return found


def same_both_ways(
    resources: Iterable[dict[str, Any] | str],
    time_zone: str | None,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> int:
    """Compare cell by cell, and the accounts; return how many resources were mapped column by column.

    Resources may be JSON already, where it matters how they are written.
    """
    file = folder / "in.ndjson"
    lines = (one if isinstance(one, str) else json.dumps(one) for one in resources)
    file.write_text("".join(f"{line}\n" for line in lines))
    taken: list[int] = []
    lanes = kernel.LANES

    def counted(lane: Any, *arguments: Any) -> Any:
        found = lane(*arguments)
        taken.append(len(found.places) if found else 0)
        return found

    # In portions, so that the memories are filled by the first and used by the others.
    monkeypatch.setattr("fhiradapter.fhir.compression.PORTION", 50_000)
    monkeypatch.setattr(kernel, "LANES", [(forms, partial(counted, lane)) for forms, lane in lanes])
    by_columns = build_cohort(file, study(time_zone), now=NOW)
    monkeypatch.setattr(kernel, "LANES", ())
    one_by_one = build_cohort(file, study(time_zone), now=NOW)
    assert rows(by_columns) == rows(one_by_one)
    assert by_columns.accounting == one_by_one.accounting
    assert all(account.balanced for account in by_columns.accounting.values())
    return sum(taken)
