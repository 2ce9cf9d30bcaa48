"""Holdings: what a store has of one source, as planning and re-reading ask for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from fhiradapter.store.database import Database
from fhiradapter.store.heads import instant

OF_TYPE = "WHERE source = ? AND resource_type = ?"
KNOWN = "SELECT resource_id, version_id, epoch_us(last_updated), content, state FROM base.resources r"


class Known(NamedTuple):
    """What the store has of a resource; `updated` in microseconds since 1970."""

    version: str | None
    updated: int | None
    content: str | None
    state: str


@dataclass(frozen=True)
class Holdings:
    """One source's part of a store; `prefix` begins its subjects' names when there are several sources."""

    database: Database
    source: str
    prefix: str = ""

    def known(
        self, kind: str, *, ids: Iterable[str] | None = None, patients: Iterable[str] | None = None
    ) -> dict[str, Known]:
        """Return what there is of a type by id: of some ids, of some Patients, or all that is current.

        With ids also what was deleted is returned.
        """
        there = "" if ids is not None else " AND state NOT IN ('deleted', 'gone')"
        wanted = patients if ids is None else ids
        if wanted is None:
            rows = self.database.rows(f"{KNOWN} {OF_TYPE}{there}", [self.source, kind])
        else:
            column = "patient" if ids is None else "resource_id"
            join = f"SEMI JOIN wanted ON r.{column} = wanted_id"
            table = pa.table({"wanted_id": pa.array(sorted(set(wanted)), pa.string())})
            with self.database.given(wanted=table):
                rows = self.database.rows(f"{KNOWN} {join} {OF_TYPE}{there}", [self.source, kind])
        return {row[0]: Known(*row[1:]) for row in rows}

    def counts(self, *, before: str, patients: Iterable[str] | None = None) -> dict[str, int]:
        """Return by type how many current resources were last updated before an instant, or are undated."""
        query = (
            "SELECT resource_type, count(*) FROM base.resources r {join} WHERE source = $1"
            " AND state = 'current' AND (last_updated IS NULL OR coalesce(epoch_us(last_updated) < $2, true))"
            " GROUP BY ALL"
        )
        values = [self.source, instant(before)]
        if patients is None:
            return dict(self.database.rows(query.format(join=""), values))
        wanted = pa.table({"wanted_id": pa.array(sorted(set(patients)), pa.string())})
        with self.database.given(wanted=wanted):
            join = "SEMI JOIN wanted ON r.patient = wanted_id"
            return dict(self.database.rows(query.format(join=join), values))

    def marks(self, kind: str) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return the watermarks of a type: shard, up to when, and the patients of the unit that set it."""
        query = (
            "SELECT shard, until, patients FROM base.watermarks WHERE source = ? AND type = ? ORDER BY ALL"
        )
        return [
            (shard, until, tuple(some))
            for shard, until, some in self.database.rows(query, [self.source, kind])
        ]

    def all_marks(self) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
        """Return the watermarks of every type."""
        query = "SELECT type, shard, until, patients FROM base.watermarks WHERE source = ? ORDER BY ALL"
        found: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {}
        for kind, shard, until, some in self.database.rows(query, [self.source]):
            found.setdefault(kind, []).append((shard, until, tuple(some)))
        return found

    def referred(self, kind: str) -> list[str]:
        """Return the ids of Medications or Specimens that current resources refer to for their meaning."""
        query = (
            "SELECT DISTINCT target FROM base.dependencies WHERE source = ? AND target_type = ? ORDER BY ALL"
        )
        return [id_ for (id_,) in self.database.rows(query, [self.source, kind])]

    def replacements(self) -> list[tuple[str, str]]:
        """Return (Patient, the one that replaces it) as the current Patients say it."""
        query = (
            "SELECT resource_id, mapped_replaced_by FROM base.subjects"
            " WHERE source = ? AND mapped_replaced_by IS NOT NULL ORDER BY ALL"
        )
        return [
            (id_, other.removeprefix(self.prefix)) for id_, other in self.database.rows(query, [self.source])
        ]
