"""Patient: one subject."""

from fhiradapter.fhir.elements import Patient
from fhiradapter.fhir.references import identifier_key, target_of
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.moments import columns, moment
from fhiradapter.mappers.outcome import Mapped, Note, Unusable, row
from fhiradapter.reasons import Reason

RULE = "patient/1"
GENDERS = frozenset({"male", "female", "other", "unknown"})


def map_patient(patient: Patient, context: Context) -> Mapped:
    """Return the subject of a Patient, with its identifiers and the Patient that it was merged into."""
    if not patient.id:
        raise Unusable(Reason.MISSING_ELEMENT, "Patient.id")
    notes: list[Note] = []
    gender = patient.gender.strip() if patient.gender else None
    if gender is not None and gender not in GENDERS:
        notes.append(Note(Reason.UNKNOWN_CODE, "Patient.gender"))
        gender = None
    born = moment(patient.birth_date, context, "Patient.birthDate", notes)
    died = moment(patient.deceased_date_time, context, "Patient.deceasedDateTime", notes)
    deceased = patient.deceased_boolean
    if patient.deceased_date_time is not None:
        deceased = True
    if born.at is not None and died.at is not None and died.at < born.at:
        notes.append(Note(Reason.BEFORE_BIRTH, "Patient.deceasedDateTime"))
    replaced_by = _replaced_by(patient, context)
    if patient.active is False and replaced_by is None:
        notes.append(Note(Reason.INACTIVE_RECORD, "Patient.active"))
    keys = [key for identifier in patient.identifier or () if (key := identifier_key(identifier))]
    subject = context.subject_prefix + patient.id
    values = {
        "sex": gender,
        **columns("birth", born),
        "deceased": deceased,
        **columns("death", died),
        "identifiers": " ".join(keys) or None,
        "replaced_by": replaced_by,
    }
    return Mapped(subject, [row("subjects", **values)], notes)


def learn_patient(patient: Patient, context: Context) -> None:
    """Remember a Patient's identifiers for references that name nothing else."""
    for identifier in patient.identifier or ():
        key = identifier_key(identifier)
        if key and patient.id and identifier.use != "old":
            context.lookups.add_identifier(key, patient.id)


def _replaced_by(patient: Patient, context: Context) -> str | None:
    for link in patient.link or ():
        if link.type == "replaced-by":
            target = target_of(link.other)
            if target.id is not None and target.id != patient.id:
                return context.subject_prefix + target.id
    return None
