"""What happened before its subject was born is kept and flagged, in however small a cohort."""

from incoming import cohort_of, observation, patient, reasons


def test_a_measurement_before_birth_is_flagged() -> None:
    """A result of March of a child born in June; the one of a mother is none of it."""
    child, mother = patient("child", birthDate="2024-06-01"), patient("mother", birthDate="1990-06-01")
    sent = [child, mother, observation("o1", 4, subject="Patient/child")]
    cohort = cohort_of([*sent, observation("o2", 4, subject="Patient/mother")])
    assert reasons(cohort) == ["BEFORE_BIRTH"]
    assert cohort.issues["resource_id"].tolist() == ["o1"]
    assert len(cohort.measurements) == 2


def test_the_records_of_a_merged_patient_are_the_survivors() -> None:
    """A result of a record that was merged into another one is held against the survivor's birth."""
    old = patient("old", link=[{"other": {"reference": "Patient/child"}, "type": "replaced-by"}])
    del old["birthDate"]
    sent = [old, patient("child", birthDate="2024-06-01"), observation("o1", 4, subject="Patient/old")]
    assert reasons(cohort_of(sent)) == ["BEFORE_BIRTH"]
