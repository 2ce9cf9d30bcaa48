"""An infusion recorded twice, as MedicationAdministration and as Procedure, counts once (synthetic)."""

import fhiradapter as fa
from fhiradapter.settings import Study

STUDY = Study.model_validate(
    {
        "study": {"id": "x", "title": "Synthetic"},
        "sources": [{"site": "mappings/sites/example_hospital.toml"}],
        "treatment": {"concept": "ck0801"},
    }
)
SUBJECT = {"reference": "Patient/p"}
INFUSION = {
    "resourceType": "MedicationAdministration",
    "id": "m",
    "status": "completed",
    "medicationCodeableConcept": {"text": "CK0801"},
    "subject": SUBJECT,
    "effectiveDateTime": "2024-03-01T09:00:00Z",
}
PROCEDURE = {
    "resourceType": "Procedure",
    "id": "q",
    "status": "completed",
    "code": {"text": "Infusion of CK0801"},
    "subject": SUBJECT,
    "performedDateTime": "2024-03-01T09:00:00Z",
}


def test_a_procedure_is_no_second_infusion() -> None:
    """The Procedure is received, ignored with a reason, and adds no exposure."""
    cohort = fa.build_cohort([{"resourceType": "Patient", "id": "p"}, INFUSION, PROCEDURE], STUDY)
    assert len(cohort.exposures) == 1
    account = cohort.accounting["Procedure"]
    assert (account.received, account.mapped, account.ignored) == (1, 0, {"TYPE_NOT_READ": 1})
