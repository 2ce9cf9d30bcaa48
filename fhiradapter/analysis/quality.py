"""What the data could not say: issues, unmapped codes, text without a code."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import DataQuality, Unmapped

# Tables whose rows mean a concept, with the column of the unit as sent.
CODED = {"exposures": "dose_unit", "measurements": "source_unit", "events": None}
MOST = 200
KEYS = ["table", "code", "unit"]


def derive_quality(cohort: Cohort) -> DataQuality:
    """Count issues by reason and disposition, and rows that no code list knows.

    `unmapped` has the most frequent codes without a concept by table, code and unit, at most 200, with the
    first of their displays by alphabet; `unmapped_rows` counts all such rows. A row is text-only when its
    code as sent is no 'system|code'.

    >>> row = {"row_id": "a", "source_code": "weight", "source_unit": "kg"}
    >>> quality = derive_quality(Cohort.from_rows({"measurements": [row, row]}))
    >>> [(code.code, code.unit, code.count) for code in quality.unmapped], quality.text_only_rows
    ([('weight', 'kg', 2)], 2)
    """
    return summarise_quality(quality_rows(cohort))


@dataclass(frozen=True)
class QualityRows:
    """Counts over some subjects.

    issues: by reason and disposition. unmapped: one row per table, code and unit without a concept, with its
    smallest `display` and the `count` of rows.
    """

    issues: Counter[tuple[str, str]]
    unmapped: pd.DataFrame
    unmapped_rows: int
    text_only_rows: int


def quality_rows(cohort: Cohort) -> QualityRows:
    """Count what `summarise_quality` needs of some whole subjects."""
    issues = cohort.arrow("issues").group_by(["reason", "disposition"]).aggregate([([], "count_all")])
    parts = [_coded(cohort, table, unit) for table, unit in CODED.items()]
    rows = pd.concat([part.to_pandas().astype(object) for part, _ in parts], ignore_index=True)
    groups = rows.groupby(KEYS, sort=True)
    found = pd.DataFrame({"display": groups["display"].min(), "count": groups.size()}).reset_index()
    return QualityRows(
        issues=Counter({(row["reason"], row["disposition"]): row["count_all"] for row in issues.to_pylist()}),
        unmapped=found.astype({"display": object}),
        unmapped_rows=len(rows),
        text_only_rows=sum(text_only for _, text_only in parts),
    )


def summarise_quality(rows: QualityRows) -> DataQuality:
    """Return the counts over all subjects."""
    by_reason: dict[str, dict[str, int]] = {}
    for (reason, disposition), count in sorted(rows.issues.items()):
        by_reason.setdefault(reason, {})[disposition] = count
    displays = rows.unmapped.dropna(subset="display").groupby(KEYS)["display"].min()
    found = rows.unmapped.groupby(KEYS, sort=True)[["count"]].sum().join(displays).reset_index()
    found = found.sort_values("count", ascending=False, kind="stable").head(MOST)
    return DataQuality(
        issues=by_reason,
        unmapped=tuple(
            Unmapped(
                table=str(table),
                code=str(code),
                display=None if pd.isna(display) else str(display),
                unit=str(unit) or None,
                count=int(count),
            )
            for table, code, display, unit, count in zip(
                found["table"], found["code"], found["display"], found["unit"], found["count"], strict=True
            )
        ),
        unmapped_rows=rows.unmapped_rows,
        text_only_rows=rows.text_only_rows,
    )


def _coded(cohort: Cohort, table: str, unit: str | None) -> tuple[pa.Table, int]:
    """Return what no code list knows of one table, and how many of its rows have no code as sent.

    The columns are `table`, `code`, `display` and `unit`; an empty code is none.
    """
    rows = cohort.arrow(table)
    if table == "events":
        # An arm has a name and no code.
        rows = rows.filter(pc.invert(pc.fill_null(pc.equal(rows.column("kind"), "enrolment"), False)))
    code = pc.fill_null(rows.column("source_code"), "")
    unknown = pc.is_null(rows.column("concept"))
    empty = pa.repeat("", len(rows))
    columns = {
        "table": pa.repeat(table, len(rows)),
        "code": code,
        "display": rows.column("source_display"),
        "unit": pc.fill_null(rows.column(unit), "") if unit else empty,
    }
    text_only = pc.sum(pc.invert(pc.match_substring(code, "|"))).as_py() or 0
    return pa.table(columns).filter(unknown), text_only
