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
        seen = [start]
        while seen[-1] in replaced_by and replaced_by[seen[-1]] not in seen:
            seen.append(replaced_by[seen[-1]])
        if seen[-1] in replaced_by:
            circles.update(seen)
        else:
            found[start] = seen[-1]
    return {old: new for old, new in found.items() if old not in circles}, circles
