"""Placing: the rows of arrived versions take the place of those before them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.reasons import QUARANTINED
from fhiradapter.store.arrivals import Arrival
from fhiradapter.store.database import Database
from fhiradapter.store.mapped import Location
from fhiradapter.store.resources import is_read, rows_before
from fhiradapter.store.rows import BESIDE, KEYED, NO_PLACES, take_out, take_out_places

REPLACING = pa.array(["newer", "differs", "again"])  # decisions by which a version gives way to another
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


def changes_of(part: Round, mapped: Sequence[int], fates: pa.Table) -> pa.Table:
    """Return the arrivals that were mapped, with what the store had before and what became of them now."""
    places = (fates.column(name).to_pylist() for name in ("source_file", "source_line"))
    rows: dict[Location | None, int] = {place: row for row, place in enumerate(zip(*places, strict=True))}
    found = fates.take(pa.array([rows.get(part.places[number]) for number in mapped], pa.int64()))
    placed = part.placed(mapped, ("new_file", "new_line"))
    changes = part.decided.take(pa.array(mapped, pa.int32()))
    for name, column in (
        *((name, placed.column(name)) for name in ("new_file", "new_line")),
        ("new_fate", found.column("disposition")),
        ("new_reason", found.column("reason")),
    ):
        changes = changes.append_column(name, column)
    return changes


def make_room(database: Database, changes: pa.Table) -> pa.Table:
    """Take out the rows that give way; return the lines whose new rows are of no use.

    The rows of a resource give way to those of a version that can be read; else only the issues of a version
    that could not be read either do.
    """
    decisions = changes.column("decision")
    latest, readable = pc.is_in(decisions, REPLACING), pc.equal(decisions, "readable")
    if not pc.any(pc.or_(latest, readable)).as_py():
        return NO_PLACES
    read, unread = is_read(changes), pc.equal(changes.column("new_fate"), QUARANTINED)
    whole = changes.filter(pc.and_(latest, read))
    take_out(database, whole.select(KEYED))
    before = changes.filter(pc.and_(latest, pc.and_(unread, pc.equal(changes.column("fate"), QUARANTINED))))
    take_out_places(database, _places(before, before, "old_"))
    shown = changes.filter(pc.and_(readable, read))
    if shown.num_rows:
        take_out_places(database, _places(shown, rows_before(database, shown), "shown_"))
        take_out(database, shown.select(KEYED), tables=BESIDE)
    return _places(None, changes.filter(pc.and_(readable, unread)), "new_")


def keep_texts(
    database: Database, changes: pa.Table, arrivals: Sequence[Arrival], numbers: list[int]
) -> None:
    """Keep the bytes of what others look up within reach."""
    if numbers:
        contents = pa.array([arrivals[number].content for number in numbers], pa.binary())
        texts = pa.table({"seq": pa.array(numbers, pa.int32()), "text": contents})
        with database.given(changes=changes, texts=texts):
            database.execute(TEXTS)


def _places(sources: pa.Table | None, rows: pa.Table, prefix: str) -> pa.Table:
    """Return (file, line) of rows that have them, with the source where it is asked for."""
    places = {name: rows.column(f"{prefix}{name}") for name in ("file", "line")}
    if sources is not None:
        places = {"source": sources.column("source"), **places}
    found = pa.table(places)
    return found.filter(pc.is_valid(found.column("file")))
