"""Condition: one event of kind condition."""

from fhiradapter.fhir.datatypes import CodeableConcept
from fhiradapter.fhir.dates import NEVER, Moment
from fhiradapter.fhir.elements import Condition
from fhiradapter.mappers.codes import display_of, first_code
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import subject_of
from fhiradapter.mappers.moments import Span, columns, moment, span
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, Unusable, row
from fhiradapter.mappers.severity import severity_of
from fhiradapter.mappers.values import quantity_text
from fhiradapter.reasons import Reason

RULE = "condition/1"
CLINICAL = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved", "unknown"})
VERIFIED = frozenset({"unconfirmed", "provisional", "differential", "confirmed", "unknown"})
# Codes that say that there is nothing; a code alone must not make a problem of them.
NOTHING_KNOWN = frozenset(
    {
        ("http://snomed.info/sct", "160245001"),  # no current problems or disability
        ("http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "no-known-problems"),
        ("http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "no-problem-info"),
    }
)


def map_condition(condition: Condition, context: Context) -> Mapped:
    """Return the event of a Condition; a refuted one and a statement of absence are none."""
    verification = first_code(condition.verification_status)
    if verification == "refuted":
        raise Unusable(Reason.REFUTED, "Condition.verificationStatus")
    verification = usable_status(
        verification, VERIFIED, frozenset(), "Condition.verificationStatus", required=False
    )
    clinical = usable_status(
        first_code(condition.clinical_status),
        CLINICAL,
        frozenset(),
        "Condition.clinicalStatus",
        required=False,
    )
    if _denies(condition.code):
        raise Unusable(Reason.REFUTED, "Condition.code")
    notes: list[Note] = []
    subject = subject_of(condition.subject, condition, context, "Condition.subject", notes)
    coded = context.codes.read(condition.code, "Condition.code", notes)
    values: dict[str, object] = {
        "kind": "condition",
        "concept": coded.concept,
        "status": clinical if verification in (None, "confirmed") else verification,
        "term": display_of(condition.code) or coded.source_code,
        "system_organ_class": display_of(condition.category[0]) if condition.category else None,
        **columns("started", _onset(condition, context, notes)),
        **columns("ended", _abatement(condition, context, notes)),
        "severity": severity_of(condition.severity),
        "recorded_on": moment(
            condition.recorded_date or condition.asserted_date, context, "Condition.recordedDate", notes
        ).day,
        "source_code": coded.source_code,
        "source_display": coded.source_display,
    }
    return Mapped(subject, [row("events", **values)], notes)


def _denies(code: CodeableConcept | None) -> bool:
    codings = (code.coding or ()) if code else ()
    return any((coding.system, coding.code) in NOTHING_KNOWN for coding in codings)


def _onset(condition: Condition, context: Context, notes: list[Note]) -> Moment:
    """Return the onset; an age or a phrase is kept as its text, since it is no date."""
    if condition.onset_age is not None:
        notes.append(Note(Reason.NO_DATE, "Condition.onsetAge"))
        return Moment(text=quantity_text(condition.onset_age, "Condition.onsetAge"))
    if condition.onset_range is not None:
        low, high = condition.onset_range.low, condition.onset_range.high
        notes.append(Note(Reason.NO_DATE, "Condition.onset[x]"))
        ages = (quantity_text(low, "Condition.onsetRange"), quantity_text(high, "Condition.onsetRange"))
        return Moment(text=" - ".join(ages).strip())
    if condition.onset_string is not None:
        notes.append(Note(Reason.NO_DATE, "Condition.onset[x]"))
        return Moment(text=condition.onset_string)
    found = span(
        condition.onset_date_time, condition.onset_period, None, context, "Condition.onset[x]", notes
    )
    return found.start


def _abatement(condition: Condition, context: Context, notes: list[Note]) -> Moment:
    if condition.abatement_age is not None:
        return Moment(text=quantity_text(condition.abatement_age, "Condition.abatementAge"))
    if condition.abatement_date_time is None and condition.abatement_period is None:
        return Moment(text=condition.abatement_string) if condition.abatement_string else NEVER
    found: Span = span(
        condition.abatement_date_time,
        condition.abatement_period,
        None,
        context,
        "Condition.abatement[x]",
        notes,
    )
    return found.end if found.end.text is not None else found.start
