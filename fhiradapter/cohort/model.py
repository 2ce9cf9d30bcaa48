"""The cohort's tables, each declared once as a pydantic model."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = str | None
Number = float | None
Instant = datetime | None
Day = date | None


class Precision(StrEnum):
    """How much of a date was given; an instant is the earliest moment that fits the text."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    SECOND = "second"


class Row(BaseModel):
    """What every table has: the row's own name and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_id: Annotated[
        str, Field(description="Name of this row: source, resource type, id and, for a part, its path")
    ]
    subject_id: Annotated[
        Text, Field(description="The person, as the id of the Patient resource that survives merges")
    ]
    source: Annotated[str, Field(description="Name of the source in the study file")]
    source_file: Annotated[
        Text, Field(description="File that the resource was read from, relative to the input")
    ]
    source_line: Annotated[
        int | None, Field(description="Line in that file, or entry in that Bundle, counted from 1")
    ]
    resource_type: Annotated[str, Field(description="FHIR resource type")]
    resource_id: Annotated[Text, Field(description="FHIR id as sent")]
    version_id: Annotated[Text, Field(description="meta.versionId as sent")]
    last_updated: Annotated[Instant, Field(description="meta.lastUpdated in UTC")]
    rule: Annotated[str, Field(description="Mapping rule that made the row")]
    run_id: Annotated[str, Field(description="Run that made the row")]


class Subject(Row):
    """One person."""

    sex: Annotated[Text, Field(description="Patient.gender: male, female, other, unknown")]
    birth_at: Annotated[Instant, Field(description="Earliest moment that fits the birth date")]
    birth_precision: Annotated[Text, Field(description="How much of the birth date was given")]
    birth_on: Annotated[Day, Field(description="Birth date when given to the day")]
    birth_text: Annotated[Text, Field(description="Birth date as sent")]
    deceased: Annotated[
        bool | None, Field(description="True when the source says so; null when it says nothing")
    ]
    death_at: Annotated[Instant, Field(description="Earliest moment that fits the date of death")]
    death_precision: Annotated[Text, Field(description="How much of the date of death was given")]
    death_on: Annotated[Day, Field(description="Local day of death")]
    death_text: Annotated[Text, Field(description="Date of death as sent")]
    identifiers: Annotated[Text, Field(description="Identifiers as 'system|value', separated by a blank")]
    replaced_by: Annotated[Text, Field(description="The Patient that this one was merged into")]


class Exposure(Row):
    """One administration of a medication, given or not."""

    concept: Annotated[Text, Field(description="Product or medication as a concept of the definitions")]
    status: Annotated[Text, Field(description="MedicationAdministration.status in R4 terms")]
    started_at: Annotated[Instant, Field(description="Start, earliest moment that fits")]
    started_precision: Annotated[Text, Field(description="How much of the start was given")]
    started_on: Annotated[Day, Field(description="Local day of the start")]
    started_text: Annotated[Text, Field(description="Start as sent")]
    ended_at: Annotated[Instant, Field(description="End, earliest moment that fits")]
    ended_precision: Annotated[Text, Field(description="How much of the end was given")]
    ended_on: Annotated[Day, Field(description="Local day of the end")]
    ended_text: Annotated[Text, Field(description="End as sent")]
    dose_value: Annotated[Number, Field(description="Dose as sent")]
    dose_unit: Annotated[
        Text, Field(description="Unit of the dose: UCUM code where sent, else the unit's text")
    ]
    dose_text: Annotated[Text, Field(description="Dose value as sent, to the digit")]
    dose_cells: Annotated[Number, Field(description="Dose in cells", json_schema_extra={"unit": "{cells}"})]
    dose_cells_per_kg: Annotated[
        Number, Field(description="Dose in cells per kilogram", json_schema_extra={"unit": "{cells}/kg"})
    ]
    route: Annotated[Text, Field(description="Route as a concept, else 'system|code' or text")]
    rate_value: Annotated[Number, Field(description="Rate as sent")]
    rate_unit: Annotated[Text, Field(description="Unit of the rate")]
    batch: Annotated[Text, Field(description="Lot number of the product")]
    encounter_id: Annotated[Text, Field(description="Encounter in which it was given")]
    status_reason: Annotated[
        Text, Field(description="Reason for not giving or for stopping, as 'system|code' or text")
    ]
    planned: Annotated[Text, Field(description="The MedicationRequest that it carries out")]
    interrupted: Annotated[bool, Field(description="True when it was stopped before its end")]
    source_code: Annotated[Text, Field(description="Medication as sent: 'system|code', else text")]
    source_display: Annotated[Text, Field(description="Display or text of the medication as sent")]


class Measurement(Row):
    """One measured value."""

    concept: Annotated[
        Text, Field(description="What was measured as a concept of the definitions; null when unmapped")
    ]
    kind: Annotated[
        Text, Field(description="Kind of the concept: score, score_item, lab, vital, biomarker, ...")
    ]
    source_code: Annotated[Text, Field(description="Code as sent: 'system|code', else text")]
    source_display: Annotated[Text, Field(description="Display or text of the code as sent")]
    status: Annotated[Text, Field(description="Observation.status or QuestionnaireResponse.status")]
    measured_at: Annotated[Instant, Field(description="When it was measured, earliest moment that fits")]
    measured_precision: Annotated[Text, Field(description="How much of the time was given")]
    measured_on: Annotated[Day, Field(description="Local day of the measurement")]
    measured_text: Annotated[Text, Field(description="Time as sent")]
    measured_end_at: Annotated[Instant, Field(description="End of the period measured, where one was given")]
    value: Annotated[Number, Field(description="Value in the concept's canonical unit")]
    unit: Annotated[Text, Field(description="Unit of `value` as a UCUM code")]
    comparator: Annotated[
        Text, Field(description="<, <=, >=, > or ad; the value is a bound and not a number")
    ]
    value_text: Annotated[
        Text, Field(description="Value that is not a number, or the display of a coded one")
    ]
    value_concept: Annotated[Text, Field(description="Coded value as 'system|code'")]
    source_value: Annotated[Text, Field(description="Value as sent, to the digit")]
    source_unit: Annotated[Text, Field(description="Unit as sent: UCUM code, else the unit's text")]
    absent_reason: Annotated[Text, Field(description="dataAbsentReason: why there is no value")]
    range_low: Annotated[Number, Field(description="Lower limit of normal in the canonical unit")]
    range_high: Annotated[Number, Field(description="Upper limit of normal in the canonical unit")]
    specimen: Annotated[
        Text, Field(description="Matrix: serum, plasma, csf, whole_blood, or 'system|code' as sent")
    ]
    method: Annotated[Text, Field(description="Method as 'system|code' or text")]
    performer: Annotated[Text, Field(description="Who measured, as a reference; the rater of a score")]
    encounter_id: Annotated[Text, Field(description="Encounter in which it was measured")]
    parent_id: Annotated[
        Text, Field(description="row_id of the panel or questionnaire that it is a member of")
    ]


class Event(Row):
    """An adverse event, a condition, a death or an enrolment in a study."""

    kind: Annotated[str, Field(description="adverse_event, condition, death or enrolment")]
    concept: Annotated[Text, Field(description="Event as a concept of the definitions")]
    status: Annotated[
        Text,
        Field(description="actuality, clinicalStatus or verificationStatus in force; state of an enrolment"),
    ]
    term: Annotated[
        Text,
        Field(description="Event in words: display of its code, else text; of an enrolment its arm"),
    ]
    system_organ_class: Annotated[Text, Field(description="Category of the event as sent, else null")]
    started_at: Annotated[Instant, Field(description="Start, earliest moment that fits")]
    started_precision: Annotated[Text, Field(description="How much of the start was given")]
    started_on: Annotated[Day, Field(description="Local day of the start")]
    started_text: Annotated[Text, Field(description="Start as sent")]
    ended_at: Annotated[Instant, Field(description="End, earliest moment that fits")]
    ended_precision: Annotated[Text, Field(description="How much of the end was given")]
    ended_on: Annotated[Day, Field(description="Local day of the end")]
    ended_text: Annotated[Text, Field(description="End as sent")]
    severity: Annotated[Text, Field(description="mild, moderate or severe")]
    grade: Annotated[int | None, Field(description="Grade 1-5 as reported")]
    grade_system: Annotated[Text, Field(description="Where the grade comes from: CTCAE, or severity")]
    serious: Annotated[
        bool | None, Field(description="True when the source calls it serious; null when it does not say")
    ]
    seriousness_criteria: Annotated[Text, Field(description="Why it is serious, where the source says")]
    causality: Annotated[Text, Field(description="Relation to the product as sent")]
    related: Annotated[bool | None, Field(description="True when at least possibly related to the product")]
    outcome: Annotated[Text, Field(description="Outcome as a code")]
    action: Annotated[Text, Field(description="Action taken with the product")]
    recorded_on: Annotated[Day, Field(description="Local day on which it was recorded")]
    study: Annotated[
        Text, Field(description="ResearchStudy of an enrolment: 'ResearchStudy/id', URL or 'system|value'")
    ]
    assigned_arm: Annotated[
        Text, Field(description="Arm assigned at enrolment; `term` is the one followed, where told")
    ]
    source_code: Annotated[Text, Field(description="Code as sent: 'system|code', else text")]
    source_display: Annotated[Text, Field(description="Display or text of the code as sent")]


class Encounter(Row):
    """One visit or stay."""

    encounter_id: Annotated[Text, Field(description="Encounter id, as other tables refer to it")]
    encounter_class: Annotated[Text, Field(description="Class code: AMB, IMP, EMER, ...")]
    status: Annotated[Text, Field(description="Encounter.status")]
    started_at: Annotated[Instant, Field(description="Start, earliest moment that fits")]
    started_precision: Annotated[Text, Field(description="How much of the start was given")]
    started_on: Annotated[Day, Field(description="Local day of the start")]
    started_text: Annotated[Text, Field(description="Start as sent")]
    ended_at: Annotated[Instant, Field(description="End, earliest moment that fits")]
    ended_precision: Annotated[Text, Field(description="How much of the end was given")]
    ended_on: Annotated[Day, Field(description="Local day of the end")]
    ended_text: Annotated[Text, Field(description="End as sent")]


class Issue(Row):
    """Something about one resource or value that a person should know."""

    reason: Annotated[str, Field(description="One of the reasons below")]
    path: Annotated[Text, Field(description="Element that it concerns")]
    detail: Annotated[str, Field(description="What is wrong and what to do, without patient content")]
    severity: Annotated[str, Field(description="error, warning or information")]
    disposition: Annotated[str, Field(description="quarantined, ignored or flagged")]


TABLES: dict[str, type[Row]] = {
    "subjects": Subject,
    "exposures": Exposure,
    "measurements": Measurement,
    "events": Event,
    "encounters": Encounter,
    "issues": Issue,
}
