"""Links: from a reference to the id of the resource that it means, within what was read."""

import hashlib
from typing import NamedTuple, TypeVar

from fhiradapter.cohort.settlement import STAND_IN
from fhiradapter.fhir.datatypes import Reference
from fhiradapter.fhir.decoding import Refusal, decode
from fhiradapter.fhir.elements import Medication, Patient, Resource, Specimen
from fhiradapter.fhir.references import Kind, Target, identifier_key, target_of
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.lookups import Product
from fhiradapter.mappers.outcome import Deferred, Note, Unusable
from fhiradapter.mappers.remembered import CAPACITY
from fhiradapter.reasons import Reason

Kinds = TypeVar("Kinds", bound=Resource)
RELATIVE_PATIENT = "Patient/"
RELATIVE_ENCOUNTER = "Encounter/"


class Link(NamedTuple):
    """The type and id that a reference means."""

    type: str | None
    id: str


def subject_of(
    reference: Reference | None, resource: Resource, context: Context, path: str, notes: list[Note]
) -> str:
    """Return the subject_id of the Patient that a resource is about.

    Raises Unusable when it is about nobody, or about a Group, Device or Location.
    """
    plain = plain_subject(reference.reference if reference is not None else None, context)
    if plain is not None:
        return plain
    link = resolve(reference, resource, context, path, notes, expected="Patient")
    if link is None:
        raise Unusable(Reason.NO_SUBJECT, path)
    if link.type not in (None, "Patient"):
        raise Unusable(Reason.NOT_A_PERSON, path)
    return context.subject_prefix + link.id


def resolve(
    reference: Reference | None,
    resource: Resource,
    context: Context,
    path: str,
    notes: list[Note],
    *,
    expected: str | None = None,
) -> Link | None:
    """Return what a reference means, None when it says nothing; an unknown one keeps its text as id."""
    target = target_of(reference)
    if target.kind is Kind.RELATIVE:
        return _within_bundle(target, context) or Link(target.type, target.id or "")
    if target.kind is Kind.ABSOLUTE:
        return _absolute(target, context, path, notes)
    if target.kind is Kind.URN:
        known = context.neighbours.targets.get(target.id or "")
        if known is None:
            notes.append(Note(Reason.ORPHAN_REFERENCE, path))
            return Link(target.type or expected, target.id or "")
        return Link(*known)
    if target.kind is Kind.CONTAINED:
        return _contained(target, resource, context, path, notes)
    if target.kind is Kind.IDENTIFIER:
        return _by_identifier(target.type or expected, target.id or "", context, path, notes)
    if target.kind is Kind.UNKNOWN:
        notes.append(Note(Reason.ORPHAN_REFERENCE, path))
        return Link(target.type or expected, target.id or "")
    return None


def encounter_of(
    reference: Reference | None, resource: Resource, context: Context, path: str, notes: list[Note]
) -> str | None:
    """Return the id of the Encounter; in STU3 a context may also be an EpisodeOfCare, which is none."""
    if reference is None:
        return None
    plain = plain_encounter(reference.reference, context)
    if plain is not None:
        return plain
    link = resolve(reference, resource, context, path, notes, expected="Encounter")
    return link.id if link is not None and link.type in (None, "Encounter") else None


def plain_subject(text: str | None, context: Context) -> str | None:
    """Return the subject of a reference Patient/id, as most servers write it; None for other forms."""
    known = context.subjects.get(text)
    if known is not None:
        return known
    if text is None or text[:8] != RELATIVE_PATIENT or context.neighbours.bases:
        return None
    own = text[8:]
    if not own or "/" in own:
        return None
    return _remember(context.subjects, text, context.subject_prefix + own)


def plain_encounter(text: str | None, context: Context) -> str | None:
    """Return the Encounter of a reference Encounter/id; None for other forms."""
    known = context.encounters.get(text)
    if known is not None:
        return known
    if text is None or text[:10] != RELATIVE_ENCOUNTER or len(text) == len(RELATIVE_ENCOUNTER):
        return None
    own = text[10:]
    return None if "/" in own else _remember(context.encounters, text, own)


def _remember(known: dict[str | None, str], text: str, meaning: str) -> str:
    if len(known) >= CAPACITY:
        known.clear()
    known[text] = meaning
    return meaning


