"""Heads: what a store has to know of a resource before it is mapped, from its bytes alone."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from fhiradapter.fhir.datatypes import Reference
from fhiradapter.fhir.dates import DateReader
from fhiradapter.fhir.references import target_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}\Z")
UNKNOWN_TYPE = "Unknown"
SUBSETTED = "SUBSETTED"
SUBJECTS = ("subject", "patient", "individual")
DIGEST = 16  # bytes; two of 10^12 contents share a digest with a chance of one in 10^14
MICROSECONDS = 1_000_000

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder(order="sorted")
_dates = DateReader(None)


class Head(NamedTuple):
    """The name, version and content of a resource."""

    type: str
    id: str
    version: str | None
    number: str | None
    """A version that is a number, as a text that sorts like it."""
    updated: int | None
    """meta.lastUpdated in microseconds since 1970."""
    content: str
    """Digest of the content, the same for any order of elements and any blanks."""
    subsetted: bool
    patient: str | None
    """Id of the Patient that it is about, when it names one."""


def head_of(content: bytes, expected: str) -> Head:
    """Return the head of a resource; bytes that are none get a name that follows from them.

    >>> head_of(b'{"resourceType": "Patient", "id": "p", "meta": {"versionId": "10"}}', "Patient")[:4]
    ('Patient', 'p', '10', '0210')
    """
    try:
        resource: Any = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        resource = None
    if not isinstance(resource, dict):
        return _nameless(content, expected)
    id_, meta = resource.get("id"), resource.get("meta")
    kind = resource.get("resourceType", expected)
    if not isinstance(id_, str) or not id_:
        return _nameless(content, expected)
    if kind != expected and not (isinstance(kind, str) and TYPE.match(kind)):
        kind = expected
    if not isinstance(meta, dict):
        meta = {}
    version, tags = meta.get("versionId"), meta.get("tag")
    if not isinstance(version, str):
        version = None
    return Head(
        kind,
        id_,
        version,
        _number(version),
        instant(meta.get("lastUpdated")),
        hashlib.blake2b(_encoder.encode(resource), digest_size=DIGEST).hexdigest(),
        tags is not None and _is_subsetted(tags),
        id_ if kind == "Patient" else _patient(resource),
    )


def identifier_keys(content: bytes) -> set[str]:
    """Return 'system|value' of every identifier in a resource, its own and those of its references.

    >>> identifier_keys(b'{"subject": {"identifier": {"system": "urn:mrn", "value": "7"}}}')
    {'urn:mrn|7'}
    """
    try:
        return set(_identifiers(_decoder.decode(content)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()


def _identifiers(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _identifiers(item)
    elif isinstance(node, dict):
        if isinstance(value := node.get("value"), str):
            yield f"{node.get('system') or ''}|{value}"
        if isinstance(text := node.get("reference"), str) and "identifier=" in text:
            yield target_of(Reference(reference=text)).id or ""
        for item in node.values():
            if isinstance(item, (dict, list)):
                yield from _identifiers(item)


def _nameless(content: bytes, expected: str) -> Head:
    digest = hashlib.blake2b(content, digest_size=DIGEST).hexdigest()
    kind = expected if TYPE.match(expected) else UNKNOWN_TYPE
    return Head(kind, f"(unreadable) {digest}", None, None, None, digest, False, None)


def _number(version: str | None) -> str | None:
    if version is None or not version.isascii() or not version.isdigit() or len(version) > 99:
        return None
    digits = version.lstrip("0")
    return f"{len(digits):02d}{digits}"


def instant(text: Any) -> int | None:
    """Return a FHIR instant in microseconds since 1970; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        # Most servers write 2024-03-01T10:00:00.123+00:00 or ...Z, which is read in a third of the time.
        at = datetime.fromisoformat(text)
    except ValueError:
        return _dates.read(text).at
    if at.tzinfo is None or len(text) < 19:
        return _dates.read(text).at
    passed = at - EPOCH
    return (passed.days * 86_400 + passed.seconds) * MICROSECONDS + passed.microseconds


def _is_subsetted(tags: Any) -> bool:
    return isinstance(tags, list) and any(
        isinstance(tag, dict) and tag.get("code") == SUBSETTED for tag in tags
    )


def _patient(resource: dict[str, Any]) -> str | None:
    for name in SUBJECTS:
        subject = resource.get(name)
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if isinstance(reference, str) and "Patient/" in reference:
            own: str = reference.rpartition("Patient/")[2].partition("/")[0]
            return own or None
    return None
