"""Placing: the rows of arrived versions take the place of those before them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from fhiradapter.store.arrivals import Arrival
from fhiradapter.store.database import Database
from fhiradapter.store.mapped import Location
from fhiradapter.store.rows import BESIDE, NO_PLACES, take_out, take_out_places

CHANGES = """
SELECT d.*, p.file AS new_file, p.line AS new_line, f.disposition AS new_fate, f.reason AS new_reason
FROM decided d JOIN placed p ON p.seq = d.seq
    LEFT JOIN fates f ON f.source = d.source AND f.source_file = p.file AND f.source_line = p.line
ORDER BY d.seq"""

# The rows of a resource give way to those of a version that can be read; else only the issues of a version
# that could not be read either do.
WHOLE = """
SELECT source, resource_type, resource_id FROM changes
WHERE decision IN ('newer', 'differs', 'again') AND new_fate <> 'quarantined'"""
PARTS = """
SELECT source, old_file AS file, old_line AS line FROM changes
WHERE decision IN ('newer', 'differs', 'again') AND new_fate = 'quarantined' AND fate = 'quarantined'
UNION ALL
SELECT source, shown_file, shown_line FROM changes
WHERE decision = 'readable' AND new_fate <> 'quarantined' AND shown_file IS NOT NULL"""
READABLE = """
SELECT source, resource_type, resource_id FROM changes
WHERE decision = 'readable' AND new_fate <> 'quarantined'"""
USELESS = """
SELECT new_file AS file, new_line AS line FROM changes
WHERE decision = 'readable' AND new_fate = 'quarantined'"""
TEXTS = """
INSERT INTO base.lookups
SELECT c.source, c.resource_type, c.resource_id, t.text FROM changes c JOIN texts t ON t.seq = c.seq
WHERE c.new_fate = 'mapped'"""


@dataclass(frozen=True)
class Round:
    """Arrivals of different resources, with what each is and where it is among the raw files."""

    arrivals: Sequence[Arrival]
    decided: pa.Table
    decisions: Sequence[str]
    places: Sequence[Location | None]

    def those(self, *decisions: str) -> list[int]:
        """Return the positions of arrivals that are one of some things."""
        return [number for number, decision in enumerate(self.decisions) if decision in decisions]

    def placed(self, numbers: Sequence[int], names: tuple[str, str]) -> pa.Table:
        """Return (seq, file, line) of some arrivals that were written."""
        found = [self.places[number] for number in numbers]
        columns = {
            names[0]: pa.array([place[0] if place else None for place in found], pa.string()),
            names[1]: pa.array([place[1] if place else None for place in found], pa.int32()),
        }
        return pa.table({"seq": pa.array(numbers, pa.int32()), **columns})

    def history(self, numbers: Sequence[int]) -> pa.Table:
        """Return arrivals that are older than what is there, with their places."""
        table = self.decided.take(pa.array(numbers, pa.int32()))
        placed = self.placed(numbers, ("new_file", "new_line"))
        for name in ("new_file", "new_line"):
            table = table.append_column(name, placed.column(name))
        return table


def changes_of(database: Database, part: Round, mapped: Sequence[int], fates: pa.Table) -> pa.Table:
    """Return the arrivals that were mapped, with what the store had before and what became of them now."""
    placed = part.placed(mapped, ("file", "line"))
    with database.given(decided=part.decided, placed=placed, fates=fates):
        return database.table(CHANGES)


def make_room(database: Database, changes: pa.Table) -> pa.Table:
    """Take out the rows that give way; return the lines whose new rows are of no use."""
    decisions = set(changes.column("decision").to_pylist())
    if decisions <= {"new", "returned"}:
        return NO_PLACES
    with database.given(changes=changes):
        whole, parts, readable, useless = (
            database.table(query) for query in (WHOLE, PARTS, READABLE, USELESS)
        )
    take_out(database, whole)
    take_out_places(database, parts)
    take_out(database, readable, tables=BESIDE)
    return useless


def keep_texts(
    database: Database, changes: pa.Table, arrivals: Sequence[Arrival], numbers: list[int]
) -> None:
    """Keep the bytes of what others look up within reach."""
    if numbers:
        contents = pa.array([arrivals[number].content for number in numbers], pa.binary())
        texts = pa.table({"seq": pa.array(numbers, pa.int32()), "text": contents})
        with database.given(changes=changes, texts=texts):
            database.execute(TEXTS)
