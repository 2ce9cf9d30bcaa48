"""Observation: one measurement for itself and one for each of its components."""

from fhiradapter.fhir.datatypes import ReferenceRange
from fhiradapter.fhir.dates import Moment
from fhiradapter.fhir.elements import Measured, Observation
from fhiradapter.mappers.codes import Coded, concept_text, first_code
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import encounter_of, matrix_of, own_name, reference_text, subject_of
from fhiradapter.mappers.moments import moment, span
from fhiradapter.mappers.outcome import Mapped, Note, TableRow, Unusable
from fhiradapter.mappers.values import value_of
from fhiradapter.reasons import MEANINGS, QUARANTINED, Reason

RULE = "observation/1"
USED = frozenset({"final", "amended", "corrected", "appended", "registered", "preliminary"})
NOT_RESULTS = frozenset({"cancelled", "unknown", "cannot-be-obtained"})
VALUE = "Observation.value[x]"
NO_LIMITS = (None, None)
NO_MEMBERS: tuple[str, ...] = ()
MEMBER_TYPES = ("Observation/", "QuestionnaireResponse/")


def map_observation(observation: Observation, context: Context) -> Mapped:
    """Return the rows of an Observation; raises Unusable when its status or a missing element forbids it."""
    status = usable_status(observation.status, USED, NOT_RESULTS, "Observation.status")
    if observation.code is None:
        raise Unusable(Reason.MISSING_ELEMENT, "Observation.code")
    notes: list[Note] = []
    subject = subject_of(observation.subject, observation, context, "Observation.subject", notes)
    start, ended = _effective(observation, context, notes)
    coded = context.codes.read(observation.code, "Observation.code", notes)
    if observation.focus:
        notes.append(Note(Reason.ABOUT_SOMEBODY_ELSE, "Observation.focus"))
        coded = _without_concept(coded)
    shared = (
        _specimen(observation, coded, context, notes),
        concept_text(observation.method) if observation.method is not None else None,
        reference_text(observation.performer[0]) if observation.performer else None,
        encounter_of(
            observation.encounter or observation.context, observation, context, "Observation.encounter", notes
        ),
    )
    measured = (status, *start, ended)
    rows = [_row("", observation, coded, measured, (*shared, None), context, "Observation", notes)]
    if observation.component:
        rows += _components(observation, measured, shared, context, notes)
    members = _members(observation) if observation.has_member or observation.related else NO_MEMBERS
    return Mapped(subject, rows, notes, members)


def usable_status(
    sent: str | None, used: frozenset[str], excluded: frozenset[str], path: str, *, required: bool = True
) -> str | None:
    """Return a status that may be used; a status is a modifier, so one that is not known forbids the use."""
    if sent is None:
        if required:
            raise Unusable(Reason.MISSING_ELEMENT, path)
        return None
    status = sent if sent in used else sent.strip()  # codes with a trailing blank are sent
    if status in used:
        return status
    if status == "entered-in-error":
        raise Unusable(Reason.ENTERED_IN_ERROR, path)
    raise Unusable(Reason.STATUS_EXCLUDED if status in excluded else Reason.UNKNOWN_CODE, path)


def _effective(observation: Observation, context: Context, notes: list[Note]) -> tuple[Moment, int | None]:
    """Return when it was measured; a period counts by its start, and by its end when it has no start.

    `issued` is when the result was released, so it never stands in.
    """
    text = observation.effective_date_time
    if text is not None:
        return moment(text, context, "Observation.effectiveDateTime", notes), None
    found = span(
        observation.effective_instant,
        observation.effective_period,
        observation.effective_timing,
        context,
        "Observation.effective[x]",
        notes,
    )
    return (found.start if found.start.text is not None else found.end), found.end.at


def _components(
    observation: Observation,
    measured: tuple[str | int | None, ...],
    shared: tuple[str | None, ...],
    context: Context,
    notes: list[Note],
) -> list[TableRow]:
    """Return the rows of the components; one that is unusable does not take the others with it."""
    rows = []
    shared = (*shared, own_name("Observation", observation, context))
    for index, component in enumerate(observation.component or ()):
        path = f"Observation.component[{index}]"
        try:
            if component.code is None:
                raise Unusable(Reason.MISSING_ELEMENT, f"{path}.code")
            coded = context.codes.read(component.code, f"{path}.code", notes)
            if observation.focus:
                coded = _without_concept(coded)
            rows.append(
                _row(f"#component-{index + 1}", component, coded, measured, shared, context, path, notes)
            )
        except Unusable as error:
            if MEANINGS[error.note.reason].disposition != QUARANTINED:
                raise
            notes.append(error.note)
    return rows


def _without_concept(coded: Coded) -> Coded:
    """Return a code that maps to nothing: the value is not the subject's own."""
    return coded._replace(concept=None, kind=None)


def _row(
    part: str,
    holder: Measured,
    coded: Coded,
    measured: tuple[str | int | None, ...],
    shared: tuple[str | None, ...],
    context: Context,
    path: str,
    notes: list[Note],
) -> TableRow:
    value = value_of(holder, coded, context, f"{path}.value[x]" if part else VALUE, notes)
    limits = _limits(holder, coded, context, path, notes) if holder.reference_range else NO_LIMITS
    return TableRow("measurements", part, coded + measured + value + limits + shared)


def _limits(
    holder: Measured, coded: Coded, context: Context, path: str, notes: list[Note]
) -> tuple[float | None, float | None]:
    """Return the limits of normal in the concept's unit.

    A range for a group of people (`appliesTo`) is taken only when it is the one range there is.
    """
    ranges = [found for found in holder.reference_range or () if _is_normal(found)]
    if len(ranges) > 1:
        ranges = [found for found in ranges if not found.applies_to]
    if len(ranges) != 1:
        return NO_LIMITS
    chosen = ranges[0]
    sent = holder.value_quantity
    limits: list[float | None] = []
    for quantity in (chosen.low, chosen.high):
        if quantity is None:
            limits.append(None)
            continue
        if quantity.unit is None and quantity.code is None and sent is not None:
            # A limit without a unit is in the unit of the value.
            quantity.unit, quantity.system, quantity.code = sent.unit, sent.system, sent.code
        number = context.quantities.read(
            quantity, coded.concept, coded.source_code, f"{path}.referenceRange", notes, judge=False
        )
        limits.append(number.value)
    return limits[0], limits[1]


def _is_normal(sent: ReferenceRange) -> bool:
    return sent.type is None or first_code(sent.type) == "normal"


def _specimen(observation: Observation, coded: Coded, context: Context, notes: list[Note]) -> str | None:
    """Return the matrix where it makes another series of the concept, else the reference as sent."""
    reference = observation.specimen
    if reference is None:
        return None
    concept = context.catalogue.concepts.get(coded.concept or "")
    if concept is None or concept.specimen_rule != "matrix":
        return reference_text(reference)
    return matrix_of(reference, observation, context, "Observation.specimen", notes)


def _members(observation: Observation) -> tuple[str, ...]:
    """Return the members of a panel; STU3 says hasMember as a related Observation of type has-member."""
    references = [*(observation.has_member or ())]
    references += [
        part.target for part in observation.related or () if part.type == "has-member" and part.target
    ]
    return tuple(
        reference.reference
        for reference in references
        if reference.reference and reference.reference.startswith(MEMBER_TYPES)
    )
