"""QuestionnaireResponse: one measurement for each answered question."""

import re
from collections.abc import Iterator

from fhiradapter.fhir.backbones import Answer, Item
from fhiradapter.fhir.datatypes import Reference
from fhiradapter.fhir.elements import Measured, QuestionnaireResponse
from fhiradapter.fhir.references import reference_text
from fhiradapter.mappers.codes import Coded
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import encounter_of, own_name, subject_of
from fhiradapter.mappers.moments import moment
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, TableRow, Unusable
from fhiradapter.mappers.values import value_of
from fhiradapter.reasons import MEANINGS, QUARANTINED, Reason

RULE = "questionnaire_response/1"
USED = frozenset({"in-progress", "completed", "amended", "stopped"})
LOINC = "http://loinc.org"
LINK_ID = re.compile(r"[\w./|:-]{1,64}\Z", re.ASCII)


def map_questionnaire_response(response: QuestionnaireResponse, context: Context) -> Mapped:
    """Return the answers of a QuestionnaireResponse; `authored` is when they were given."""
    status = usable_status(response.status, USED, frozenset(), "QuestionnaireResponse.status")
    notes: list[Note] = []
    subject = subject_of(response.subject, response, context, "QuestionnaireResponse.subject", notes)
    when = moment(response.authored, context, "QuestionnaireResponse.authored", notes)
    if response.authored is None:
        notes.append(Note(Reason.NO_DATE, "QuestionnaireResponse.authored"))
    sent = response.questionnaire
    questionnaire = (sent.reference if isinstance(sent, Reference) else sent) or ""
    shared = (
        None,  # specimen
        None,  # method
        reference_text(response.author or response.source),
        encounter_of(
            response.encounter or response.context,
            response,
            context,
            "QuestionnaireResponse.encounter",
            notes,
        ),
        own_name("QuestionnaireResponse", response, context),
    )
    rows: list[TableRow] = []
    for item in _questions(response.item):
        if not item.answer:
            continue
        number = len(rows) + 1
        path = f"QuestionnaireResponse.item[linkId={_shown(item.link_id)}]"
        if len(item.answer) > 1:
            notes.append(Note(Reason.SEVERAL_VALUES, path))
        coded = _coded(item, questionnaire.split("|")[0], context)
        try:
            value = value_of(_holder(item.answer[0]), coded, context, path, notes)
        except Unusable as error:
            if MEANINGS[error.note.reason].disposition != QUARANTINED:
                raise
            notes.append(error.note)
            continue
        cells = (*coded, status, *when, None, *value, None, None, *shared)
        rows.append(("measurements", f"#item-{number}", cells))
    return Mapped(subject, rows, notes)


def _questions(items: list[Item] | None) -> Iterator[Item]:
    """Yield every question in reading order: groups nest, and answers open further questions."""
    pending = list(reversed(items or ()))
    while pending:
        item = pending.pop()
        yield item
        nested = [child for answer in item.answer or () for child in answer.item or ()]
        pending.extend(reversed([*(item.item or ()), *nested]))


def _shown(link: str | None) -> str:
    """Return a linkId as paths may show it: a name, not a sentence that somebody wrote into it."""
    return link if link and LINK_ID.match(link) else "?"


def _coded(item: Item, questionnaire: str, context: Context) -> Coded:
    """Return the concept of a question: the site's table first, then a LOINC code as its linkId.

    Form engines write the code alone, as '/82940-8', or as the last step of a path.
    """
    link = item.link_id or ""
    catalogue = context.catalogue
    table = catalogue.questionnaire_items
    name = table.get((questionnaire, link)) or table.get(("", link))
    if name is None:
        definition = (item.definition or "").rsplit("/", 1)[-1].rsplit("#", 1)[-1]
        for code in (link.rsplit("/", 1)[-1], definition):
            name = name or catalogue.codes.get((LOINC, code))
    kind = catalogue.concepts[name].kind if name else None
    return Coded(name, kind, f"{questionnaire}|{link}" if questionnaire else link, item.text)


def _holder(answer: Answer) -> Measured:
    """Return an answer in the shape of a measured value, so that both are read by the same rules."""
    return Measured(
        value_quantity=answer.value_quantity,
        value_coding=answer.value_coding,
        value_string=answer.value_string,
        value_boolean=answer.value_boolean,
        value_integer=answer.value_integer,
        value_decimal=answer.value_decimal,
        value_time=answer.value_time,
        value_date=answer.value_date,
        value_date_time=answer.value_date_time,
        value_uri=answer.value_uri,
        value_reference=answer.value_reference,
        value_attachment=answer.value_attachment,
        absent_string=answer.absent_string,
        absent_integer=answer.absent_integer or answer.absent_decimal,
        absent_boolean=answer.absent_boolean,
    )
