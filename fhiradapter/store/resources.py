"""Resources: what an arrived version is beside the one in the store, decided for many at once."""

from collections.abc import Sequence

import pyarrow as pa

from fhiradapter.store.database import Database
from fhiradapter.store.heads import Head

INSTANT = pa.timestamp("us", tz="UTC")

# What an arrived version may be. Those of ADVANCE become the latest one; `readable` is older than a latest
# one that cannot be read, and newer than the one shown; `older` goes to the history, `same` nowhere.
ADVANCE = frozenset({"new", "newer", "differs", "returned"})
MAPPED = ADVANCE | {"readable", "again"}
HISTORY = frozenset({"older", "readable"})
KNOWN = frozenset({"same", "shown"})

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
# been seen since that the server shows the resource again.
DECIDE = f"""
WITH compared AS (
    SELECT s.*, r.* EXCLUDE (source, resource_type, resource_id, patient, version_id, number, last_updated,
            content, subsetted, file, line),
        r.version_id AS old_version_id, r.number AS old_number, r.last_updated AS old_last_updated,
        r.content AS old_content, r.subsetted AS old_subsetted, r.patient AS old_patient,
        r.file AS old_file, r.line AS old_line,
        CASE
            WHEN r.resource_id IS NULL THEN 'new'
            WHEN r.state = 'deleted' AND r.state_run = $1 AND s.last_updated < r.state_at THEN 'older'
            WHEN r.state IN ('deleted', 'gone') THEN 'returned'
            WHEN s.content = r.content THEN CASE r.state WHEN 'current' THEN 'same' ELSE 'shown' END
            ELSE {_LATEST} END AS first,
        CASE WHEN r.shown_file IS NULL THEN 'newer' ELSE {_SHOWN} END AS second
    FROM staged s LEFT JOIN base.resources r
        ON r.source = s.source AND r.resource_type = s.resource_type AND r.resource_id = s.resource_id
)
SELECT * EXCLUDE (first, second), CASE
        WHEN first = 'older' AND fate = 'quarantined' AND state NOT IN ('deleted', 'gone')
            AND second = 'newer' AND NOT subsetted THEN 'readable'
        ELSE first END AS decision
FROM compared ORDER BY seq"""

SEEN = """
SELECT DISTINCT s.seq FROM staged s JOIN base.versions v
    ON v.source = s.source AND v.resource_type = s.resource_type AND v.resource_id = s.resource_id
        AND v.content = s.content"""

# The latest version and the one shown, after an arrival.
ARRIVED = """
SELECT source, resource_type, resource_id,
    CASE WHEN advanced THEN patient ELSE old_patient END AS patient,
    CASE WHEN advanced THEN version_id ELSE old_version_id END AS version_id,
    CASE WHEN advanced THEN number ELSE old_number END AS number,
    CASE WHEN advanced THEN last_updated ELSE old_last_updated END AS last_updated,
    CASE WHEN advanced THEN content ELSE old_content END AS content,
    CASE WHEN advanced THEN subsetted ELSE old_subsetted END AS subsetted,
    CASE WHEN advanced AND decision <> 'again' THEN decision = 'differs' ELSE differs END AS differs,
    CASE WHEN advanced THEN new_fate ELSE fate END AS fate,
    CASE WHEN advanced THEN new_reason ELSE reason END AS reason,
    CASE WHEN advanced THEN new_file ELSE old_file END AS file,
    CASE WHEN advanced THEN new_line ELSE old_line END AS line,
    CASE WHEN advanced AND decision <> 'again' THEN 'current' ELSE state END AS state,
    CASE WHEN advanced AND decision <> 'again' THEN NULL ELSE state_at END AS state_at,
    CASE WHEN advanced AND decision <> 'again' THEN NULL ELSE state_run END AS state_run,
    CASE WHEN unread THEN shown_version_id ELSE version_id END AS shown_version_id,
    CASE WHEN unread THEN shown_number ELSE number END AS shown_number,
    CASE WHEN unread THEN shown_last_updated ELSE last_updated END AS shown_last_updated,
    CASE WHEN unread THEN shown_fate ELSE new_fate END AS shown_fate,
    CASE WHEN unread THEN shown_reason ELSE new_reason END AS shown_reason,
    CASE WHEN unread THEN shown_file ELSE new_file END AS shown_file,
    CASE WHEN unread THEN shown_line ELSE new_line END AS shown_line,
    $1::INTEGER AS commit_number
FROM (SELECT *, decision <> 'readable' AS advanced, new_fate = 'quarantined' AS unread FROM changes)
WHERE advanced OR NOT unread"""

REMOVE_RESOURCES = """
DELETE FROM base.resources r USING changes c
WHERE c.decision <> 'new' AND (c.decision <> 'readable' OR c.new_fate <> 'quarantined')
    AND r.source = c.source AND r.resource_type = c.resource_type AND r.resource_id = c.resource_id"""

REPLACED = """
INSERT INTO base.versions
SELECT source, resource_type, resource_id, old_version_id, old_last_updated, old_content, old_file, old_line
FROM changes WHERE decision IN ('newer', 'differs', 'returned') AND old_file IS NOT NULL
UNION ALL
SELECT source, resource_type, resource_id, version_id, last_updated, content, new_file, new_line
FROM history"""

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
    """
    with database.given(staged=staged):
        decided = database.table(DECIDE, [run_id])
        if again:
            return _with_decisions(decided, ["again"] * decided.num_rows)
        decisions = decided.column("decision").to_pylist()
        if HISTORY.intersection(decisions):
            seen = set(database.table(SEEN).column("seq").to_pylist())
            changed = [
                "same" if decision in HISTORY and seq in seen else decision
                for seq, decision in enumerate(decisions)
            ]
            return _with_decisions(decided, changed)
    return decided


def keep(database: Database, changes: pa.Table, history: pa.Table, again: pa.Table, number: int) -> None:
    """Write what arrived into the list of resources and the list of versions.

    `changes` are arrivals that were mapped, `history` those that are older, `again` those that their server
    did not show for a time.
    """
    with database.given(changes=changes, history=history, again=again):
        known = set(changes.column("decision").to_pylist()) - {"new"}
        if known:
            database.execute(REMOVE_RESOURCES)
        if changes.num_rows:
            database.execute(f"INSERT INTO base.resources {ARRIVED}", [number])
        if known or history.num_rows:
            database.execute(REPLACED)
        if again.num_rows:
            database.execute(SHOW_AGAIN, [number])


def _with_decisions(decided: pa.Table, decisions: list[str]) -> pa.Table:
    place = decided.schema.get_field_index("decision")
    return decided.set_column(place, "decision", pa.array(decisions, pa.string()))
