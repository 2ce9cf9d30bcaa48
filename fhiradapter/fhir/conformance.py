"""Conformance: what the FHIR specification finds wrong with a resource, by `fhir.resources`."""

import re
from importlib import import_module
from typing import Any, NamedTuple

from pydantic import ValidationError

# R4 reads as R4B: the two agree in every resource type that is mapped.
PACKAGES = {
    "R4": "fhir.resources.R4B",
    "R4B": "fhir.resources.R4B",
    "R5": "fhir.resources",
    "STU3": "fhir.resources.STU3",
}
IN_ORDER_OF_USE = ("R4B", "R5", "STU3")
KIND = re.compile(r"[A-Z][A-Za-z]{1,63}\Z")
ELEMENT = re.compile(r"_?[a-z][A-Za-z0-9]{0,63}\Z")
SHOWN = 20


class Violation(NamedTuple):
    """One element that the specification refuses, without its value."""

    path: str
    rule: str


def violations(resource: dict[str, Any], version: str | None = None) -> list[Violation]:
    """Return what is wrong by one version of FHIR; without one, by the version that finds the least.

    A type that `fhir.resources` does not have is one violation.

    >>> violations({"resourceType": "Patient", "gender": 7}, "R4")[0].path
    'Patient.gender'
    """
    if version is not None:
        return _violations(resource, PACKAGES[version])
    found = [_violations(resource, PACKAGES[name]) for name in IN_ORDER_OF_USE]
    return min(found, key=len)


def _violations(resource: dict[str, Any], package: str) -> list[Violation]:
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not KIND.match(kind):
        return [Violation("resourceType", "missing")]
    try:
        model = getattr(import_module(f"{package}.{kind.lower()}"), kind)
    except (ImportError, AttributeError):
        return [Violation("resourceType", "no such resource type")]
    try:
        model.model_validate(resource)
    except ValidationError as error:
        # Of each error only place and kind are taken: its message may quote the patient's data.
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        found = {Violation(_path(kind, part["loc"]), part["type"]): None for part in errors}
        return list(found)[:SHOWN]
    return []


def _path(kind: str, place: tuple[int | str, ...]) -> str:
    path = kind
    for step in place:
        # A name that no element can have may hold anything, so it is not repeated.
        shown = "*" if isinstance(step, str) and not ELEMENT.match(step) else step
        path += f"[{shown}]" if isinstance(step, int) else f".{shown}"
    return path
