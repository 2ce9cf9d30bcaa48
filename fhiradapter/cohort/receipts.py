"""Receipts: what was received, the account of it, and which resources came more than once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.reasons import IGNORED, QUARANTINED, Reason

MAPPED = "mapped"
FEW = 1 << 8  # receipts that are counted sooner than encoded
MULTIPLIER = np.int64(0x1E3779B97F4A7C15)  # odd: distinct sums stay distinct when multiplied, modulo 2^64

# One line per resource: enough to tell versions apart and to balance the account.
SCHEMA = pa.schema(
    [
        ("resource_type", pa.string()),
        ("resource_id", pa.string()),
        ("version_id", pa.string()),
        ("last_updated", pa.timestamp("us", tz="UTC")),
        ("source", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int32()),
        ("disposition", pa.string()),
        ("reason", pa.string()),
    ]
)


class Place(NamedTuple):
    """Where a resource was read; no two resources share it."""

    source: str
    file: str
    line: int


class Copy(NamedTuple):
    """One receipt of a resource that was received several times, in order of arrival."""

    place: Place
    updated: int | None
    version: str | None
    disposition: str


class Receipts:
    """Counts what was received; of each resource it keeps eight bytes."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str | None]] = Counter()
        self._keys: list[np.ndarray] = []

    def add(self, receipts: pa.RecordBatch) -> None:
        """Count a batch."""
        self.count(combinations(receipts))
        keys = _keys(receipts)
        named = receipts.column("resource_id").is_valid()
        self._keys.append(keys if named.false_count == 0 else keys[named.to_numpy(zero_copy_only=False)])

    def count(self, combinations: Counter[tuple[str, str, str | None]]) -> None:
        """Count what is told of receipts that lie elsewhere, whose keys are then not known here."""
        self._counts += combinations

    def repeated(self) -> list[int]:
        """Return the keys that came more than once."""
        keys = np.concatenate([*self._keys, np.empty(0, np.int64)])
        keys.sort()
        repeated: list[int] = np.unique(keys[1:][keys[1:] == keys[:-1]]).tolist()
        return repeated

    def accounts(self, dropped: Iterable[tuple[str, Reason]] = ()) -> dict[str, TypeAccount]:
        """Return the account of each type; `dropped` are types of mapped resources that a copy replaced."""
        counts = self._counts.copy()
        for kind, reason in dropped:
            counts[kind, MAPPED, None] -= 1
            counts[kind, IGNORED, reason] += 1
        accounts = {}
        for kind in sorted({kind for kind, _, _ in counts}):
            own = {(fate, reason): count for (name, fate, reason), count in counts.items() if name == kind}
            accounts[kind] = TypeAccount(
                received=sum(count for (name, _, _), count in self._counts.items() if name == kind),
                mapped=own.get((MAPPED, None), 0),
                quarantined=sum(count for (fate, _), count in own.items() if fate == QUARANTINED),
                ignored={
                    str(reason): count
                    for (fate, reason), count in sorted(own.items(), key=str)
                    if fate == IGNORED and count
                },
            )
        return accounts


def copies(
    receipts: Iterable[pa.RecordBatch],
    repeated: frozenset[int],
    files: Iterable[tuple[str, str]] = (),
) -> dict[tuple[str, str, str], list[Copy]]:
    """Return (source, type, id) to its receipts, for the resources that came more than once.

    They are in the order of the input, also where one had to wait for others to be mapped. `files` are
    sources and files in that order; those that are not given come after them, as they appear.
    """
    found: dict[tuple[str, str, str], list[Copy]] = {}
    order = {file: place for place, file in enumerate(files)}
    wanted = np.array(sorted(repeated), np.int64)
    for batch in receipts:
        for file in zip(
            batch.column("source").to_pylist(), batch.column("source_file").to_pylist(), strict=True
        ):
            order.setdefault(file, len(order))
        for index in np.flatnonzero(np.isin(_keys(batch), wanted)).tolist():
            row = batch.slice(index, 1)
            key = tuple(row.column(name)[0].as_py() for name in ("source", "resource_type", "resource_id"))
            if key[2] is None:
                continue
            updated = row.column("last_updated").cast(pa.int64())[0].as_py()
            place = Place(
                key[0], row.column("source_file")[0].as_py(), row.column("source_line")[0].as_py() or 0
            )
            version, fate = row.column("version_id")[0].as_py(), row.column("disposition")[0].as_py()
            found.setdefault(key, []).append(Copy(place, updated, version, fate))
    for received in found.values():
        received.sort(key=lambda copy: (order[copy.place.source, copy.place.file], copy.place.line))
    return {key: received for key, received in found.items() if len(received) > 1}


def combinations(receipts: pa.RecordBatch) -> Counter[tuple[str, str, str | None]]:
    """Return the number of receipts of each type, disposition and reason."""
    names = ["resource_type", "disposition", "reason"]
    if receipts.num_rows < FEW:
        return Counter(zip(*(receipts.column(name).to_pylist() for name in names), strict=True))
    coded = [receipts.column(name).dictionary_encode("encode") for name in names]
    places = np.zeros(receipts.num_rows, np.int64)
    for column in coded:
        places = places * len(column.dictionary) + column.indices.to_numpy()
    firsts, counts = np.unique(places, return_index=True, return_counts=True)[1:]
    rows: list[dict[str, Any]] = receipts.select(names).take(pa.array(firsts)).to_pylist()
    return Counter(
        {
            (row["resource_type"], row["disposition"], row["reason"]): count
            for row, count in zip(rows, counts.tolist(), strict=True)
        }
    )


def _keys(receipts: pa.RecordBatch) -> np.ndarray:
    """Return a number for each receipt that is equal for receipts of one resource, in this process.

    Two resources may share a number, about once in 2^64 pairs: who finds equal ones looks at the names.
    """
    seeds = np.zeros(receipts.num_rows, np.int64)
    for name in ("source", "resource_type"):
        coded = receipts.column(name).dictionary_encode("encode")
        numbers = np.array([hash(text) for text in coded.dictionary.to_pylist()], np.int64)
        seeds = seeds * MULTIPLIER + numbers[coded.indices.to_numpy()]
    ids = receipts.column("resource_id").to_pylist()
    return seeds * MULTIPLIER + np.fromiter(map(hash, ids), np.int64, len(ids))


def corrected(
    receipts: Iterable[pa.RecordBatch], dropped: Mapping[Place, Reason]
) -> Iterator[pa.RecordBatch]:
    """Yield the receipts with what became of the resources that a copy replaced."""
    for batch in receipts:
        names = ("source", "source_file", "source_line")
        places = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        reasons = [dropped.get(Place(source, file, line or 0)) for source, file, line in places]
        if any(reasons):
            fates = [IGNORED if reason else None for reason in reasons]
            for name, values in (("disposition", fates), ("reason", reasons)):
                index = batch.schema.get_field_index(name)
                changed = pc.coalesce(pa.array(values, pa.string()), batch.column(name))
                batch = batch.set_column(index, batch.schema.field(index), changed)  # noqa: PLW2901
        yield batch
