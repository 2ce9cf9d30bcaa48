"""Entries: what stands in a file system that this process reaches through others."""

from typing import NamedTuple

NOTHING = -1  # bytes


class Entry(NamedTuple):
    """A file or folder: its path as Hadoop writes it, and as Spark's column `_metadata.file_path` does."""

    path: str
    url: str
    size: int
    folder: bool


def nothing_at(path: str) -> Entry:
    """Return the entry of what has a name and cannot be read."""
    return Entry(path, path, NOTHING, False)
