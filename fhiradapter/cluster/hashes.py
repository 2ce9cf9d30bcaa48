"""Hashes: numbers of texts that are the same in every process, a column at a time."""

import numpy as np
import pyarrow as pa

WORD = 8  # bytes
FIRST, SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
)  # odd, as in splitmix64 and xxHash
HALF = np.uint64(32)


def hashes(texts: pa.Array) -> np.ndarray:
    """Return a number of 64 bits for each text; None has that of the empty text.

    Who compares numbers looks at the texts too, since two of them may share one.

    >>> [hex(number) for number in hashes(pa.array(["p1", "p2", "p1"]))]
    ['0xdbd6d68b1bdaf67f', '0xb0949788558955fc', '0xdbd6d68b1bdaf67f']
    """
    texts = texts.cast(pa.string())
    count = len(texts)
    found = np.zeros(count, np.uint64)
    if not count or texts.buffers()[2] is None:
        return found
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: count + 1]
    content = bytes(memoryview(texts.buffers()[2])[: offsets[-1]]) + b"\0" * WORD
    # The word that begins at any byte, so that all texts are walked through side by side.
    words = np.ndarray(len(content) - WORD + 1, "<u8", content, strides=(1,))
    starts, left = offsets[:-1].astype(np.int64), np.diff(offsets)
    if texts.null_count:
        left = np.where(texts.is_valid().to_numpy(zero_copy_only=False), left, 0)
    found += left.astype(np.uint64) * FIRST
    rows = np.flatnonzero(left)
    while len(rows):
        word = words[starts[rows]]
        short = left[rows] < WORD
        if short.any():
            unused = ((WORD - left[rows[short]]) * 8).astype(np.uint64)
            word[short] = (word[short] << unused) >> unused
        mixed = (found[rows] ^ word) * FIRST
        found[rows] = (mixed ^ (mixed >> HALF)) * SECOND
        starts[rows] += WORD
        left[rows] -= WORD
        rows = rows[left[rows] > 0]
    return found ^ (found >> HALF)


def numbers(texts: pa.Array, count: int) -> np.ndarray:
    """Return for each text a number below `count`; that of None is 0.

    >>> numbers(pa.array(["p1", None, "p3", "p1"]), 5).tolist()
    [4, 0, 4, 4]
    """
    found = (hashes(texts) % np.uint64(count)).astype(np.min_scalar_type(count))  # small ones sort faster
    if texts.null_count:
        found[~texts.is_valid().to_numpy(zero_copy_only=False)] = 0
    return found
