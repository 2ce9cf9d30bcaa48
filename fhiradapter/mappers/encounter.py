"""Encounter: one visit or stay."""

from fhiradapter.fhir.datatypes import Coding
from fhiradapter.fhir.elements import Encounter
from fhiradapter.mappers.codes import first_code
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import subject_of
from fhiradapter.mappers.moments import columns, span
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import Mapped, Note, row

RULE = "encounter/1"
USED = frozenset(
    {
        "planned",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "finished",
        "on-hold",  # R5
        "discharged",  # R5
        "completed",  # R5
    }
)
IN_R4_TERMS = {"completed": "finished"}  # R5 renamed the end of a visit
NOT_VISITS = frozenset({"cancelled", "unknown", "discontinued"})


def map_encounter(encounter: Encounter, context: Context) -> Mapped:
    """Return the encounter of an Encounter."""
    status = usable_status(encounter.status, USED, NOT_VISITS, "Encounter.status")
    notes: list[Note] = []
    subject = subject_of(encounter.subject, encounter, context, "Encounter.subject", notes)
    values: dict[str, object] = {
        "encounter_id": encounter.id,
        "encounter_class": _class(encounter),
        "status": IN_R4_TERMS.get(status or "", status),
    }
    when = span(None, encounter.period or encounter.actual_period, None, context, "Encounter.period", notes)
    values |= columns("started", when.start) | columns("ended", when.end)
    return Mapped(subject, [row("encounters", **values)], notes)


def _class(encounter: Encounter) -> str | None:
    sent = encounter.encounter_class
    if isinstance(sent, Coding):
        return sent.code.strip() if sent.code else None
    return first_code(sent[0]) if sent else None
