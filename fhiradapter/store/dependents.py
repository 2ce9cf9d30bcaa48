"""Dependents: resources that say what they mean only together with another one that they refer to."""

import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from fhiradapter.store.database import Database
from fhiradapter.store.heads import identifier_keys
from fhiradapter.store.mapping import Waited

Key = tuple[str, str, str]
IDENTIFIER = "identifier"  # the target is a Patient, known by an identifier alone
REFERENCE = re.compile(rb'"reference"\s*:\s*"(?:[^"]*/)?(Medication|Specimen)/([^"/?#\s]+)')


def references(waited: Waited) -> set[tuple[str, str]]:
    """Return what a resource that had to wait refers to: type and id, or an identifier of a Patient.

    It may be more than the mapping asked for: then it is mapped again once too often.
    """
    found = {(kind.decode(), id_.decode()) for kind, id_ in REFERENCE.findall(waited.content)}
    return found | {(IDENTIFIER, key) for key in identifier_keys(waited.content)}


def dependency_table(dependencies: Iterable[tuple[Key, tuple[str, str]]]) -> pa.Table:
    """Return dependencies as a table."""
    rows = [(*key, *target) for key, target in dependencies]
    columns = zip(*rows, strict=True) if rows else [[]] * 5
    names = ["source", "resource_type", "resource_id", "target_type", "target"]
    return pa.table([pa.array(column, pa.string()) for column in columns], names=names)


def dependents(database: Database, changed: Iterable[tuple[str, str, str]]) -> Iterator[Key]:
    """Yield the resources that refer to something of a source: (source, type, id or identifier)."""
    targets = pa.table(
        [pa.array(column, pa.string()) for column in zip(*changed, strict=True)],
        names=["source", "target_type", "target"],
    )
    with database.given(targets=targets):
        yield from database.rows(
            "SELECT DISTINCT d.source, d.resource_type, d.resource_id FROM base.dependencies d"
            " SEMI JOIN targets t ON d.source = t.source AND d.target_type = t.target_type"
            " AND d.target = t.target ORDER BY ALL"
        )


def missing(database: Database, source: str, kind: str) -> list[str]:
    """Return the ids of a type that resources refer to and that are not in the store."""
    return [
        id_
        for (id_,) in database.rows(
            "SELECT DISTINCT d.target FROM base.dependencies d LEFT JOIN base.resources r"
            " ON r.source = d.source AND r.resource_type = d.target_type AND r.resource_id = d.target"
            " WHERE d.source = ? AND d.target_type = ? AND r.resource_id IS NULL ORDER BY ALL",
            [source, kind],
        )
    ]
