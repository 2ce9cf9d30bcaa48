"""Subjects: which Patient a resource says that it is about, told from its bytes."""

import msgspec

from fhiradapter.fhir.datatypes import Element, Reference
from fhiradapter.fhir.references import target_of


class Link(Element):
    """What one Patient has to do with another."""

    type: str | None = None
    other: Reference | None = None


class About(Element):
    """The elements that name a Patient, in any type and version."""

    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    individual: Reference | None = None
    link: list[Link] | None = None


_abouts = msgspec.json.Decoder(About)


def patient_of(content: bytes) -> str | None:
    """Return the id of the Patient that a resource is about; of a Patient its own.

    >>> patient_of(b'{"resourceType": "Condition", "subject": {"reference": "Patient/7"}}')
    '7'
    """
    try:
        about = _abouts.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if about.resource_type == "Patient":
        return about.id
    for reference in (about.subject, about.patient, about.individual):
        target = target_of(reference)
        if target.type == "Patient" and target.id:
            return target.id
    return None


def survivor_of(content: bytes) -> str | None:
    """Return the id of the Patient that replaces this one.

    >>> survivor_of(b'{"link": [{"type": "replaced-by", "other": {"reference": "Patient/8"}}]}')
    '8'
    """
    if b"replaced-by" not in content:
        return None
    try:
        links = _abouts.decode(content).link or ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for link in links:
        if link.type == "replaced-by" and target_of(link.other).type == "Patient":
            return target_of(link.other).id
    return None
