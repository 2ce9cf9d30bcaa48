"""Results: Observations reduced to what a plain laboratory result has, which is faster to decode."""

from typing import Union, get_args

import msgspec

from fhiradapter.fhir.datatypes import ABSENT, Meta, Quantity, Reference
from fhiradapter.fhir.elements import AnyResource, Observation


class Result(msgspec.Struct, rename="camel", gc=False, tag_field="resourceType", tag="Observation"):
    """An Observation with a quantity and a time of day.

    Where these two are there, no other value[x] and effective[x] can be. The elements after
    `reference_range` are here only to be seen: who has one of them has to be read in full.
    """

    id: str | None = None
    meta: Meta | None = None
    status: str | None = None
    code: msgspec.Raw = ABSENT
    subject: Reference | None = None
    effective_date_time: str | None = None
    value_quantity: Quantity | None = None
    performer: msgspec.Raw = ABSENT
    encounter: Reference | None = None
    reference_range: msgspec.Raw = ABSENT
    context: msgspec.Raw = ABSENT
    focus: msgspec.Raw = ABSENT
    component: msgspec.Raw = ABSENT
    specimen: msgspec.Raw = ABSENT
    method: msgspec.Raw = ABSENT
    has_member: msgspec.Raw = ABSENT
    related: msgspec.Raw = ABSENT
    implicit_rules: msgspec.Raw = ABSENT
    contained: msgspec.Raw = ABSENT


# Of every other type only its name is read.
OTHERS = tuple(
    msgspec.defstruct(kind.__name__, [], tag_field="resourceType", tag=kind.__name__, gc=False)
    for kind in get_args(AnyResource)
    if kind is not Observation
)

_decoder = msgspec.json.Decoder(Union[(Result, *OTHERS)])


def decode_results(text: bytes, count: int) -> list[msgspec.Struct] | None:
    """Return what a text of so many lines holds; None when one of them is no resource of a known type."""
    try:
        found: list[msgspec.Struct] = _decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if len(found) == count else None
