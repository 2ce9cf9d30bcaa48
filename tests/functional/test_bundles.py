"""Bundles of every type are taken apart, and each entry is what its Bundle says of it."""

import pytest
from incoming import (
    RESOURCES,
    Json,
    administration,
    as_bundle,
    bundle,
    cohort_of,
    facts,
    meta,
    observation,
    patient,
    reasons,
    subjects_of,
    totals,
    values,
)


@pytest.mark.parametrize("kind", ["collection", "searchset", "batch", "transaction", "history", "document"])
def test_bundles_of_every_type_hold_resources(kind: str) -> None:
    """What an entry is for does not change what its resource says."""
    cohort = cohort_of(as_bundle(kind, RESOURCES))
    assert facts(cohort) == facts(cohort_of(RESOURCES))


def test_a_remark_of_the_server_is_no_resource() -> None:
    """A searchset may hold an outcome; it is counted apart and ignored."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
    cohort = cohort_of(
        bundle(
            "searchset",
            [
                {"resource": patient(), "search": {"mode": "match"}},
                {"resource": observation(), "search": {"mode": "include"}},
                {"resource": outcome, "search": {"mode": "outcome"}},
            ],
        )
    )
    assert cohort.accounting["OperationOutcome"].ignored == {"OUTCOME": 1}
    assert totals(cohort) == (3, 2, 0, 1)
    assert values(cohort) == {"o1": 40.0}


def test_a_transaction_links_by_urn_and_needs_no_ids() -> None:
    """Ids come from the full URLs, and references follow them, also to a later entry."""
    him, drug, dose = (f"urn:uuid:0000000{number}-1111-4111-8111-000000000000" for number in (1, 2, 3))
    nameless = {
        him: patient(),
        drug: {"resourceType": "Medication", "code": {"text": "x"}, "batch": {"lotNumber": "LOT-9"}},
        dose: administration(
            medicationReference={"reference": drug},
            subject={"reference": him},
            medicationCodeableConcept=None,
        ),
    }
    entries = []
    for url, resource in reversed(nameless.items()):
        resource.pop("id", None)
        kind = resource["resourceType"]
        entries.append({"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": kind}})
    cohort = cohort_of(bundle("transaction", entries))
    subject = him.removeprefix("urn:uuid:")
    assert cohort.subjects["subject_id"].tolist() == [subject]
    assert cohort.exposures["subject_id"].tolist() == [subject]
    assert cohort.exposures["batch"].tolist() == ["LOT-9"]
    assert reasons(cohort) == []


def history(*entries: tuple[str, Json | None, str]) -> Json:
    """Return a history, newest first as servers send it; no resource means DELETE."""
    found = []
    for version, resource, when in reversed(entries):
        entry: Json = {
            "fullUrl": "https://ehr.example.org/fhir/Observation/o1",
            "request": {"method": "PUT" if resource else "DELETE", "url": "Observation/o1"},
            "response": {"status": "200", "etag": f'W/"{version}"', "lastModified": when},
        }
        if resource:
            entry["resource"] = resource | meta(version, when)
        found.append(entry)
    return bundle("history", found)


def test_a_history_gives_the_newest_version() -> None:
    """Versions of one resource are one fact."""
    cohort = cohort_of(
        history(
            ("1", observation(value=40), "2024-03-04T10:00:00Z"),
            ("2", observation(value=44, status="amended"), "2024-03-05T10:00:00Z"),
        )
    )
    assert values(cohort) == {"o1": 44.0}
    assert cohort.accounting["Observation"].ignored == {"SUPERSEDED": 1}


def test_a_deleted_resource_is_no_fact_any_more() -> None:
    """DELETE in a history takes the earlier versions away; they are counted, not forgotten."""
    cohort = cohort_of(
        history(
            ("1", observation(), "2024-03-04T10:00:00Z"),
            ("2", None, "2024-03-05T10:00:00Z"),
        )
    )
    assert values(cohort) == {}
    assert totals(cohort) == (2, 0, 0, 2)
    assert "DELETED" in reasons(cohort)


def test_a_resource_made_again_after_a_deletion_is_a_fact() -> None:
    """What counts is the newest state: deleted on the 5th, there again on the 6th."""
    cohort = cohort_of(
        history(
            ("1", observation(), "2024-03-04T10:00:00Z"),
            ("2", None, "2024-03-05T10:00:00Z"),
            ("3", observation(value=48), "2024-03-06T10:00:00Z"),
        )
    )
    assert values(cohort) == {"o1": 48.0}


def test_a_document_has_a_composition_which_has_no_place_in_the_cohort() -> None:
    """Types that are not read are counted by type."""
    composition = {"resourceType": "Composition", "id": "d", "status": "final", "title": "Discharge"}
    cohort = cohort_of(as_bundle("document", [composition, patient(), observation()]))
    assert cohort.accounting["Composition"].ignored == {"TYPE_NOT_READ": 1}
    assert values(cohort) == {"o1": 40.0}


def test_a_batch_response_holds_bundles() -> None:
    """Each answer is a searchset of its own, or a status without a resource."""
    answers = [
        as_bundle("searchset", [patient()]),
        as_bundle("searchset", [observation(), observation("o2")]),
    ]
    entries: list[Json] = [{"resource": answer, "response": {"status": "200"}} for answer in answers]
    entries.append({"response": {"status": "404"}})
    cohort = cohort_of(bundle("batch-response", entries))
    assert subjects_of(cohort) == {"o1": "p1", "o2": "p1"}
    assert totals(cohort) == (4, 3, 0, 1)
    assert reasons(cohort) == ["NO_RESOURCE"]
