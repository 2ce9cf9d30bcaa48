"""AdverseEvent: one event."""

import re

from fhiradapter.fhir.backbones import Causality, SuspectEntity
from fhiradapter.fhir.datatypes import CodeableConcept, Extension
from fhiradapter.fhir.elements import AdverseEvent
from fhiradapter.mappers.codes import concept_text, display_of, first_code
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import subject_of
from fhiradapter.mappers.moments import columns, moment, span
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, Unusable, row
from fhiradapter.mappers.severity import severity_of
from fhiradapter.reasons import Reason

RULE = "adverse_event/1"
USED = frozenset({"in-progress", "completed"})
NOT_EVENTS = frozenset({"unknown"})
POTENTIAL = frozenset({"potential", "PAE"})  # STU3 says it as a category
ACTUAL = frozenset({"actual", "AE"})
GRADE_EXTENSIONS = frozenset(
    {
        "http://hl7.org/fhir/uv/ae-research-ig/StructureDefinition/ae-grade",
        "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/ae-grade",
        "http://hl7.org/fhir/us/ctcae/StructureDefinition/ctcae-grade",
    }
)
GRADE = re.compile(r"(?:grade[-_ ]?)?([1-5])\Z", re.IGNORECASE)
# WHO-UMC categories, which R4 uses, and the words of R5 and of trial practice.
RELATED = frozenset(
    {
        "certain",
        "definite",
        "definitely related",
        "possible",
        "possibly related",
        "possibly-related",
        "probable",
        "probably related",
        "probably-likely",
        "related",
        "yes",
    }
)
UNRELATED = frozenset(
    {
        "no",
        "not related",
        "not-related",
        "unlikely",
        "unlikely related",
        "unlikely-related",
        "unrelated",
    }
)


def map_adverse_event(event: AdverseEvent, context: Context) -> Mapped:
    """Return the event of an AdverseEvent; one that could have happened and did not is none."""
    status = usable_status(event.status, USED, NOT_EVENTS, "AdverseEvent.status", required=False)
    _must_be_actual(event)
    notes: list[Note] = []
    subject = subject_of(event.subject, event, context, "AdverseEvent.subject", notes)
    what = event.event or event.code or event.type
    coded = context.codes.read(what, "AdverseEvent.event", notes)
    when = span(
        event.date or event.occurrence_date_time,
        event.occurrence_period,
        event.occurrence_timing,
        context,
        "AdverseEvent.date",
        notes,
    )
    grade = _grade(event.extension)
    causality, related = _causality(event.suspect_entity or [])
    values: dict[str, object] = {
        "kind": "adverse_event",
        "concept": coded.concept,
        "status": status or "actual",
        "term": display_of(what) or event.description or coded.source_code,
        "system_organ_class": _category(event),
        **columns("started", when.start),
        **columns("ended", when.end),
        "severity": severity_of(event.severity),
        "grade": grade,
        "grade_system": "CTCAE" if grade is not None else None,
        "serious": _serious(event.seriousness),
        "seriousness_criteria": concept_text(event.seriousness),
        "causality": causality,
        "related": related,
        "outcome": _outcome(event),
        "recorded_on": moment(event.recorded_date, context, "AdverseEvent.recordedDate", notes).day,
        "source_code": coded.source_code,
        "source_display": coded.source_display,
    }
    return Mapped(subject, [row("events", **values)], notes)


def _must_be_actual(event: AdverseEvent) -> None:
    sent = event.actuality or (event.category if isinstance(event.category, str) else None)
    if sent is None:
        return
    actuality = sent.strip()
    if actuality in POTENTIAL:
        raise Unusable(Reason.NOT_ACTUAL, "AdverseEvent.actuality")
    if actuality not in ACTUAL:
        raise Unusable(Reason.UNKNOWN_CODE, "AdverseEvent.actuality")


def _grade(extensions: list[Extension] | None) -> int | None:
    for extension in extensions or ():
        if extension.url in GRADE_EXTENSIONS and extension.value_codeable_concept is not None:
            sent = extension.value_codeable_concept
            for text in (first_code(sent), display_of(sent)):
                if text and (match := GRADE.match(text.strip())):
                    return int(match[1])
    return None


def _serious(sent: CodeableConcept | None) -> bool | None:
    """Serious is a matter of outcome, severe one of intensity; neither is read from the other."""
    code = (first_code(sent) or display_of(sent) or "").casefold().replace("_", "-")
    if code.startswith(("non-serious", "nonserious", "not serious")):
        return False
    return True if code.startswith("serious") else None


def _causality(entities: list[SuspectEntity]) -> tuple[str | None, bool | None]:
    """Return the first relation that was sent, and whether any suspect is at least possibly the cause."""
    sent: list[str] = []
    words: list[str] = []
    for entity in entities:
        shapes = entity.causality if isinstance(entity.causality, list) else [entity.causality]
        for shape in shapes:
            if isinstance(shape, str):
                sent.append(shape)
                words.append(shape)
            elif isinstance(shape, Causality):
                for concept in (shape.entity_relatedness, shape.assessment, shape.assessment_method):
                    sent += [text] if (text := concept_text(concept)) else []
                    words += [word for word in (first_code(concept), display_of(concept)) if word]
                if shape.product_relatedness:
                    sent.append(shape.product_relatedness)
                    words.append(shape.product_relatedness)
        if entity.causality_assessment is not None:
            sent += [text] if (text := concept_text(entity.causality_assessment)) else []
            words += [
                first_code(entity.causality_assessment) or "",
                display_of(entity.causality_assessment) or "",
            ]
    folded = {word.strip().casefold() for word in words}
    related = True if folded & RELATED else (False if folded & UNRELATED else None)
    return (sent[0] if sent else None), related


def _category(event: AdverseEvent) -> str | None:
    """Return the category, which STU3 uses for something else."""
    return display_of(event.category[0]) if isinstance(event.category, list) and event.category else None


def _outcome(event: AdverseEvent) -> str | None:
    sent = event.outcome[0] if isinstance(event.outcome, list) and event.outcome else event.outcome
    return first_code(sent) or display_of(sent) if isinstance(sent, CodeableConcept) else None
