"""Counted: what a written cohort holds, in numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.engines.spark import frames
from fhiradapter.engines.spark.frames import Rows

WITH_CONCEPTS = ("measurements", "exposures")


@dataclass(frozen=True)
class Counted:
    """Issues by reason and disposition; rows without a concept, of how many; rows by table."""

    issues: dict[str, dict[str, int]]
    unmapped: dict[str, tuple[int, int]]
    tables: dict[str, int]

    @classmethod
    def of(
        cls,
        rows: Mapping[str, int],
        unmapped: Mapping[str, int],
        issues: Iterable[tuple[tuple[str, str], int]],
    ) -> "Counted":
        """Put together numbers that may come in any order."""
        tables = {table: rows.get(table, 0) for table in SCHEMAS}
        by_reason: dict[str, dict[str, int]] = {}
        for (reason, disposition), number in sorted(issues):
            by_reason.setdefault(reason, {})[disposition] = number
        parts = {table: (unmapped.get(table, 0), tables[table]) for table in WITH_CONCEPTS}
        return cls(by_reason, parts, tables)


def counted(written: Mapping[str, Rows]) -> Counted:
    """Count the rows of all tables where they lie."""
    chosen = []
    for table, rows in written.items():
        concept = "concept IS NULL" if table in WITH_CONCEPTS else "false"
        reasons = ("reason", "disposition") if table == "issues" else ("'' AS reason", "'' AS disposition")
        chosen.append(rows.selectExpr(f"'{table}' AS name", *reasons, f"{concept} AS unmapped"))
    groups = (
        reduce(lambda one, other: one.union(other), chosen)
        .groupBy("name", "reason", "disposition")
        .agg(frames.sql("count(*) AS rows"), frames.sql("count_if(unmapped) AS unmapped"))
    )
    numbers: Counter[str] = Counter()
    unmapped: Counter[str] = Counter()
    issues: Counter[tuple[str, str]] = Counter()
    for row in groups.collect():
        numbers[row["name"]] += row["rows"]
        unmapped[row["name"]] += row["unmapped"]
        if row["name"] == "issues":
            issues[row["reason"], row["disposition"]] += row["rows"]
    return Counted.of(numbers, unmapped, issues.items())
