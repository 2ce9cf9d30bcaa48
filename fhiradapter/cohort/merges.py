"""Merges: the Patient record that survives when several are about one person."""

from collections.abc import Mapping


def survivors(replaced_by: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Return each replaced id with the one that survives, and the ids that replace each other in a circle.

    >>> survivors({"a": "b", "b": "c", "x": "y", "y": "x"})[0]
    {'a': 'c', 'b': 'c'}
    """
    found: dict[str, str] = {}
    circles: set[str] = set()
    for start in replaced_by:
        path: dict[str, None] = {}  # in order, and quick to look up
        record = start
        while record in replaced_by and not (record in path or record in found or record in circles):
            path[record] = None
            record = replaced_by[record]
        if record in path or record in circles:
            circles.update(path)
        else:
            found |= dict.fromkeys(path, found.get(record, record))
    return found, circles
