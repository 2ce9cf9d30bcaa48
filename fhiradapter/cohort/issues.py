"""Issue rows that arise from several resources together."""

from typing import Any

import pyarrow as pa

from fhiradapter.cohort.receipts import Place
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.reasons import MEANINGS, Reason

RULE = "settlement/1"
ROWS_AT_ONCE = 10_000  # as Arrow they take a tenth of the memory


class IssueRows:
    """Collects rows for the table of issues."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._rows: list[dict[str, Any]] = []
        self._full: list[pa.RecordBatch] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        reason: Reason,
        *,
        kind: str,
        identity: str | None = None,
        subject: str | None = None,
        source: str = "",
        place: Place | None = None,
        path: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Add an issue about a resource, which is named by type and id."""
        meaning = MEANINGS[reason]
        self._count += 1
        self._rows.append(
            {
                "row_id": f"settlement#issue-{self._count}",
                "subject_id": subject,
                "source": source or (place.source if place else ""),
                "source_file": place.file if place else None,
                "source_line": place.line if place else None,
                "resource_type": kind,
                "resource_id": identity,
                "version_id": None,
                "last_updated": None,
                "rule": RULE,
                "run_id": self._run_id,
                "reason": str(reason),
                "path": path,
                "detail": f"{meaning.advice} ({detail})" if detail else meaning.advice,
                "severity": meaning.severity,
                "disposition": meaning.disposition,
            }
        )
        if len(self._rows) >= ROWS_AT_ONCE:
            self._pack()

    def batches(self) -> list[pa.RecordBatch]:
        """Return the rows."""
        if self._rows:
            self._pack()
        return self._full

    def _pack(self) -> None:
        schema = SCHEMAS["issues"]
        columns = [pa.array([row[field.name] for row in self._rows], field.type) for field in schema]
        self._full.append(pa.RecordBatch.from_arrays(columns, schema=schema))
        self._rows = []
