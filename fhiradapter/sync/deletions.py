"""Deletions: what a server had and has no longer, for types that are read by what changed."""

from collections.abc import Iterator

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.pages import Deletion
from fhiradapter.fhir.units import Fetched, Tombstone, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.queries import Query
from fhiradapter.sync.reading import Reading
from fhiradapter.sync.reconciliation import reconcile
from fhiradapter.sync.stable import EXPIRIES

HISTORY = "history/all"  # the shard of a type's history; any other is a count of the Patients it names


def deletions(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield what was deleted, by the history where the server has one, else by comparing counts."""
    if unit.shard == HISTORY:
        yield _by_history(unit, reading)
    elif _counts_agree(unit, reading):
        yield Fetched(unit)
    else:
        for fetched in reconcile(unit, reading):
            yield fetched._replace(watermark=None)


def _by_history(unit: Unit, reading: Reading) -> Fetched:
    """Return the deletions since the unit's begin; on a first run there was nothing to delete before."""
    if unit.since is None:
        return Fetched(unit, watermark=unit.until)
    newest: dict[str, tuple[int, int, Deletion | None]] = {}
    warnings: set[str] = set()
    for expired in range(1, EXPIRIES + 1):
        try:
            _read_history(unit, reading, newest, warnings)
            break
        except RefusedAnswerError as error:
            if error.reason != Reason.PAGE_EXPIRED or expired == EXPIRIES:
                raise
    gone = {key: deletion for key, (_, _, deletion) in newest.items() if deletion is not None}
    held = reading.known.held(unit.type, ids=list(gone))
    tombstones = tuple(
        Tombstone(unit.type, key, "deleted", deletion.at) for key, deletion in gone.items() if key in held
    )
    return Fetched(unit, (), tombstones, unit.until, tuple(sorted(warnings)))


def _read_history(
    unit: Unit, reading: Reading, newest: dict[str, tuple[int, int, Deletion | None]], warnings: set[str]
) -> None:
    """Note the newest event of each id. A history only grows, so paging may repeat events and skips none."""
    for page in reading.rest.pages(unit.type, (("_since", unit.since or ""),), history=True):
        warnings.update(page.warnings)
        for entry in page.entries:
            _note(newest, entry.id, (instant(entry.updated) or 0, _number(entry.version), None))
        for deletion in page.deleted:
            at = instant(deletion.at)
            # Without a time or version of its own a deletion comes after whatever stands beside it.
            version = _number(deletion.version) or (1 << 62)
            _note(newest, deletion.id, (at if at is not None else 1 << 62, version, deletion))


def _note(
    newest: dict[str, tuple[int, int, Deletion | None]], key: str, event: tuple[int, int, Deletion | None]
) -> None:
    known = newest.get(key)
    if known is None or event[:2] > known[:2]:
        newest[key] = event


def _number(version: str | None) -> int:
    return int(version) if version is not None and version.isascii() and version.isdigit() else 0


def _counts_agree(unit: Unit, reading: Reading) -> bool:
    """Return True when the server counts as many resources up to the unit's end as the store has.

    What changed after that end is not counted by the server any more, and still by the store with the time
    it had: it is taken off before anything is concluded. It is read before the count, so that a change in
    between makes them differ and not agree.
    """
    if not reading.ability(unit).counts or reading.sifts(unit):
        return False
    if _total(unit, reading) == _held(unit, reading):
        return True
    moved: set[str] = set()
    for query in reading.queries(unit.type, unit.patients):
        recent = query.also(("_lastUpdated", f"ge{unit.until}"), ("_elements", "id,meta"))
        for page in reading.rest.pages(recent.kind, recent.parameters):
            moved.update(entry.id for entry in page.entries)
    end = instant(unit.until) or 0
    before = [
        key
        for key, one in reading.known.held(unit.type, ids=sorted(moved)).items()
        if one.state == "current" and (instant(one.updated) or 0) < end
    ]
    return _total(unit, reading) == _held(unit, reading) - len(before)


def _total(unit: Unit, reading: Reading) -> int | None:
    total = 0
    for query in reading.queries(unit.type, unit.patients):
        count = reading.rest.total(unit.type, _until(query, unit).parameters).number
        if count is None:
            return None
        total += count
    return total


def _held(unit: Unit, reading: Reading) -> int:
    return reading.known.count(unit.type, before=unit.until or "", patients=unit.patients or None)


def _until(query: Query, unit: Unit) -> Query:
    return query.also(("_lastUpdated", f"lt{unit.until}"))
