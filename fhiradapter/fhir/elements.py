"""FHIR resources, reduced to the elements that the mappers read: R4, R4B, R5 and STU3 in one shape each.

Where a version renamed an element both names stand side by side; where it changed a type, the type is a
union.
"""

import msgspec

from fhiradapter.fhir.backbones import (
    Batch,
    Item,
    ObservationRelated,
    Package,
    PatientLink,
    Progress,
    SuspectEntity,
)
from fhiradapter.fhir.datatypes import (
    ABSENT,
    CodeableConcept,
    CodeableReference,
    Coding,
    Element,
    Extended,
    Extension,
    Identifier,
    Meta,
    Period,
    Quantity,
    Range,
    Ratio,
    Reference,
    SampledData,
    Timing,
)


class Resource(msgspec.Struct, rename="camel", gc=False):
    """What every resource has; the classes that can be read have their type as the tag."""

    id: str | None = None
    meta: Meta | None = None
    implicit_rules: str | None = None
    contained: list[msgspec.Raw] | None = None
    extension: list[Extension] | None = None
    modifier_extension: list[Extension] | None = None


class Patient(Resource, tag_field="resourceType", tag="Patient"):
    """A person."""

    active: bool | None = None
    identifier: list[Identifier] | None = None
    gender: str | None = None
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None
    link: list[PatientLink] | None = None


class Measured(Resource):
    """What an Observation and its components share: a code, a value or why there is none, limits."""

    # Results repeat these from each other word for word, so their bytes are the key to what they mean.
    code: msgspec.Raw = ABSENT
    reference_range: msgspec.Raw = ABSENT
    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: msgspec.Raw = ABSENT
    value_decimal: msgspec.Raw = ABSENT
    value_range: Range | None = None
    value_ratio: Ratio | None = None
    value_sampled_data: SampledData | None = None
    value_time: str | None = None
    value_date: str | None = None
    value_date_time: str | None = None
    value_period: Period | None = None
    value_coding: Coding | None = None
    value_uri: str | None = None
    value_reference: Reference | None = None
    value_attachment: msgspec.Raw = ABSENT
    data_absent_reason: CodeableConcept | None = None
    absent_string: Extended | None = msgspec.field(default=None, name="_valueString")
    absent_integer: Extended | None = msgspec.field(default=None, name="_valueInteger")
    absent_boolean: Extended | None = msgspec.field(default=None, name="_valueBoolean")
    absent_date_time: Extended | None = msgspec.field(default=None, name="_valueDateTime")


class ObservationComponent(Measured):
    """A part of an observation with a code and value of its own."""


class Observation(Measured, tag_field="resourceType", tag="Observation"):
    """A measurement or finding."""

    status: str | None = None
    subject: Reference | None = None
    focus: list[Reference] | None = None
    encounter: Reference | None = None
    context: Reference | None = None  # STU3
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_timing: Timing | None = None
    effective_instant: str | None = None
    performer: msgspec.Raw = ABSENT
    method: CodeableConcept | None = None
    specimen: Reference | None = None
    has_member: list[Reference] | None = None
    related: list[ObservationRelated] | None = None  # STU3
    component: list[ObservationComponent] | None = None
    absent_effective: Extended | None = msgspec.field(default=None, name="_effectiveDateTime")


class Dosage(Element):
    """How much was given, and how."""

    text: str | None = None
    route: CodeableConcept | None = None
    dose: Quantity | None = None
    quantity: Quantity | None = None  # DSTU2 servers that call themselves STU3
    rate_quantity: Quantity | None = None
    rate_simple_quantity: Quantity | None = None
    rate_ratio: Ratio | None = None


class MedicationAdministration(Resource, tag_field="resourceType", tag="MedicationAdministration"):
    """A medication given, or not given, to a person."""

    status: str | None = None
    status_reason: list[CodeableConcept] | None = None
    not_given: bool | None = None  # STU3
    was_not_given: bool | None = None  # DSTU2, from servers that call themselves STU3
    reason_not_given: list[CodeableConcept] | None = None  # STU3
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    medication: CodeableReference | None = None  # R5
    subject: Reference | None = None
    context: Reference | None = None
    encounter: Reference | None = None  # R5
    effective_date_time: str | None = None
    effective_period: Period | None = None
    occurence_date_time: str | None = None  # R5 writes it with one r
    occurence_period: Period | None = None
    occurence_timing: Timing | None = None
    occurrence_date_time: str | None = None  # servers that mend the spelling
    occurrence_period: Period | None = None
    occurrence_timing: Timing | None = None
    request: Reference | None = None
    prescription: Reference | None = None  # STU3
    dosage: Dosage | None = None