def product_of(
    reference: Reference, resource: Resource, context: Context, path: str, notes: list[Note]
) -> Product | None:
    """Return the Medication that a reference means; asks for another try until everything was read."""
    local = contained(reference, resource, Medication)
    if local is not None:
        return product(local, context, path, notes)
    before = len(notes)
    link = resolve(reference, resource, context, path, notes, expected="Medication")
    if link is None:
        return None
    if not context.final:
        raise Deferred  # also when one is known: a corrected version of it may follow
    known = context.lookups.medications.get(link.id)
    if known is None and len(notes) == before:
        notes.append(Note(Reason.ORPHAN_REFERENCE, path))
    return known


def product(medication: Medication, context: Context, path: str, notes: list[Note]) -> Product:
    """Return a Medication's concept and lot."""
    batch = medication.batch.lot_number if medication.batch else None
    if batch is None and medication.package and medication.package.batch:
        batch = medication.package.batch[0].lot_number
    return Product(context.codes.read(medication.code, path, notes), batch)


def matrix_of(
    reference: Reference, resource: Resource, context: Context, path: str, notes: list[Note]
) -> str | None:
    """Return the matrix of the Specimen that a reference means; asks for another try until all was read."""
    local = contained(reference, resource, Specimen)
    if local is not None:
        return context.codes.matrix(local.type)
    link = resolve(reference, resource, context, path, notes, expected="Specimen")
    if link is None:
        return None
    if not context.final:
        raise Deferred
    if link.id not in context.lookups.specimens:
        notes.append(Note(Reason.ORPHAN_REFERENCE, path))
        return None
    return context.lookups.specimens[link.id]


def contained(reference: Reference, resource: Resource, kind: type[Kinds]) -> Kinds | None:
    """Return the contained resource that `#id` names, when it is of this kind."""
    text = reference.reference
    if not text or not text.startswith("#"):
        return None
    for raw in resource.contained or ():
        part = decode(bytes(raw))
        if isinstance(part, kind) and part.id in (text[1:], text):
            return part
    return None


def _within_bundle(target: Target, context: Context) -> Link | None:
    """Return the entry that a relative reference means; its full URL may have another id."""
    if not context.neighbours.bases:
        return None
    for base in context.neighbours.bases:
        known = context.neighbours.targets.get(f"{base}/{target.type}/{target.id}")
        if known is not None:
            return Link(*known)
    return None


def _absolute(target: Target, context: Context, path: str, notes: list[Note]) -> Link:
    """Return what an absolute URL means: the same base is the same id, and any other base is another server.

    Bases are compared as written. Which one is a source's own says `Home`; the entries of a Bundle have those
    of its full URLs besides. What another server holds is not asked for, and keeps its URL as id, so that
    `https://a.example.org/Patient/9` and `https://b.example.org/Patient/9` stay two people.
    """
    url = f"{target.base}/{target.type}/{target.id}"
    known = context.neighbours.targets.get(url)
    if known is not None:
        return Link(*known)
    base = target.base or ""
    if base not in context.neighbours.bases:
        context.home.settle(frozenset({base}))
        if base not in context.home.bases:
            notes.append(Note(Reason.FOREIGN_REFERENCE, path))
            return Link(target.type, url)
    return Link(target.type, target.id or "")


def _contained(target: Target, resource: Resource, context: Context, path: str, notes: list[Note]) -> Link:
    for raw in resource.contained or ():
        part = decode(bytes(raw))
        if isinstance(part, Refusal) or part.id not in (target.id, f"#{target.id}"):
            continue
        kind = str(type(part).__struct_config__.tag)
        if isinstance(part, Patient):
            for identifier in part.identifier or ():
                key = identifier_key(identifier)
                if key:
                    return _by_identifier(kind, key, context, path, notes)
        return Link(kind, f"{resource.id}#{target.id}")
    notes.append(Note(Reason.ORPHAN_REFERENCE, path))
    return Link(target.type, f"{resource.id}#{target.id}")


def _by_identifier(kind: str | None, key: str, context: Context, path: str, notes: list[Note]) -> Link:
    """Find a Patient by identifier; an unknown one gets a name that does not show the identifier."""
    stand_in = Link(kind, STAND_IN + hashlib.sha256(key.encode()).hexdigest()[:16])
    if kind not in (None, "Patient"):
        return stand_in
    if not context.final:
        raise Deferred  # also when one is known: another Patient with this identifier may follow
    if key in context.lookups.identifiers:
        known = context.lookups.identifiers[key]
        if known is not None:
            return Link("Patient", known)
        notes.append(Note(Reason.AMBIGUOUS_IDENTIFIER, path))
        return stand_in
    notes.append(Note(Reason.ORPHAN_REFERENCE, path))
    return stand_in


def own_name(kind: str, resource: Resource, context: Context) -> str:
    """Return the row_id that all rows of a resource start with."""
    return f"{context.source}/{kind}/{resource.id}"
