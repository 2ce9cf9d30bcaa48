"""Salvage: the members of a JSON object or array that cannot be decoded as a whole, told by its brackets."""

import re
from typing import NamedTuple

import msgspec

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)  # a string may be cut off
NAME = re.compile(rb'\s*"([A-Za-z]+)"\s*:')


class Parts(NamedTuple):
    """What stands between the outer brackets, split at its commas."""

    items: list[bytes]
    complete: bool
    """False when the text ends before its closing bracket."""


def split(content: bytes) -> Parts:
    """Return the items of an array, or the members of an object; the last one may be cut off.

    >>> split(b'[{"a": [1, 2]}, {"b": NaN}, {"c"')
    Parts(items=[b'{"a": [1, 2]}', b' {"b": NaN}', b' {"c"'], complete=False)
    """
    items: list[bytes] = []
    level = begin = 0
    for token in TOKEN.finditer(content):
        mark = token[0][:1]
        if mark in b"[{":
            level += 1
            if level == 1:
                begin = token.end()
        elif mark in b"]}":
            level -= 1
            if level <= 0:
                return Parts([*items, content[begin : token.start()]], True)
        elif mark == b"," and level == 1:
            items.append(content[begin : token.start()])
            begin = token.end()
    return Parts([*items, content[begin:]], False)


def members(content: bytes) -> dict[str, bytes]:
    """Return the members of an object by name, each as the bytes of its value.

    >>> members(b'{"resourceType": "Bundle", "total": NaN')
    {'resourceType': b' "Bundle"', 'total': b' NaN'}
    """
    found = {}
    for item in split(content).items:
        if name := NAME.match(item):
            found[name[1].decode()] = item[name.end() :]
    return found


def text_of(value: bytes | None) -> str | None:
    """Return a member's value when it is a JSON string."""
    try:
        return msgspec.json.decode(value or b"null", type=str | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_sound(content: bytes) -> bool:
    """Return True when bytes are JSON that can be decoded."""
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
