"""Same facts: persons and facts that two sources both sent, of which the earlier source's are kept."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from fhiradapter.cohort.receipts import Place

# What makes two rows of one person the same fact: when, how much in canonical units, else how much as sent.
FACTS = {
    "measurements": ("measured_at", "value", ("source_value", "source_unit", "value_text")),
    "exposures": ("started_at", "dose_cells", ("status", "dose_text", "dose_unit")),
}


def same_persons(subjects: Iterable[Mapping[str, Any]], order: list[str]) -> dict[str, str]:
    """Return the subjects of later sources with those of earlier ones that carry the same identifier.

    >>> rows = [{"subject_id": "a:1", "source": "a", "identifiers": "mrn|7"},
    ...         {"subject_id": "b:9", "source": "b", "identifiers": "other|3 mrn|7"}]
    >>> same_persons(rows, ["a", "b"])
    {'b:9': 'a:1'}
    """
    owners: dict[str, tuple[str, str]] = {}
    found: dict[str, str] = {}
    for row in sorted(subjects, key=lambda row: order.index(row["source"])):
        keys = (row["identifiers"] or "").split()
        known = [owners[key] for key in keys if key in owners and owners[key][0] != row["source"]]
        person = known[0][1] if known else row["subject_id"]
        if known:
            found[row["subject_id"]] = person
        for key in keys:
            owners.setdefault(key, (row["source"], person))
    return found


def same_facts(
    tables: Iterable[tuple[str, Iterable[pa.RecordBatch]]],
    order: list[str],
    persons: Mapping[str, str],
    dropped: Mapping[Place, Any],
) -> dict[Place, str]:
    """Return the places of resources all of whose rows an earlier source sent too, with their type.

    A row counts by its concept, else by its code; without a time nothing is said to be the same. Rows
    that are `dropped` already take no part.
    """
    first: dict[tuple[Any, ...], str] = {}
    alike: dict[Place, str] = {}
    unlike: set[Place] = set()
    rows = sorted(_facts(tables, persons), key=lambda fact: order.index(fact[0].source))
    for place, kind, key in rows:
        if place in dropped:
            continue
        if key is not None and first.setdefault(key, place.source) != place.source:
            alike[place] = kind
        else:
            unlike.add(place)
    return {place: kind for place, kind in alike.items() if place not in unlike}


def _facts(
    tables: Iterable[tuple[str, Iterable[pa.RecordBatch]]], persons: Mapping[str, str]
) -> Iterator[tuple[Place, str, tuple[Any, ...] | None]]:
    for table, batches in tables:
        when, amount, as_sent = FACTS[table]
        for batch in batches:
            for row in batch.to_pylist():
                place = Place(row["source"], row["source_file"], row["source_line"] or 0)
                said = (row[amount],) if row[amount] is not None else tuple(row[name] for name in as_sent)
                subject = persons.get(row["subject_id"], row["subject_id"])
                key = (table, subject, row["concept"] or row["source_code"], row[when], *said)
                yield place, row["resource_type"], key if row[when] is not None else None
