"""Tombstones: resources that their server does not show any more; nothing is erased from the raw files."""

from collections.abc import Sequence

import pyarrow as pa

from fhiradapter.fhir.units import Tombstone
from fhiradapter.store.database import Database
from fhiradapter.store.heads import instant
from fhiradapter.store.resources import INSTANT
from fhiradapter.store.rows import take_out

# What is deleted stays so; what is hidden may be found to be deleted. A deletion that is older than the
# version in the store was undone before that one was read.
EFFECTIVE = """
SELECT t.seq, t.source, t.resource_type, t.resource_id, t.state, t.state_at, r.resource_id IS NULL AS unknown
FROM tombstones t LEFT JOIN base.resources r
    ON r.source = t.source AND r.resource_type = t.resource_type AND r.resource_id = t.resource_id
WHERE r.resource_id IS NULL
    OR (r.state NOT IN ('deleted', 'gone') AND r.state <> t.state
        AND NOT (t.state = 'deleted' AND coalesce(r.last_updated > t.state_at, false)))
ORDER BY t.seq"""

CHANGE = """
UPDATE base.resources r SET state = t.state, state_at = t.state_at, state_run = $1, commit_number = $2
FROM effective t
WHERE r.source = t.source AND r.resource_type = t.resource_type AND r.resource_id = t.resource_id"""

HIDE = """
UPDATE base.resources r SET shown_version_id = NULL, shown_number = NULL, shown_last_updated = NULL,
    shown_fate = NULL, shown_reason = NULL, shown_file = NULL, shown_line = NULL
FROM removed t
WHERE r.source = t.source AND r.resource_type = t.resource_type AND r.resource_id = t.resource_id"""

REMEMBER = """
INSERT INTO base.resources BY NAME
SELECT source, resource_type, resource_id, state, state_at, $1 AS state_run, $2::INTEGER AS commit_number,
    false AS subsetted, false AS differs
FROM effective WHERE unknown"""


def bury(
    database: Database, tombstones: Sequence[tuple[str, Tombstone]], run_id: str, number: int
) -> tuple[list[int], list[tuple[str, str, str]]]:
    """Apply tombstones, each with its source, of which the last of a resource counts.

    Return the places of those that changed something, and what they removed.
    """
    last = {(source, one.type, one.id): place for place, (source, one) in enumerate(tombstones)}
    chosen = sorted(last.values())
    told = pa.table(
        {
            "seq": pa.array(chosen, pa.int32()),
            "source": pa.array([tombstones[place][0] for place in chosen], pa.string()),
            "resource_type": pa.array([tombstones[place][1].type for place in chosen], pa.string()),
            "resource_id": pa.array([tombstones[place][1].id for place in chosen], pa.string()),
            "state": pa.array([tombstones[place][1].state for place in chosen], pa.string()),
            "state_at": pa.array([instant(tombstones[place][1].at) for place in chosen], pa.int64()).cast(
                INSTANT
            ),
        }
    )
    with database.given(tombstones=told):
        effective = database.table(EFFECTIVE)
    if not effective.num_rows:
        return [], []
    rows = effective.drop_columns(["state_at"]).to_pylist()
    removed = [row["state"] in ("deleted", "gone") and not row["unknown"] for row in rows]
    keys = effective.filter(pa.array(removed, pa.bool_())).select(["source", "resource_type", "resource_id"])
    with database.given(effective=effective, removed=keys):
        database.execute(CHANGE, [run_id, number])
        database.execute(HIDE)
        database.execute(REMEMBER, [run_id, number])
    take_out(database, keys)
    return (
        [row["seq"] for row in rows],
        [(row["source"], row["resource_type"], row["resource_id"]) for row in keys.to_pylist()],
    )
