"""FHIR references: what they point at, without following them anywhere."""

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from fhiradapter.fhir.datatypes import Identifier, Reference

TYPE = r"[A-Z][A-Za-z]+"
RELATIVE = re.compile(rf"({TYPE})/([^/?#\s]+)(?:/_history/([^/?#\s]+))?\Z")
ABSOLUTE = re.compile(rf"(https?://[^\s?#]+?)/({TYPE})/([^/?#\s]+)(?:/_history/([^/?#\s]+))?\Z")
CONDITIONAL = re.compile(rf"({TYPE})\?(?:.*&)?identifier=([^&\s]+)")


class Kind(StrEnum):
    """How a reference points."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"
    URN = "urn"
    CONTAINED = "contained"
    IDENTIFIER = "identifier"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Target(NamedTuple):
    """What a reference points at: a type and id, or for kind IDENTIFIER 'system|value' as the id."""

    kind: Kind
    type: str | None
    id: str | None
    base: str | None = None


NOWHERE = Target(Kind.MISSING, None, None)


def target_of(reference: Reference | None) -> Target:
    """Return what a reference points at.

    >>> target_of(Reference(reference="https://ehr.example.org/fhir/Patient/7/_history/2"))[1:]
    ('Patient', '7', 'https://ehr.example.org/fhir')
    >>> target_of(Reference(reference="Patient?identifier=urn:mrn|0042"))[1:3]
    ('Patient', 'urn:mrn|0042')
    """
    if reference is None:
        return NOWHERE
    text = reference.reference
    if text is None:
        return _logical(reference.identifier, reference.type)
    if match := RELATIVE.match(text):
        return Target(Kind.RELATIVE, match[1], match[2])
    if text.startswith("#"):
        return Target(Kind.CONTAINED, reference.type, text[1:])
    if text.startswith(("urn:uuid:", "urn:oid:")):
        return Target(Kind.URN, reference.type, text)
    if match := ABSOLUTE.match(text):
        return Target(Kind.ABSOLUTE, match[2], match[3], match[1])
    if match := CONDITIONAL.match(text):
        return Target(Kind.IDENTIFIER, match[1], unquote(match[2]))
    if reference.identifier is not None:
        return _logical(reference.identifier, reference.type)
    return Target(Kind.UNKNOWN, reference.type, text)


def identifier_key(identifier: Identifier) -> str | None:
    """Return 'system|value', the form in which searches and conditional references name an identifier."""
    return f"{identifier.system or ''}|{identifier.value}" if identifier.value else None


def reference_text(reference: Reference | None) -> str | None:
    """Return a reference as sent, else its identifier, else its display."""
    if reference is None:
        return None
    if reference.reference:
        return reference.reference
    key = identifier_key(reference.identifier) if reference.identifier else None
    return key or reference.display


def _logical(identifier: Identifier | None, kind: str | None) -> Target:
    key = identifier_key(identifier) if identifier is not None else None
    return Target(Kind.IDENTIFIER, kind, key) if key else NOWHERE
