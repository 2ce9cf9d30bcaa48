"""The registry of mappers: which resource types are read, and by what."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhiradapter.fhir.elements import Medication, Specimen
from fhiradapter.mappers import (
    adverse_event,
    condition,
    encounter,
    medication_administration,
    observation,
    patient,
    questionnaire_response,
    research_subject,
)
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import product
from fhiradapter.mappers.observation import usable_status
from fhiradapter.mappers.outcome import NAMELESS, Mapped, Note, Unusable
from fhiradapter.mappers.patient import learn_patient
from fhiradapter.reasons import Reason

LOOKED_UP = frozenset({"active", "inactive", "available", "unavailable", "unsatisfactory"})
NOTHING: frozenset[str] = frozenset()
OLDEST = (-(2**63), 0)


class Mapper(NamedTuple):
    """How one resource type is mapped; `learn` remembers what other resources ask of it."""

    map: Callable[[Any, Context], Mapped]
    rule: str
    learn: Callable[[Any, Context], None] | None = None


def _map_lookup(resource: Medication | Specimen, _: Context) -> Mapped:
    """Return no rows: a look-up has none of its own."""
    if not resource.id or resource.id.startswith(NAMELESS):
        raise Unusable(Reason.MISSING_ELEMENT, f"{type(resource).__name__}.id")
    usable_status(resource.status, LOOKED_UP, NOTHING, f"{type(resource).__name__}.status", required=False)
    return Mapped(None, [], [])


def _learn_medication(medication: Medication, context: Context) -> None:
    if medication.id and context.lookups.is_newest("Medication", medication.id, _rank(medication, context)):
        notes: list[Note] = []
        context.lookups.medications[medication.id] = product(medication, context, "Medication.code", notes)


def _learn_specimen(specimen: Specimen, context: Context) -> None:
    if specimen.id and context.lookups.is_newest("Specimen", specimen.id, _rank(specimen, context)):
        context.lookups.specimens[specimen.id] = context.codes.matrix(specimen.type)


def _rank(resource: Medication | Specimen, context: Context) -> tuple[int, int]:
    """Return what tells a newer version from an older one, as settlement does for rows."""
    meta = resource.meta
    if meta is None:
        return OLDEST
    updated = context.dates.read(meta.last_updated).at
    number = meta.version_id or ""
    return (OLDEST[0] if updated is None else updated, int(number) if number.isdecimal() else 0)


# In the order in which sources are best read: what others refer to comes first.
MAPPERS: dict[str, Mapper] = {
    "Patient": Mapper(patient.map_patient, patient.RULE, learn_patient),
    "Medication": Mapper(_map_lookup, "medication/1", _learn_medication),
    "Specimen": Mapper(_map_lookup, "specimen/1", _learn_specimen),
    "ResearchSubject": Mapper(research_subject.map_research_subject, research_subject.RULE),
    "Encounter": Mapper(encounter.map_encounter, encounter.RULE),
    "Condition": Mapper(condition.map_condition, condition.RULE),
    "MedicationAdministration": Mapper(
        medication_administration.map_medication_administration, medication_administration.RULE
    ),
    "AdverseEvent": Mapper(adverse_event.map_adverse_event, adverse_event.RULE),
    "QuestionnaireResponse": Mapper(
        questionnaire_response.map_questionnaire_response, questionnaire_response.RULE
    ),
    "Observation": Mapper(observation.map_observation, observation.RULE),
}
