"""Backbone elements: parts that one type of resource has, reduced to what the mappers read."""

import msgspec

from fhiradapter.fhir.datatypes import (
    ABSENT,
    CodeableConcept,
    Coding,
    Element,
    Extended,
    Quantity,
    Reference,
)


class PatientLink(Element):
    """Another record of the same person."""

    other: Reference | None = None
    type: str | None = None


class Progress(Element):
    """R5: a person's state in a study, and since when."""

    subject_state: CodeableConcept | None = None
    start_date: str | None = None


class ObservationRelated(Element):
    """STU3's way to say hasMember and derivedFrom."""

    type: str | None = None
    target: Reference | None = None


class Causality(Element):
    """Whether the product may have caused the event: R4 and R5."""

    assessment: CodeableConcept | None = None  # R4: method; the word for the relation varies by site
    assessment_method: CodeableConcept | None = None
    product_relatedness: str | None = None
    entity_relatedness: CodeableConcept | None = None  # R5


class SuspectEntity(Element):
    """A product that may have caused the event."""

    instance: Reference | None = None
    instance_reference: Reference | None = None
    instance_codeable_concept: CodeableConcept | None = None
    causality: Causality | list[Causality] | str | None = None
    causality_assessment: CodeableConcept | None = None  # STU3


class Answer(Element):
    """One answer, with the questions that it opens."""

    value_boolean: bool | None = None
    value_decimal: msgspec.Raw = ABSENT
    value_integer: msgspec.Raw = ABSENT
    value_date: str | None = None
    value_date_time: str | None = None
    value_time: str | None = None
    value_string: str | None = None
    value_uri: str | None = None
    value_coding: Coding | None = None
    value_quantity: Quantity | None = None
    value_reference: Reference | None = None
    value_attachment: msgspec.Raw = ABSENT
    absent_string: Extended | None = msgspec.field(default=None, name="_valueString")
    absent_integer: Extended | None = msgspec.field(default=None, name="_valueInteger")
    absent_decimal: Extended | None = msgspec.field(default=None, name="_valueDecimal")
    absent_boolean: Extended | None = msgspec.field(default=None, name="_valueBoolean")
    item: "list[Item] | None" = None


class Item(Element):
    """A question with its answers, or a group of questions."""

    link_id: str | None = None
    definition: str | None = None
    text: str | None = None
    answer: list[Answer] | None = None
    item: "list[Item] | None" = None


class Batch(Element):
    """A lot of a medication."""

    lot_number: str | None = None


class Package(Element):
    """STU3: where the lot is."""

    batch: list[Batch] | None = None
