"""The horizon: which subjects the rows are about, and the earliest time of each."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

# The column of each table that says when; a birth after it is a contradiction.
TIMES = {
    "exposures": "started_at",
    "measurements": "measured_at",
    "events": "started_at",
    "encounters": "started_at",
}


FEW = 1 << 10  # rows that are looked at sooner than grouped
ROWS_AT_ONCE = 1 << 16  # to group rows costs little for each of them, and much for each subject


class Horizon:
    """Gathers subjects and their earliest time, batch by batch; grows with the number of subjects."""

    def __init__(self) -> None:
        self._earliest: dict[tuple[str, str], int] = {}
        self._subjects: set[str] = set()
        self._waiting: dict[str, list[pa.Table]] = {}
        self._rows = 0

    @property
    def subjects(self) -> set[str]:
        """The subjects of all rows."""
        self._look()
        return self._subjects

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Take notice of a batch."""
        if table not in TIMES:
            return
        times = batch.column(TIMES[table]).cast(pa.int64())
        frame = pa.table([batch.column("subject_id"), times], ["subject", "at"])
        self._waiting.setdefault(table, []).append(frame)
        self._rows += batch.num_rows
        if self._rows >= ROWS_AT_ONCE:
            self._look()

    def _look(self) -> None:
        """Look at the rows that wait."""
        for table, frames in self._waiting.items():
            found = pa.concat_tables(frames)
            if found.num_rows > FEW:
                found = found.group_by("subject").aggregate([("at", "min")]).select(["subject", "at_min"])
            for subject, at in zip(*(column.to_pylist() for column in found.columns), strict=True):
                if subject is None:
                    continue
                self._subjects.add(subject)
                if at is not None and at < self._earliest.get((table, subject), 2**63):
                    self._earliest[table, subject] = at
        self._waiting, self._rows = {}, 0

    def before(self, table: str, limits: dict[str, int], merged: Mapping[str, str]) -> list[str]:
        """Return the subjects who have a row of this table before their own limit, merged records too."""
        if not limits:
            return []
        self._look()
        early = {
            survivor
            for (name, subject), at in self._earliest.items()
            if name == table and at < limits.get(survivor := merged.get(subject, subject), -(2**63))
        }
        return [subject for subject in limits if subject in early]


def rows_before(batch: pa.RecordBatch, table: str, limits: dict[str, int]) -> pa.RecordBatch:
    """Return the rows whose time is before their subject's limit, microseconds since 1970."""
    subjects = pa.array(list(limits), pa.string())
    index = pc.index_in(batch.column("subject_id"), subjects)
    limit = pa.array(list(limits.values()), pa.int64()).take(index)
    early = pc.less(batch.column(TIMES[table]).cast(pa.int64()), limit)
    return batch.filter(pc.fill_null(early, False))