class AdverseEvent(Resource, tag_field="resourceType", tag="AdverseEvent"):
    """An unwanted event in a person."""

    status: str | None = None  # R5
    actuality: str | None = None
    category: list[CodeableConcept] | str | None = None
    event: CodeableConcept | None = None
    code: CodeableConcept | None = None  # R5
    type: CodeableConcept | None = None  # STU3
    subject: Reference | None = None
    encounter: Reference | None = None
    date: str | None = None
    occurrence_date_time: str | None = None  # R5
    occurrence_period: Period | None = None
    occurrence_timing: Timing | None = None
    detected: str | None = None
    recorded_date: str | None = None
    seriousness: CodeableConcept | None = None
    severity: CodeableConcept | None = None
    outcome: CodeableConcept | list[CodeableConcept] | None = None
    suspect_entity: list[SuspectEntity] | None = None
    description: str | None = None


class Condition(Resource, tag_field="resourceType", tag="Condition"):
    """A diagnosis or problem."""

    clinical_status: CodeableConcept | str | None = None
    verification_status: CodeableConcept | str | None = None
    severity: CodeableConcept | None = None
    category: list[CodeableConcept] | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    context: Reference | None = None
    onset_date_time: str | None = None
    onset_age: Quantity | None = None
    onset_period: Period | None = None
    onset_range: Range | None = None
    onset_string: str | None = None
    abatement_date_time: str | None = None
    abatement_age: Quantity | None = None
    abatement_period: Period | None = None
    abatement_string: str | None = None
    abatement_boolean: bool | None = None
    recorded_date: str | None = None
    asserted_date: str | None = None


class Encounter(Resource, tag_field="resourceType", tag="Encounter"):
    """A visit or stay."""

    status: str | None = None
    encounter_class: Coding | list[CodeableConcept] | None = msgspec.field(default=None, name="class")
    subject: Reference | None = None
    period: Period | None = None
    actual_period: Period | None = None  # R5


class QuestionnaireResponse(Resource, tag_field="resourceType", tag="QuestionnaireResponse"):
    """Answers to a questionnaire."""

    questionnaire: str | Reference | None = None
    status: str | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    context: Reference | None = None
    authored: str | None = None
    author: Reference | None = None
    source: Reference | None = None
    item: list[Item] | None = None


class ResearchSubject(Resource, tag_field="resourceType", tag="ResearchSubject"):
    """A person in a study."""

    status: str | None = None  # R5: of the record, not of the person
    progress: list[Progress] | None = None  # R5
    period: Period | None = None
    study: Reference | None = None
    individual: Reference | None = None
    subject: Reference | None = None  # R5
    assigned_arm: str | None = None
    actual_arm: str | None = None
    assigned_comparison_group: str | None = None  # R5: id of a group in the ResearchStudy
    actual_comparison_group: str | None = None  # R5


class Medication(Resource, tag_field="resourceType", tag="Medication"):
    """A product, as a look-up for administrations."""

    status: str | None = None
    code: CodeableConcept | None = None
    batch: Batch | None = None
    package: Package | None = None


class Specimen(Resource, tag_field="resourceType", tag="Specimen"):
    """A sample, as a look-up for its matrix."""

    status: str | None = None
    type: CodeableConcept | None = None


AnyResource = (
    Patient
    | Observation
    | MedicationAdministration
    | AdverseEvent
    | Condition
    | Encounter
    | QuestionnaireResponse
    | ResearchSubject
    | Medication
    | Specimen
)


class Header(msgspec.Struct, rename="camel", gc=False):
    """Just enough of any resource to name it."""

    resource_type: str | None = None
    id: str | None = None
    meta: Meta | None = None
