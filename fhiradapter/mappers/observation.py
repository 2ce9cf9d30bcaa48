"""Observation: one measurement for itself and one for each of its components."""

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.fhir.dates import Moment
from fhiradapter.fhir.elements import Measured, Observation
from fhiradapter.fhir.references import reference_text
from fhiradapter.mappers.codes import Coded, concept_text
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import encounter_of, matrix_of, own_name, resolve, subject_of
from fhiradapter.mappers.moments import moment, span
from fhiradapter.mappers.outcome import Mapped, Note, TableRow, Unusable
from fhiradapter.mappers.quantities import NO_LIMITS, Limits, Value
from fhiradapter.mappers.values import from_quantity, value_of
from fhiradapter.reasons import MEANINGS, QUARANTINED, Reason

RULE = "observation/1"
new_tuple = tuple.__new__  # half the cost of a NamedTuple's own constructor, in the busiest function there is
USED = frozenset({"final", "amended", "corrected", "appended", "registered", "preliminary"})
NOT_RESULTS = frozenset({"cancelled", "unknown", "cannot-be-obtained"})
OWN = ("Observation.value[x]", "Observation.referenceRange")
NO_MEMBERS: tuple[str, ...] = ()
MEMBER_TYPES = frozenset({"Observation", "QuestionnaireResponse"})


def map_observation(observation: Observation, context: Context) -> Mapped:
    """Return the rows of an Observation; raises Unusable when its status or a missing element forbids it."""
    status = observation.status
    if status not in USED:
        status = usable_status(status, USED, NOT_RESULTS, "Observation.status")
    if observation.code is ABSENT:
        raise Unusable(Reason.MISSING_ELEMENT, "Observation.code")
    notes: list[Note] = []
    # Subjects, times, codes and numbers come again and again: each is looked up before it is worked out.
    reference = observation.subject
    subject = context.subjects.get(reference.reference) if reference is not None else None
    if subject is None:
        subject = subject_of(reference, observation, context, "Observation.subject", notes)
    text = observation.effective_date_time
    if text is not None:
        start, ended = moment(text, context, "Observation.effectiveDateTime", notes), None
    else:
        start, ended = _effective(observation, context, notes)
    codes = context.codes
    meaning = codes.known.get(b"" + observation.code)
    if meaning is not None and not meaning[1]:
        coded = meaning[0]
    else:
        coded = codes.read_bytes(observation.code, "Observation.code", notes)
    if observation.focus is not None:
        notes.append(Note(Reason.ABOUT_SOMEBODY_ELSE, "Observation.focus"))
        coded = _without_concept(coded)
    value, limits = _valued(observation, coded, context, OWN, notes)
    shared = _shared(observation, coded, context, notes)
    cells = (*coded, status, *start, ended, *value, *limits, *shared, None)
    rows: list[TableRow] = [("measurements", "", cells)]
    if observation.component is not None:
        rows += _components(observation, (status, *start, ended), shared, context, notes)
    members = NO_MEMBERS
    if observation.has_member is not None or observation.related is not None:
        members = _members(observation, context, notes)
    return new_tuple(Mapped, (subject, rows, notes, members))


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
    rows: list[TableRow] = []
    shared = (*shared, own_name("Observation", observation, context))
    for index, component in enumerate(observation.component or ()):
        path = f"Observation.component[{index}]"
        try:
            if component.code is ABSENT:
                raise Unusable(Reason.MISSING_ELEMENT, f"{path}.code")
            coded = context.codes.read_bytes(component.code, f"{path}.code", notes)
            if observation.focus is not None:
                coded = _without_concept(coded)
            value, limits = _valued(
                component, coded, context, (f"{path}.value[x]", f"{path}.referenceRange"), notes
            )
            cells = (*coded, *measured, *value, *limits, *shared)
            rows.append(("measurements", f"#component-{index + 1}", cells))
        except Unusable as error:
            if MEANINGS[error.note.reason].disposition != QUARANTINED:
                raise
            notes.append(error.note)
    return rows


def _without_concept(coded: Coded) -> Coded:
    """Return a code that maps to nothing: the value is not the subject's own."""
    return coded._replace(concept=None, kind=None)


def _valued(
    holder: Measured, coded: Coded, context: Context, paths: tuple[str, str], notes: list[Note]
) -> tuple[Value, Limits]:
    """Return value and limits of normal, which share the unit; `paths` are those of the two elements.

    Numbers, units and ranges come again and again, so what each means is looked up before it is worked out.
    """
    quantity = holder.value_quantity
    if quantity is None:
        use = None
        value = value_of(holder, coded, context, paths[0], notes)
    else:
        quantities = context.quantities
        use = quantities.uses.get((coded[0], coded[2], quantity.code, quantity.unit, quantity.system))
        if use is None:
            use = quantities.use(coded, quantity.system, quantity.code, quantity.unit)
        known = use.values.get(b"" + quantity.value) if quantity.comparator is None else None
        value = known or from_quantity(holder, quantity, use, context, paths[0], notes)
    ranges = holder.reference_range
    if ranges is ABSENT:
        return value, NO_LIMITS
    limits = use.limits.get(b"" + ranges) if use is not None else None
    return value, limits or context.limits.read(ranges, coded, use, quantity, paths[1])


def _shared(
    observation: Observation, coded: Coded, context: Context, notes: list[Note]
) -> tuple[str | None, str | None, str | None, str | None]:
    """Return specimen, method, performer and encounter, which components share."""
    specimen = method = performer = encounter = None
    if observation.performer is not ABSENT:
        sent = observation.performer
        performer = (
            context.performers.known.get(b"" + sent)
            or context.performers.read(sent, "Observation.performer")
            or None
        )
    place = observation.encounter or observation.context
    if place is not None:
        encounter = context.encounters.get(place.reference)
        if encounter is None:
            encounter = encounter_of(place, observation, context, "Observation.encounter", notes)
    if observation.specimen is not None:
        specimen = _specimen(observation, coded, context, notes)
    if observation.method is not None:
        method = concept_text(observation.method)
    return specimen, method, performer, encounter


def _specimen(observation: Observation, coded: Coded, context: Context, notes: list[Note]) -> str | None:
    """Return the matrix where it makes another series of the concept, else the reference as sent."""
    reference = observation.specimen
    if reference is None:
        return None
    concept = context.catalogue.concepts.get(coded.concept or "")
    if concept is None or concept.specimen_rule != "matrix":
        return reference_text(reference)
    return matrix_of(reference, observation, context, "Observation.specimen", notes)


def _members(observation: Observation, context: Context, notes: list[Note]) -> tuple[str, ...]:
    """Return the members of a panel; STU3 says hasMember as a related Observation of type has-member."""
    references = [*(observation.has_member or ())]
    references += [
        part.target for part in observation.related or () if part.type == "has-member" and part.target
    ]
    links = [
        resolve(reference, observation, context, "Observation.hasMember", notes, expected="Observation")
        for reference in references
    ]
    return tuple(f"{link.type}/{link.id}" for link in links if link is not None and link.type in MEMBER_TYPES)
