"""Values: value[x] of an Observation, a component or an answer, with the reason why there is none."""

import re

from fhiradapter.fhir.datatypes import ABSENT, CodeableConcept, Coding, Extension, Quantity, Range, Ratio
from fhiradapter.fhir.elements import Measured
from fhiradapter.mappers.codes import Coded, concept_text, display_of
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.outcome import Note
from fhiradapter.mappers.quantities import UnitUse, Value, number_text
from fhiradapter.reasons import Reason

SCORES = frozenset({"score", "score_item"})
PLAIN_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?\Z", re.ASCII)
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# Where a code is required, systems send a reason for its absence as the code: R4 and R5, then STU3.
ABSENT_CODES = (
    "http://terminology.hl7.org/CodeSystem/data-absent-reason|",
    "http://hl7.org/fhir/data-absent-reason|",
)
ORDINALS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/ordinalValue",
        "http://hl7.org/fhir/StructureDefinition/itemWeight",  # R5
        "http://hl7.org/fhir/StructureDefinition/iso21090-CO-value",  # before STU3
    }
)


def value_of(holder: Measured, coded: Coded, context: Context, path: str, notes: list[Note]) -> Value:
    """Return the value in the concept's unit, or as text, or why it is absent."""
    quantity = holder.value_quantity
    if quantity is not None:
        use = context.quantities.use(coded, quantity.system, quantity.code, quantity.unit)
        return from_quantity(holder, quantity, use, context, path, notes)
    if holder.value_codeable_concept is not None:
        return from_concept(holder.value_codeable_concept, coded, context, path, notes)
    if holder.value_string is not None:
        return from_string(holder.value_string, coded, context, path, notes)
    return _other(holder, coded, context, path, notes) or Value(absent_reason=_absent_reason(holder))


def from_quantity(
    holder: Measured, quantity: Quantity, use: UnitUse, context: Context, path: str, notes: list[Note]
) -> Value:
    """Return a quantity, or why it has no value."""
    number = context.quantities.read(quantity, use, path, notes)
    if number[5] is None:  # source_value
        return number._replace(absent_reason=_absent_reason(holder) or _absent_number(quantity))
    return number


def from_number(text: str, coded: Coded, context: Context, path: str, notes: list[Note]) -> Value:
    """Return an integer or decimal that came without a unit."""
    return context.quantities.read_number(text, coded, path, notes)


def from_concept(
    concept: CodeableConcept, coded: Coded, context: Context, path: str, notes: list[Note]
) -> Value:
    """Return a coded value; of a score, the number that its ordinal extension gives."""
    text, code = display_of(concept), concept_text(concept)
    absent = _absent_concept(concept, code)
    if absent is not None:
        return Value(value_text=concept.text, absent_reason=absent)
    ordinal = next(
        (found for coding in concept.coding or () if (found := _ordinal(coding.extension, path)) is not None),
        _ordinal(concept.extension, path),
    )
    if ordinal is None or coded.kind not in SCORES:
        if coded.kind in SCORES:
            notes.append(Note(Reason.NOT_A_NUMBER, path))
        return Value(value_text=text, value_concept=code)
    number = context.quantities.read_number(ordinal, coded, path, notes)
    return number._replace(value_text=text, value_concept=code)


def from_coding(coding: Coding, coded: Coded, context: Context, path: str, notes: list[Note]) -> Value:
    """Return the value of one Coding, as questionnaires answer."""
    return from_concept(CodeableConcept(coding=[coding]), coded, context, path, notes)


def from_string(text: str, coded: Coded, context: Context, path: str, notes: list[Note]) -> Value:
    """Return a text; of a score, the number that is all of the text. Of anything else no number is made."""
    trimmed = text.strip()
    if coded.kind in SCORES and trimmed:
        if not PLAIN_NUMBER.match(trimmed):
            notes.append(Note(Reason.NOT_A_NUMBER, path))
            return Value(value_text=text, source_value=text)
        notes.append(Note(Reason.NUMBER_IN_TEXT, path))
        number = context.quantities.read_number(trimmed, coded, path, notes)
        return number._replace(value_text=text)
    return Value(value_text=text, source_value=text)


def _other(holder: Measured, coded: Coded, context: Context, path: str, notes: list[Note]) -> Value | None:
    """Return the rarer kinds of value."""
    for raw in (holder.value_integer, holder.value_decimal):
        if (number := number_text(raw, path)) is not None:
            return from_number(number, coded, context, path, notes)
    if holder.value_boolean is not None:
        word = "true" if holder.value_boolean else "false"
        return Value(value_text=word, source_value=word)
    if holder.value_coding is not None:
        return from_coding(holder.value_coding, coded, context, path, notes)
    text = _text_of(holder, path)
    return Value(value_text=text, source_value=text) if text is not None else None


def _text_of(holder: Measured, path: str) -> str | None:
    """Return values that are no single number as text, in a form that reads back."""
    for text in (holder.value_time, holder.value_date, holder.value_date_time, holder.value_uri):
        if text is not None:
            return text
    if holder.value_range is not None:
        return _range_text(holder.value_range, path)
    if holder.value_ratio is not None:
        return _ratio_text(holder.value_ratio, path)
    if holder.value_period is not None:
        return f"{holder.value_period.start or '..'}/{holder.value_period.end or '..'}"
    if holder.value_sampled_data is not None:
        return holder.value_sampled_data.data or ""
    if holder.value_reference is not None:
        return holder.value_reference.reference or holder.value_reference.display or ""
    return "attachment" if holder.value_attachment is not ABSENT else None


def quantity_text(quantity: Quantity | None, path: str) -> str:
    """Return a quantity as it was sent: comparator, number, unit."""
    if quantity is None:
        return ""
    number = number_text(quantity.value, path) or ""
    return f"{quantity.comparator or ''}{number} {quantity.unit or quantity.code or ''}".strip()


def _range_text(sent: Range, path: str) -> str:
    return f"{quantity_text(sent.low, path)} - {quantity_text(sent.high, path)}".strip()


def _ratio_text(sent: Ratio, path: str) -> str:
    return f"{quantity_text(sent.numerator, path)} / {quantity_text(sent.denominator, path)}"


def _ordinal(extensions: list[Extension] | None, path: str) -> str | None:
    for extension in extensions or ():
        if extension.url in ORDINALS:
            return number_text(extension.value_decimal, path) or number_text(extension.value_integer, path)
    return None


def _absent_reason(holder: Measured) -> str | None:
    if holder.data_absent_reason is not None:
        return concept_text(holder.data_absent_reason)
    for primitive in (
        holder.absent_string,
        holder.absent_integer,
        holder.absent_boolean,
        holder.absent_date_time,
    ):
        if primitive is not None and (code := _absent_code(primitive.extension)):
            return code
    return None


def _absent_concept(concept: CodeableConcept, code: str | None) -> str | None:
    """Return why a coded value is none: coded as such, or said by an extension in place of a code."""
    if code is None:
        places = [concept.extension, *(coding.extension for coding in concept.coding or ())]
        return next((found for place in places if (found := _absent_code(place))), None)
    return code if code.startswith(ABSENT_CODES) else None


def _absent_number(quantity: Quantity) -> str | None:
    """Return why a Quantity has no value, as an extension of it or of its value."""
    value = quantity.absent_value
    return _absent_code(quantity.extension) or (_absent_code(value.extension) if value is not None else None)


def _absent_code(extensions: list[Extension] | None) -> str | None:
    return next(
        (extension.value_code for extension in extensions or () if extension.url == DATA_ABSENT), None
    )
