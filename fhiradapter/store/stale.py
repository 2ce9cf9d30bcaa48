"""Stale rows: those of resources that refer to one that changed, and are mapped again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhiradapter.store.arrivals import Arrival
from fhiradapter.store.database import Database
from fhiradapter.store.dependents import IDENTIFIER, Key, dependents
from fhiradapter.store.heads import identifier_keys
from fhiradapter.store.mapped import Line, Mapping
from fhiradapter.store.mapping import StoredTexts
from fhiradapter.store.raw import read_places
from fhiradapter.store.rows import BESIDE, NO_PLACES, key_table, put_in, take_out, take_out_places

MAPPED_AT_ONCE = 10_000
Targets = set[tuple[str, str, str]]
"""Source, type and id, or source, 'identifier' and an identifier of a Patient."""

SHOWN = """
SELECT r.source, r.resource_type, r.resource_id, r.shown_file AS file, r.shown_line AS line
FROM base.resources r SEMI JOIN stale s
    ON r.source = s.source AND r.resource_type = s.resource_type AND r.resource_id = s.resource_id
WHERE r.shown_file IS NOT NULL ORDER BY r.source, file, line"""
FATES = """
UPDATE base.resources r SET shown_fate = f.disposition, shown_reason = f.reason,
    fate = CASE WHEN r.file = r.shown_file AND r.line = r.shown_line THEN f.disposition ELSE r.fate END,
    reason = CASE WHEN r.file = r.shown_file AND r.line = r.shown_line THEN f.reason ELSE r.reason END
FROM fates f WHERE r.source = f.source AND r.shown_file = f.source_file AND r.shown_line = f.source_line
    AND (r.shown_fate, r.shown_reason) IS DISTINCT FROM (f.disposition, f.reason)"""


@dataclass
class Stale:
    """Gathers resources whose rows say what is not so any more."""

    database: Database
    _keys: dict[Key, None] = field(default_factory=dict)

    def targets(self, arrivals: Sequence[Arrival]) -> Targets:
        """Return what other resources may call look-ups that arrived, as they are now and as they were."""
        found = {(one.source, one.head.type, one.head.id) for one in arrivals if one.head.type != "Patient"}
        patients = [one for one in arrivals if one.head.type == "Patient"]
        if not patients or not self._identifiers_matter():
            return found
        texts = [(one.source, one.content) for one in patients]
        for source in {one.source for one in patients}:
            ids = {one.head.id for one in patients if one.source == source}
            known = StoredTexts(self.database, source).texts("Patient", ids)
            texts += [(source, text) for text in known.values()]
        return found | {(source, IDENTIFIER, key) for source, text in texts for key in identifier_keys(text)}

    def mark(self, targets: Targets) -> None:
        """Take what refers to something for stale."""
        if targets:
            self._keys.update(dict.fromkeys(dependents(self.database, targets)))

    def mark_removed(self, removed: Iterable[Key]) -> None:
        """Take what refers to something that was removed for stale; a Patient's numbers are gone with her."""
        keys = set(removed)
        self.mark(keys)
        if any(kind == "Patient" for _, kind, _ in keys):
            everybody = self.database.rows(
                "SELECT DISTINCT source, resource_type, resource_id FROM base.dependencies"
                " WHERE target_type = ? ORDER BY ALL",
                [IDENTIFIER],
            )
            self._keys.update(dict.fromkeys(everybody))

    def discard(self, keys: Iterable[Key]) -> None:
        """Take what was just mapped for fresh."""
        for key in keys:
            self._keys.pop(key, None)

    def map_again(self, raw: Path, mapping: Mapping) -> int:
        """Map the versions shown again from the raw files, and return the number of resources."""
        keys, count = sorted(self._keys), 0
        for start in range(0, len(keys), MAPPED_AT_ONCE):
            with self.database.given(stale=key_table(keys[start : start + MAPPED_AT_ONCE])):
                shown = self.database.table(SHOWN)
            found = shown.to_pylist()
            contents = read_places(raw, [(one["file"], one["line"]) for one in found])
            rows = mapping.map(
                Line(one["source"], one["file"], one["line"], contents[one["file"], one["line"]])
                for one in found
            )
            take_out_places(self.database, shown.select(["source", "file", "line"]))
            take_out(self.database, shown, tables=BESIDE[:-1])
            put_in(self.database, rows.tables, NO_PLACES)
            rows.connect(
                self.database,
                {
                    (one["file"], one["line"]): (one["source"], one["resource_type"], one["resource_id"])
                    for one in found
                },
            )
            with self.database.given(fates=rows.fates):
                self.database.execute(FATES)
            count += len(found)
        return count

    def _identifiers_matter(self) -> bool:
        query = "SELECT 1 FROM base.dependencies WHERE target_type = ? LIMIT 1"
        return bool(self.database.value(query, [IDENTIFIER]))
