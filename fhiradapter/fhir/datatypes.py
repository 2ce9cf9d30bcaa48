"""FHIR data types, reduced to the elements that the mappers read.

A wrong JSON type anywhere in them is a decoding error with its path. Numbers stay as the bytes that were
sent, because `1.10` says more than 1.1 and a binary float says something else.
"""

import msgspec

ABSENT = msgspec.Raw()  # what stands for a number that was not sent


class Element(msgspec.Struct, rename="camel", gc=False):
    """Part of a resource; elements that are not named here are skipped by the decoder."""


class Extension(Element):
    """An extension, by its URL, with the kinds of value that the mappers look for."""

    url: str | None = None
    value_code: str | None = None
    value_string: str | None = None
    value_decimal: msgspec.Raw = ABSENT
    value_integer: msgspec.Raw = ABSENT
    value_codeable_concept: "CodeableConcept | None" = None
    value_coding: "Coding | None" = None


class Extended(Element):
    """The extensions of a primitive, as `_name` beside it."""

    extension: list[Extension] | None = None


class Coding(Element):
    """One system's symbol for a meaning."""

    system: str | None = None
    code: str | None = None
    display: str | None = None
    user_selected: bool | None = None
    extension: list[Extension] | None = None


class CodeableConcept(Element):
    """A meaning, as codes, as text, or both."""

    coding: list[Coding] | None = None
    text: str | None = None
    extension: list[Extension] | None = None


class Identifier(Element):
    """A name that somebody gave to a person or thing."""

    system: str | None = None
    value: str | None = None
    use: str | None = None


class Reference(Element):
    """A pointer to another resource."""

    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class CodeableReference(Element):
    """R5: a meaning, or a pointer to a resource that has it."""

    concept: CodeableConcept | None = None
    reference: Reference | None = None


class Quantity(Element):
    """A number with its unit."""

    value: msgspec.Raw = ABSENT
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None
    extension: list[Extension] | None = None
    absent_value: Extended | None = msgspec.field(default=None, name="_value")


class Period(Element):
    """A time with a start, an end, or both."""

    start: str | None = None
    end: str | None = None


class TimingRepeat(Element):
    """The rule of a repeated time; only its bounds are read."""

    bounds_period: Period | None = None


class Timing(Element):
    """A repeated time."""

    event: list[str] | None = None
    repeat: TimingRepeat | None = None


class Range(Element):
    """A value between two others."""

    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(Element):
    """One quantity over another, such as a titre of 1:128."""

    numerator: Quantity | None = None
    denominator: Quantity | None = None


class SampledData(Element):
    """A series of numbers from a device; kept as text."""

    origin: Quantity | None = None
    period: msgspec.Raw = ABSENT
    factor: msgspec.Raw = ABSENT
    dimensions: msgspec.Raw = ABSENT
    data: str | None = None


class ReferenceRange(Element):
    """Limits of normal; `type` and `applies_to` tell whose normal."""

    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    applies_to: list[CodeableConcept] | None = None
    text: str | None = None


class Meta(Element):
    """Version of a resource."""

    version_id: str | None = None
    last_updated: str | None = None
    tag: list[Coding] | None = None
