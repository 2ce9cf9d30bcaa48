"""Keys: numbers of received resources, by which those that came several times are found."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cluster.hashes import FIRST, hashes
from fhiradapter.cluster.mapped import Moves, unpacked

DEALT = pa.schema([("hand", pa.int32()), ("content", pa.binary())])
REPEATED = pa.schema([("key", pa.int64())])
OF_A_HAND = 4_000_000  # keys; what a task holds at once, of 8 bytes each


def keys_of(receipts: pa.RecordBatch) -> np.ndarray:
    """Return a number for each receipt, which is the same wherever it is made for one resource."""
    found = hashes(receipts.column("resource_id"))
    for name in ("resource_type", "source"):
        coded = receipts.column(name).dictionary_encode("encode")
        found = found * FIRST + hashes(coded.dictionary)[coded.indices.to_numpy()]
    return found.view(np.int64)


def named_keys(receipts: pa.RecordBatch) -> np.ndarray:
    """Return the keys of the receipts of resources that have an id."""
    named = receipts.column("resource_id")
    return keys_of(receipts.filter(pc.is_valid(named)) if named.null_count else receipts)


def dealt(given: tuple[Moves, int], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the keys of rows of `MAPPED` by hands, so that equal ones come into the same."""
    moves, hands = given
    for batch in batches:
        rows = [row for row in batch.to_pylist() if moves.holds(row)]
        if not rows:
            continue
        keys = np.concatenate([np.frombuffer(unpacked(row["content"]), np.int64) for row in rows])
        hand = keys.view(np.uint64) % np.uint64(hands)
        order = np.argsort(hand, kind="stable")
        cuts = np.searchsorted(hand[order], np.arange(hands + 1, dtype=np.uint64))
        contents = [keys[order[begin:end]].tobytes() for begin, end in pairwise(cuts)]
        yield pa.RecordBatch.from_arrays(
            [pa.array(range(hands), pa.int32()), pa.array(contents, pa.binary())], schema=DEALT
        )


def repeated(_: None, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the keys that are in rows of `DEALT` more than once."""
    contents = [content for batch in batches for content in batch.column("content").to_pylist()]
    keys = np.frombuffer(b"".join(contents), np.int64).copy()
    keys.sort()
    several = np.unique(keys[1:][keys[1:] == keys[:-1]])
    yield pa.RecordBatch.from_arrays([pa.array(several, pa.int64())], schema=REPEATED)
