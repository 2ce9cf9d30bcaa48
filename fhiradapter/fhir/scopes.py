"""Scopes: which types a SMART client asks for, and which it was given."""

import re
from collections.abc import Iterable

# system/Observation.rs (v2: read, search), system/Observation.read (v1); with a query a part of it
SCOPE = re.compile(r"system/(?P<type>\*|[A-Z][A-Za-z]*)\.(?P<verbs>read|write|\*|c?r?u?d?s?)\Z")


def scopes_for(types: Iterable[str], *, version: int = 2) -> tuple[str, ...]:
    """Return the scopes that reading and searching some types need.

    >>> scopes_for(["Patient", "Observation"])
    ('system/Observation.rs', 'system/Patient.rs')
    """
    verbs = "rs" if version == 2 else "read"
    return tuple(f"system/{name}.{verbs}" for name in sorted(set(types)))


def readable(granted: Iterable[str]) -> frozenset[str]:
    """Return the types that may be both read and searched in full; `*` stands for all.

    >>> sorted(readable(["system/Patient.rs", "system/Observation.read", "system/Condition.r"]))
    ['Observation', 'Patient']
    """
    return frozenset(
        match["type"]
        for scope in granted
        if (match := SCOPE.match(scope))
        and (match["verbs"] in {"read", "*"} or {"r", "s"} <= set(match["verbs"].replace("write", "")))
    )


def missing_types(types: Iterable[str], granted: Iterable[str]) -> frozenset[str]:
    """Return the types that were not granted; a scope with a query grants a part and so does not count."""
    given = readable(granted)
    return frozenset() if "*" in given else frozenset(types) - given


def version_of(configuration: dict[str, object]) -> int:
    """Return the version of scopes that a server's SMART configuration speaks of; 2 when it does not say."""
    capabilities, supported = (
        [text for text in values if isinstance(text, str)] if isinstance(values, list) else []
        for values in (configuration.get("capabilities"), configuration.get("scopes_supported"))
    )
    if "permission-v2" in capabilities:
        return 2
    if "permission-v1" in capabilities:
        return 1
    older = any(text.startswith("system/") and text.endswith(".read") for text in supported)
    newer = any(text.startswith("system/") and text.endswith("s") for text in supported)
    return 1 if older and not newer else 2
