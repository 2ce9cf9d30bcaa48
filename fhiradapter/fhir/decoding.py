"""Decoding: the bytes of one resource to its elements, or the reason why not."""

import json
import re
from typing import NamedTuple

import msgspec

from fhiradapter.fhir.elements import AnyResource, Header, Resource
from fhiradapter.fhir.salvage import members, split, text_of
from fhiradapter.reasons import Reason

BOM = b"\xef\xbb\xbf"
PATH = re.compile(r" - at `(\$[^`]*)`")
HEAD = re.compile(
    rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]{1,64})"(?:\s*,\s*"id"\s*:\s*"([A-Za-z0-9.-]{1,64})")?'
)
ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an escaped backslash before u0000 is a backslash
ELEMENT = re.compile(r"_?[a-z][A-Za-z0-9]{0,63}\Z")  # any other name may hold anything, so it is not repeated
NOT_A_PATH = re.compile(r"[^\w.\[\]$-]")

# An extension that may reverse what it stands in; the elements read do not show it at every depth.
MODIFIER = b'"modifierExtension"'
# Deep nesting ends in a long run of closing brackets, of objects in arrays as FHIR nests, or of either alone.
# Long needles are found faster than short ones: a megabyte is searched in about 0.1 ms.
DEEP_ENDS = (b"}]" * 30, b"}" * 60, b"]" * 60)

_decoder = msgspec.json.Decoder(AnyResource)
_headers = msgspec.json.Decoder(Header)


class Refusal(NamedTuple):
    """Why bytes are no resource that can be mapped, with as much of its name as they show."""

    reason: Reason
    path: str | None = None
    detail: str | None = None
    resource_type: str | None = None
    id: str | None = None


def decode(content: bytes) -> Resource | Refusal:
    """Return the resource, or why it is none; never raises.

    >>> decode(b'{"resourceType": "Patient", "gender": 7}')[:2]
    (<Reason.WRONG_TYPE: 'WRONG_TYPE'>, 'Patient.gender')
    """
    try:
        resource: Resource = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _diagnose(content, error)
    return resource


def is_hazardous(content: bytes) -> bool:
    """Return True when bytes, of one resource or of many, need the complete look of `inspect`."""
    return (
        MODIFIER in content
        or any(end in content for end in DEEP_ENDS)
        or b"\x00" in content
        or (b"\\" in content and b"\\u0000" in content)
        or not _is_text(content)
    )


def inspect(content: bytes, *, nesting: int, allowed_modifiers: frozenset[str]) -> Refusal | None:
    """Look at every element of one resource, read or not; return what forbids its use."""
    if not _is_text(content):
        return named(content, Reason.INVALID_ENCODING)
    if b"\x00" in content or (b"\\u0000" in content and ESCAPED_NUL.search(content)):
        return named(content, Reason.NUL_CHARACTER)
    # Nothing nests deeper than it has brackets, and to count them costs a hundredth of following them.
    if content.count(b"{") + content.count(b"[") > nesting and depth(content) > nesting:
        return named(content, Reason.TOO_DEEP)
    if b"modifierExtension" not in content and b"implicitRules" not in content:
        return None
    try:
        return _find_modifier(json.loads(content), "", allowed_modifiers)
    except (ValueError, RecursionError):
        return named(content, Reason.MALFORMED_JSON)


def named(content: bytes, reason: Reason) -> Refusal:
    """Return a refusal with the name of the resource, when its first elements are type and id."""
    head = HEAD.match(content)
    if not head:
        return Refusal(reason)
    return Refusal(reason, None, None, head[1].decode(), head[2].decode() if head[2] else None)


def depth(content: bytes) -> int:
    """Return how deep the brackets of a JSON text nest; brackets inside strings do not count."""
    deepest = level = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', content, re.DOTALL):
        first = token[0][:1]
        if first in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif first in b"]}":
            level -= 1
    return deepest


def _is_text(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _find_modifier(node: object, path: str, allowed: frozenset[str]) -> Refusal | None:
    """Return the first modifier that is not allowed; in contained resources too."""
    if isinstance(node, list):
        children = [(item, f"{path}[{index}]") for index, item in enumerate(node)]
    elif isinstance(node, dict):
        name = path or str(node.get("resourceType", ""))
        if node.get("implicitRules") not in (None, "", *allowed):
            return Refusal(Reason.UNKNOWN_MODIFIER, f"{name}.implicitRules")
        for index, extension in enumerate(node.get("modifierExtension") or ()):
            if not isinstance(extension, dict) or extension.get("url") not in allowed:
                return Refusal(Reason.UNKNOWN_MODIFIER, f"{name}.modifierExtension[{index}]")
        children = [(item, f"{name}.{key if ELEMENT.match(key) else '*'}") for key, item in node.items()]
    else:
        return None
    for child, place in children:
        if found := _find_modifier(child, place, allowed):
            return found
    return None


def _diagnose(content: bytes, error: Exception) -> Refusal:
    """Say why decoding failed, naming the resource when its head can be read."""
    if isinstance(error, RecursionError):
        return named(content, Reason.TOO_DEEP)
    if isinstance(error, UnicodeDecodeError) or not _is_text(content):
        return named(content, Reason.INVALID_ENCODING)
    if b"\x00" in content:
        return named(content, Reason.NUL_CHARACTER)
    if not isinstance(error, msgspec.ValidationError):
        # The decoder calls half a surrogate pair truncated, too.
        truncated = "truncated" in str(error) and not split(content).complete
        return named(content, Reason.TRUNCATED_JSON if truncated else Reason.MALFORMED_JSON)
    try:
        header = _headers.decode(content)
    except msgspec.ValidationError:
        header = Header(resource_type=text_of(members(content).get("resourceType")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return named(content, Reason.MALFORMED_JSON)
    kind = header.resource_type
    if kind is None:
        return Refusal(Reason.NOT_FHIR)
    if kind not in READ_TYPES:
        return Refusal(Reason.TYPE_NOT_READ, None, None, kind, header.id)
    match = PATH.search(str(error))
    path = NOT_A_PATH.sub("", match[1]).replace("$", kind, 1) if match else kind
    return Refusal(Reason.WRONG_TYPE, path, None, kind, header.id)


READ_TYPES = frozenset(kind.__struct_config__.tag for kind in AnyResource.__args__)
