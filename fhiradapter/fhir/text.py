"""Text: what sort of JSON a file holds, told by its beginning."""

import re
from enum import Enum
from typing import NamedTuple

import msgspec

from fhiradapter.fhir.salvage import is_sound

FIRST_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{1,64})"')


class Sort(Enum):
    """How a file's resources are to be told apart."""

    LINES = "one JSON object per line"
    DOCUMENT = "one JSON value over several lines"
    OTHER = "not JSON"


class Look(NamedTuple):
    """What the beginning of a file shows."""

    kind: Sort
    first_type: str


def sort_of(head: bytes) -> Look:
    r"""Tell lines from a document: a whole object in a line, or a next line that starts one, means lines.

    >>> sort_of(b'{"resourceType": "Patient"}\n{"resourceType": "Patient"}\n')
    Look(kind=<Sort.LINES: 'one JSON object per line'>, first_type='Patient')
    >>> sort_of(b'{\n  "resourceType": "Patient"\n}').kind.value
    'one JSON value over several lines'
    """
    match = FIRST_TYPE.search(head)
    first_type = match[1].decode() if match else ""
    lines = [line for line in (part.strip() for part in head.split(b"\n", 20)[:20]) if line]
    if not lines:
        return Look(Sort.OTHER, first_type)
    start = lines[0][:1]
    if start == b"[" and not (lines[1:] and lines[1].startswith(b"{") and is_sound(lines[0])):
        return Look(Sort.DOCUMENT, first_type)
    if lines[0] == b"{":
        return Look(Sort.DOCUMENT, first_type)
    if len(lines) == 1 or _is_object(lines[0]):
        return Look(Sort.LINES if start == b"{" else Sort.OTHER, first_type)
    # One line may be broken; a document's second line starts with a name in quotes, or closes what is open.
    if any(line.startswith(b"{") and len(line) > 1 for line in lines[1:]):
        return Look(Sort.LINES, first_type)
    return Look(Sort.DOCUMENT if start == b"{" else Sort.OTHER, first_type)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
