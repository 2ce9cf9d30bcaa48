"""Patient: one subject."""

from fhiradapter.fhir.datatypes import Identifier
from fhiradapter.fhir.dates import Moment
from fhiradapter.fhir.elements import Patient
from fhiradapter.fhir.references import identifier_key
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import resolve
from fhiradapter.mappers.moments import columns, latest, moment
from fhiradapter.mappers.outcome import NAMELESS, Mapped, Note, Unusable, row
from fhiradapter.reasons import Reason

RULE = "patient/1"
DEATH = "Patient.deceasedDateTime"
GENDERS = frozenset({"male", "female", "other", "unknown"})


def map_patient(patient: Patient, context: Context) -> Mapped:
    """Return the subject of a Patient, with its identifiers and the Patient that it was merged into."""
    if not patient.id or patient.id.startswith(NAMELESS):
        raise Unusable(Reason.MISSING_ELEMENT, "Patient.id")
    notes: list[Note] = []
    gender = patient.gender.strip() if patient.gender else None
    if gender is not None and gender not in GENDERS:
        notes.append(Note(Reason.NOT_CONFORMANT, "Patient.gender"))
        gender = None
    born = moment(patient.birth_date, context, "Patient.birthDate", notes)
    died = moment(patient.deceased_date_time, context, DEATH, notes)
    deceased = patient.deceased_boolean
    # Systems that need an end to every record write 9999 for those who live.
    if patient.deceased_date_time is not None and Note(Reason.OPEN_ENDED, DEATH) not in notes:
        deceased = True
        if patient.deceased_boolean is False:
            notes.append(Note(Reason.SEVERAL_VALUES, "Patient.deceased[x]"))
    if is_before(died, born):
        notes.append(Note(Reason.BEFORE_BIRTH, DEATH))
    replaced_by = _replaced_by(patient, context, notes)
    if patient.active is False and replaced_by is None:
        notes.append(Note(Reason.INACTIVE_RECORD, "Patient.active"))
    subject = context.subject_prefix + patient.id
    values = {
        "sex": gender,
        **columns("birth", born),
        "deceased": deceased,
        **columns("death", died),
        "identifiers": " ".join(identifier_keys(patient.identifier)) or None,
        "replaced_by": replaced_by,
    }
    return Mapped(subject, [row("subjects", **values)], notes)


def learn_patient(patient: Patient, context: Context) -> None:
    """Remember a Patient's identifiers for references that name nothing else."""
    if patient.id:
        learn_identifiers(patient.identifier, patient.id, context)


def learn_identifiers(identifiers: list[Identifier] | None, patient: str, context: Context) -> list[str]:
    """Remember the identifiers that a Patient goes by, and return all of them.

    An old one may have become somebody else's.
    """
    keys = []
    for identifier in identifiers or ():
        key = identifier_key(identifier)
        if key:
            keys.append(key)
            if identifier.use != "old":
                context.lookups.add_identifier(key, patient)
    return keys


def identifier_keys(identifiers: list[Identifier] | None) -> list[str]:
    """Return 'system|value' of identifiers, without those that have no value."""
    return [key for identifier in identifiers or () if (key := identifier_key(identifier))]


def is_before(death: Moment, birth: Moment) -> bool:
    """Return True when no moment that fits the death could be at or after the birth.

    Two days are compared as days: a birth date has no zone, and a time of death may be east of ours.
    """
    if death.day is not None and birth.day is not None:
        return death.day < birth.day
    return death.at is not None and birth.at is not None and latest(death) < birth.at


def _replaced_by(patient: Patient, context: Context, notes: list[Note]) -> str | None:
    for index, link in enumerate(patient.link or ()):
        if link.type is not None and link.type.strip() == "replaced-by":
            path = f"Patient.link[{index}].other"
            other = resolve(link.other, patient, context, path, notes, expected="Patient")
            if other is not None and other.type in (None, "Patient") and other.id != patient.id:
                return context.subject_prefix + other.id
    return None
