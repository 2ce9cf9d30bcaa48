"""What the data could not say: issues, unmapped codes, text without a code."""

import pandas as pd

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import DataQuality, Unmapped

# Tables whose rows mean a concept, with the column of the unit as sent.
CODED = {"exposures": "dose_unit", "measurements": "source_unit", "events": None}
MOST = 200


def derive_quality(cohort: Cohort) -> DataQuality:
    """Count issues by reason and disposition, and rows that no code list knows.

    `unmapped` has the most frequent codes without a concept by table, code and unit, at most 200;
    `unmapped_rows` counts all such rows. A row is text-only when its code as sent is no 'system|code'.

    >>> row = {"row_id": "a", "source_code": "weight", "source_unit": "kg"}
    >>> quality = derive_quality(Cohort.from_rows({"measurements": [row, row]}))
    >>> [(code.code, code.unit, code.count) for code in quality.unmapped], quality.text_only_rows
    ([('weight', 'kg', 2)], 2)
    """
    issues = cohort.issues.groupby(["reason", "disposition"], sort=True).size()
    by_reason: dict[str, dict[str, int]] = {}
    counted = issues.reset_index(name="count")
    for reason, disposition, count in zip(*(counted[name] for name in counted.columns), strict=True):
        by_reason.setdefault(str(reason), {})[str(disposition)] = int(count)
    parts = [_coded(cohort, table, unit) for table, unit in CODED.items()]
    rows = pd.concat([part.loc[part["concept"].isna()] for part in parts], ignore_index=True)
    groups = rows.groupby(["table", "code", "unit"], sort=True)
    found = pd.DataFrame({"display": groups["display"].first(), "count": groups.size()}).reset_index()
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
        unmapped_rows=len(rows),
        text_only_rows=sum(int((~part["code"].str.contains("|", regex=False)).sum()) for part in parts),
    )


def _coded(cohort: Cohort, table: str, unit: str | None) -> pd.DataFrame:
    """Return what was coded in one table: concept, code, display and unit as sent; an empty code is none."""
    rows = cohort.frame(table)
    if table == "events":
        rows = rows.loc[~rows["kind"].eq("enrolment")]  # an arm has a name and no code
    return pd.DataFrame(
        {
            "table": pd.Series(table, index=rows.index, dtype="str"),
            "concept": rows["concept"],
            "code": rows["source_code"].fillna(""),
            "display": rows["source_display"],
            "unit": rows[unit].fillna("") if unit else pd.Series("", index=rows.index, dtype="str"),
        }
    )
