"""Resources: what an arrived version is beside the one in the store, decided for many at once."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.reasons import QUARANTINED
from fhiradapter.store.database import Database
from fhiradapter.store.heads import Head
from fhiradapter.store.rows import KEYED

INSTANT = pa.timestamp("us", tz="UTC")

# What an arrived version may be. Those of ADVANCE become the latest one; `readable` is older than a latest
# one that cannot be read, and newer than the one shown; `older` goes to the history, `same` nowhere.
ADVANCE = frozenset({"new", "newer", "differs", "returned"})
MAPPED = ADVANCE | {"readable", "again"}
HISTORY = frozenset({"older", "readable"})
KNOWN = frozenset({"same", "shown"})

# What the latest version and the one shown have of an arrival, under names of their own.
ARRIVED = ("version_id", "number", "last_updated", "new_fate", "new_reason", "new_file", "new_line")
LATEST = ("version_id", "number", "last_updated", "fate", "reason", "file", "line")
SHOWN = tuple(f"shown_{name}" for name in LATEST)

# Where both say when they were last updated, that decides; then numbers of versions; then arrival. A copy
# that leaves elements out gives way to a whole one, however old.
_NEWER = """CASE
    WHEN s.subsetted AND NOT {subsetted} THEN 'older'
    WHEN {subsetted} AND NOT s.subsetted THEN 'newer'
    WHEN s.last_updated > {prefix}last_updated THEN 'newer'
    WHEN s.last_updated < {prefix}last_updated THEN 'older'
    WHEN s.number > {prefix}number THEN 'newer'
    WHEN s.number < {prefix}number THEN 'older'
    WHEN s.version_id <> {prefix}version_id THEN 'newer'
    WHEN s.version_id = {prefix}version_id OR s.last_updated = {prefix}last_updated THEN 'differs'
    ELSE 'newer' END"""
_LATEST = _NEWER.format(prefix="r.", subsetted="r.subsetted")
_SHOWN = _NEWER.format(prefix="r.shown_", subsetted="false")

# A deletion of the same run may be told before a page that was read earlier; of one of an earlier run it has
# been seen since that the server shows the resource again. Only what nearly every arrival needs is read of
# the versions that are there, and of no others: a row has many columns, and each costs as much as finding it.
DECIDE = f"""
SELECT s.seq, r.rowid AS place, r.state, r.version_id AS old_version_id, r.last_updated AS old_last_updated,
    r.content AS old_content, r.fate, r.file AS old_file, r.line AS old_line,
    CASE
        WHEN r.state = 'deleted' AND r.state_run = $1 AND s.last_updated < r.state_at THEN 'older'
        WHEN r.state IN ('deleted', 'gone') THEN 'returned'
        WHEN s.content = r.content THEN CASE r.state WHEN 'current' THEN 'same' ELSE 'shown' END
        ELSE {_LATEST} END AS decision
