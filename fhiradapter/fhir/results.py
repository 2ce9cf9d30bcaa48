"""Results: Observations reduced to what a plain laboratory result has, which is faster to decode."""

from typing import Any, Union, get_args

import msgspec

from fhiradapter.fhir.datatypes import ABSENT, Element, Reference
from fhiradapter.fhir.elements import AnyResource, Observation

RARE = (
    "context",
    "focus",
    "component",
    "specimen",
    "method",
    "has_member",
    "related",
    "implicit_rules",
    "contained",
)
"""Elements that a plain result does not have: who has one of them has to be read in full."""


class ResultMeta(Element):
    """Version of a result; tags are only there to be seen."""

    version_id: str | None = None
    last_updated: str | None = None
    tag: msgspec.Raw = ABSENT


class Result(msgspec.Struct, rename="camel", gc=False, tag_field="resourceType", tag="Observation"):
    """An Observation with a quantity and a time of day.

    Where these two are there, no other value[x] and effective[x] can be. What laboratories repeat stays
    as the bytes that were sent, by which its meaning is remembered.
    """

    id: str | None = None
    meta: ResultMeta | None = None
    status: str | None = None
    code: msgspec.Raw = ABSENT
    subject: Reference | None = None
    effective_date_time: str | None = None
    value_quantity: msgspec.Raw = ABSENT
    performer: msgspec.Raw = ABSENT
    encounter: Reference | None = None
    reference_range: msgspec.Raw = ABSENT


def _decoder(observation: Any) -> msgspec.json.Decoder[Any]:
    """Return a decoder of Observations of one kind; of every other type only its name is read."""
    others = (
        msgspec.defstruct(kind.__name__, [], tag_field="resourceType", tag=kind.__name__, gc=False)
        for kind in get_args(AnyResource)
        if kind is not Observation
    )
    return msgspec.json.Decoder(Union[(observation, *others)])


def _with_rare(name: str, kind: Any, default: Any) -> Any:
    fields = [(element, kind, default) for element in RARE]
    options: dict[str, Any] = {"tag_field": "resourceType", "tag": "Observation"}
    return msgspec.defstruct(name, fields, bases=(Result,), rename="camel", gc=False, **options)


Plain = _with_rare("Plain", None, None)
"""A Result that cannot have a rare element: a text with one in it is no text of these."""
Mixed = _with_rare("Mixed", msgspec.Raw, ABSENT)

_decoders = (_decoder(Plain), _decoder(Mixed))


def decode_results(text: bytes, count: int) -> list[Any] | None:
    """Return what a text of so many lines holds; None when one of them is no resource of a known type."""
    for decoder in _decoders:
        try:
            found: list[Any] = decoder.decode_lines(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        return found if len(found) == count else None
    return None