FROM (
    SELECT s.*, r.rowid AS place FROM staged s JOIN base.resources r
    ON r.source = s.source AND r.resource_type = s.resource_type AND r.resource_id = s.resource_id
) s JOIN base.resources r ON r.rowid = s.place"""
FOUND = pa.schema(
    [
        ("seq", pa.int32()),
        ("place", pa.int64()),
        ("state", pa.string()),
        ("old_version_id", pa.string()),
        ("old_last_updated", INSTANT),
        ("old_content", pa.string()),
        ("fate", pa.string()),
        ("old_file", pa.string()),
        ("old_line", pa.int32()),
        ("decision", pa.string()),
    ]
)

READABLE = f"""
SELECT s.seq FROM unread s JOIN base.resources r ON r.rowid = s.place
WHERE CASE WHEN r.shown_file IS NULL THEN 'newer' ELSE {_SHOWN} END = 'newer'"""

SEEN = """
SELECT DISTINCT s.seq FROM staged s JOIN base.versions v
    ON v.source = s.source AND v.resource_type = s.resource_type AND v.resource_id = s.resource_id
        AND v.content = s.content"""

BEFORE = "SELECT c.seq, r.* FROM changes c JOIN base.resources r ON r.rowid = c.place"
REMOVE_RESOURCES = "DELETE FROM base.resources WHERE rowid IN (SELECT place FROM replaced)"

SHOW_AGAIN = """
UPDATE base.resources r SET state = 'current', state_at = NULL, state_run = NULL, commit_number = $1
FROM again c
WHERE r.source = c.source AND r.resource_type = c.resource_type AND r.resource_id = c.resource_id"""


def staged_table(sources: Sequence[str], heads: Sequence[Head]) -> pa.Table:
    """Return arrived heads as a table, in order of arrival."""
    kinds, ids, versions, numbers, updated, contents, subsetted, patients = zip(*heads, strict=True)
    return pa.table(
        {
            "seq": pa.array(range(len(heads)), pa.int32()),
            "source": pa.array(sources, pa.string()),
            "resource_type": pa.array(kinds, pa.string()),
            "resource_id": pa.array(ids, pa.string()),
            "version_id": pa.array(versions, pa.string()),
            "number": pa.array(numbers, pa.string()),
            "last_updated": pa.array(updated, pa.int64()).cast(INSTANT),
            "content": pa.array(contents, pa.string()),
            "subsetted": pa.array(subsetted, pa.bool_()),
            "patient": pa.array(patients, pa.string()),
        }
    )


def decide(database: Database, staged: pa.Table, run_id: str, *, again: bool = False) -> pa.Table:
    """Return the arrived versions with what each is beside the one in the store, in order of arrival.

    No two of them may be of one resource. Those that are mapped `again` are in the store and did not change.
    `place` is the row of the one in the store, null when there is none, until anything is written.
    """
    with database.given(staged=staged):
        found = database.table(DECIDE, [run_id]).cast(FOUND)
        decided = _beside(staged, found)
        if again:
            return _with_decisions(decided, ["again"] * decided.num_rows)
        decisions = decided.column("decision").to_pylist()
        if HISTORY.intersection(decisions):
            seen = set(database.table(SEEN).column("seq").to_pylist())
            readable = _readable(database, decided)
            changed = [
                decision
                if decision not in HISTORY
                else "same"
                if seq in seen
                else "readable"
                if seq in readable
                else decision
                for seq, decision in enumerate(decisions)
            ]
            return _with_decisions(decided, changed)
    return decided


def rows_before(database: Database, changes: pa.Table) -> pa.Table:
    """Return the rows of arrivals as they are in the store, all nulls where there is none."""
    with database.given(changes=changes.select(["seq", "place"])):
        rows = database.table(BEFORE)
    return _in_order(rows, changes.column("seq").to_pylist())


def keep(database: Database, changes: pa.Table, history: pa.Table, again: pa.Table, number: int) -> None:
    """Write what arrived into the list of resources and the list of versions.

    `changes` are arrivals that were mapped, `history` those that are older, `again` those that their server
    did not show for a time.
    """
    advanced = pc.not_equal(changes.column("decision"), "readable")
    written = changes.filter(pc.or_(advanced, is_read(changes)))
    arrived = _arrived(database, written, number)
    replaced = written.filter(pc.is_valid(written.column("place"))).select(["place"])
    versions = pa.concat_tables([_replaced(changes), _passed_by(history)])
    if replaced.num_rows:
        with database.given(replaced=replaced):
            database.execute(REMOVE_RESOURCES)
    if arrived.num_rows:
        with database.given(arrived=arrived):
            database.execute("INSERT INTO base.resources BY NAME FROM arrived")
    if versions.num_rows:
        with database.given(versions=versions):
            database.execute("INSERT INTO base.versions FROM versions")
    if again.num_rows:
        with database.given(again=again):
            database.execute(SHOW_AGAIN, [number])


def is_read(changes: pa.Table) -> pa.ChunkedArray:
    """Return where the mapping could read what arrived; it says nothing of what it was not given."""
    return pc.fill_null(pc.not_equal(changes.column("new_fate"), QUARANTINED), False)


def _arrived(database: Database, changes: pa.Table, number: int) -> pa.Table:
    """Return the latest version and the one shown of resources, after an arrival."""
    decisions = changes.column("decision")
    advanced, read = pc.not_equal(decisions, "readable"), is_read(changes)
    fresh = pc.and_(advanced, pc.not_equal(decisions, "again"))
    columns = {name: changes.column(name) for name in KEYED}
    shown = {of: changes.column(name) for of, name in zip(SHOWN, ARRIVED, strict=True)}
    latest = {name: changes.column(name) for name in ("patient", "subsetted", "content")}
    latest |= {of: changes.column(name) for of, name in zip(LATEST, ARRIVED, strict=True)}
    nothing = pa.nulls(len(changes))
    states = {
        "differs": pc.equal(decisions, "differs"),
        "state": pa.array(["current"] * len(changes), pa.string()),
        "state_at": nothing.cast(INSTANT),
        "state_run": nothing.cast(pa.string()),
    }
    groups = ((latest, advanced), (states, fresh), (shown, read))
    # Nearly always all is new; only else the row that is there has to be read as a whole.
    if not all(pc.all(mask, min_count=0).as_py() for _, mask in groups):
        before = rows_before(database, changes)
        for values, mask in groups:
            for name, column in values.items():
                values[name] = pc.if_else(mask, column, before.column(name).cast(column.type))
    for values, _ in groups:
        columns |= values
    columns["commit_number"] = pa.array([number] * len(changes), pa.int32())
    return pa.table(columns)


def _replaced(changes: pa.Table) -> pa.Table:
    """Return the versions that were the latest ones, and are not any more."""
    passed = pc.is_in(changes.column("decision"), pa.array(["newer", "differs", "returned"]))
    gone = changes.filter(pc.and_(passed, pc.is_valid(changes.column("old_file"))))
    names = ["version_id", "last_updated", "content", "file", "line"]
    return gone.select([*KEYED, *(f"old_{name}" for name in names)]).rename_columns([*KEYED, *names])


def _passed_by(history: pa.Table) -> pa.Table:
    """Return the versions that were older than the latest ones when they arrived."""
    names = ["version_id", "last_updated", "content", "file", "line"]
    found = history.select([*KEYED, "version_id", "last_updated", "content", "new_file", "new_line"])
    return found.rename_columns([*KEYED, *names])


def _readable(database: Database, decided: pa.Table) -> set[int]:
    """Return which older versions are newer than the one shown, where the latest one cannot be read."""
    older = pc.and_(
        pc.equal(decided.column("decision"), "older"), pc.equal(decided.column("fate"), QUARANTINED)
    )
    there = pc.invert(pc.is_in(decided.column("state"), pa.array(["deleted", "gone"])))
    whole = pc.invert(decided.column("subsetted"))
    unread = decided.filter(pc.and_(older, pc.and_(there, whole)))
    if not unread.num_rows:
        return set()
    with database.given(unread=unread):
        return set(database.table(READABLE).column("seq").to_pylist())


def _beside(staged: pa.Table, found: pa.Table) -> pa.Table:
    """Return what arrived beside what was found; what was not is new."""
    rows = _in_order(found, range(staged.num_rows))
    for name in FOUND.names[1:]:
        column = rows.column(name)
        staged = staged.append_column(name, pc.fill_null(column, "new") if name == "decision" else column)
    return staged


def _in_order(found: pa.Table, wanted: Iterable[int]) -> pa.Table:
    """Return rows by their `seq` in the order wanted, nulls where there is none."""
    rows = {seq: row for row, seq in enumerate(found.column("seq").to_pylist())}
    return found.take(pa.array([rows.get(seq) for seq in wanted], pa.int64()))


def _with_decisions(decided: pa.Table, decisions: list[str]) -> pa.Table:
    place = decided.schema.get_field_index("decision")
    return decided.set_column(place, "decision", pa.array(decisions, pa.string()))
