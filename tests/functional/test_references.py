"""References lead to the resource that they mean, in whatever form and order both arrive."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from incoming import (
    LOINC,
    Json,
    administration,
    bundle,
    cohort_of,
    facts,
    ndjson,
    observation,
    patient,
    reasons,
    subjects_of,
)

from fhiradapter.settings import Source, Study, StudyCard

BASE = "https://ehr.example.org/fhir"
MRN = {"system": "urn:mrn", "value": "0042"}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
MEDICATION = {
    "resourceType": "Medication",
    "id": "m1",
    "code": {"coding": [{"system": RXNORM, "code": "35623", "display": "riluzole"}]},
    "batch": {"lotNumber": "LOT-7"},
}
SPECIMEN = {
    "resourceType": "Specimen",
    "id": "s1",
    "type": {"coding": [{"system": "http://snomed.info/sct", "code": "119364003"}]},
}


def study(base_url: str | None = BASE) -> Study:
    card = StudyCard(id="references", title="References")
    return Study(study=card, sources=[Source(name="ehr", base_url=base_url)])


def given(reference: Any, **more: Any) -> Json:
    """Return an administration of the Medication that a reference means."""
    return administration(medicationReference=reference, medicationCodeableConcept=None, **more)


def neurofilament(reference: Json) -> Json:
    """Return an NfL result from the Specimen that a reference means."""
    return observation(
        "nfl",
        code={"coding": [{"system": LOINC, "code": "101281-4"}]},
        valueQuantity={"value": 61.2, "unit": "pg/mL"},
        specimen=reference,
    )


OWN: dict[str, Json] = {
    "relative": {"reference": "Patient/p1"},
    "versioned": {"reference": "Patient/p1/_history/3"},
    "absolute": {"reference": f"{BASE}/Patient/p1"},
    "absolute and versioned": {"reference": f"{BASE}/Patient/p1/_history/3"},
    "logical": {"type": "Patient", "identifier": MRN},
    "logical without a type": {"identifier": MRN},
    "conditional": {"reference": "Patient?identifier=urn:mrn|0042"},
    "conditional and escaped": {"reference": "Patient?identifier=urn%3Amrn%7C0042"},
    "conditional with more": {"reference": "Patient?active=true&identifier=urn:mrn|0042"},
    "contained with an identifier": {"reference": "#me"},
}


@pytest.mark.parametrize("form", OWN)
@pytest.mark.parametrize("first", [True, False])
def test_every_form_of_reference_leads_to_the_same_subject(form: str, first: bool) -> None:
    """Whether the Patient comes before or after."""
    person = patient(identifier=[MRN])
    inner = {"resourceType": "Patient", "id": "me", "identifier": [MRN]}
    result = observation(subject="", contained=[inner]) | {"subject": OWN[form]}
    cohort = cohort_of([person, result] if first else [result, person], study())
    assert subjects_of(cohort) == {"o1": "p1"}
    assert cohort.issues.empty


def test_a_reference_to_another_server_is_not_the_same_id_here() -> None:
    """Patient p1 of another hospital is somebody else; nobody asks that hospital."""
    cohort = cohort_of([patient(), observation(subject="https://other.example.org/fhir/Patient/p1")], study())
    assert subjects_of(cohort) == {"o1": "https://other.example.org/fhir/Patient/p1"}
    assert reasons(cohort) == ["FOREIGN_REFERENCE"]


def test_without_a_known_base_an_absolute_reference_is_of_the_same_server() -> None:
    """Files do not say where they come from, but here all name one base; a study that knows sets base_url."""
    cohort = cohort_of([patient(), observation(subject=f"{BASE}/Patient/p1")], study(None))
    assert subjects_of(cohort) == {"o1": "p1"}
    assert cohort.issues.empty


A, B = "https://a.example.org/fhir", "https://b.example.org/fhir"


@pytest.mark.parametrize("order", list(permutations(["here", "a", "b"])))
def test_without_a_known_base_the_first_one_is_the_source_s_own(order: tuple[str, ...]) -> None:
    """Patient 9 of two servers is two people: who is named first is Patient/9, the other keeps the URL."""
    urls = {"here": "Patient/9", "a": f"{A}/Patient/9", "b": f"{B}/Patient/9"}
    cohort = cohort_of([observation(name, subject=urls[name]) for name in order], study(None))
    own, foreign = sorted("ab", key=order.index)
    assert subjects_of(cohort) == {"here": "9", own: "9", foreign: urls[foreign]}
    assert reasons(cohort) == ["FOREIGN_REFERENCE"]
    assert cohort.issues.set_index("reason").loc["FOREIGN_REFERENCE", "resource_id"] == foreign


def test_full_urls_tell_the_base_to_what_comes_after_the_bundle() -> None:
    """The Bundle stands at A, so that a later reference to B is foreign though it is the first one."""
    entries = [{"fullUrl": f"{A}/Patient/9", "resource": patient("9")}]
    later = [observation("b", subject=f"{B}/Patient/9"), observation("a", subject=f"{A}/Patient/9")]
    cohort = cohort_of([bundle("searchset", entries), *later], study(None))
    assert subjects_of(cohort) == {"a": "9", "b": f"{B}/Patient/9"}
    assert reasons(cohort) == ["FOREIGN_REFERENCE"]


def test_each_source_has_a_base_of_its_own(tmp_path: Path) -> None:
    """Two hospitals, each with absolute references to itself: no reference is foreign."""
    sources = []
    for name, base in (("one", A), ("two", B)):
        (tmp_path / f"{name}.ndjson").write_bytes(ndjson([observation(subject=f"{base}/Patient/9")]))
        sources.append(Source(name=name, path=[f"{name}.ndjson"]))
    card = StudyCard(id="references", title="References")
    cohort = cohort_of(None, Study(study=card, sources=sources, folder=tmp_path))
    assert sorted(cohort.measurements["subject_id"]) == ["one:9", "two:9"]
    assert reasons(cohort) == []


def test_the_base_of_the_study_file_wins_over_the_first_one() -> None:
    """The study says A; B is foreign though it is named first."""
    sent = [observation("b", subject=f"{B}/Patient/9"), observation("a", subject=f"{A}/Patient/9")]
    assert subjects_of(cohort_of(sent, study(f"{A}/"))) == {"a": "9", "b": f"{B}/Patient/9"}


def test_an_encounter_of_an_exposure_that_was_not_received_is_said_once() -> None:
    """Two doses in visit v1, which is missing; v2 is there; v3 was received and set aside as cancelled."""
    visit = {"resourceType": "Encounter", "subject": {"reference": "Patient/p1"}}
    cohort = cohort_of(
        [
            patient(),
            visit | {"id": "v2", "status": "finished", "class": {"code": "AMB"}},
            visit | {"id": "v3", "status": "cancelled", "class": {"code": "AMB"}},
            *(
                administration(f"a{number}", context={"reference": f"Encounter/{name}"})
                for number, name in enumerate(["v1", "v1", "v2", "v3"])
            ),
        ]
    )
    orphans = cohort.issues.query("reason == 'ORPHAN_REFERENCE'")
    assert orphans[["resource_type", "resource_id"]].values.tolist() == [["Encounter", "v1"]]
    assert set(cohort.exposures["encounter_id"]) == {"v1", "v2", "v3"}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "#v"}, []),
        ({"identifier": MRN}, []),
        ({"reference": "urn:uuid:11111111-2222-4333-8444-555555555555"}, ["ORPHAN_REFERENCE"]),
        ({"reference": "https://other.example.org/fhir/Encounter/v1"}, ["FOREIGN_REFERENCE"]),
    ],
)
def test_an_encounter_that_is_known_to_be_elsewhere_is_not_said_twice(
    reference: Json, expected: list[str]
) -> None:
    """Contained in the dose, named by an identifier alone, or said already for what its reference is."""
    visit = {"resourceType": "Encounter", "id": "v", "status": "finished"}
    dose = administration(context=reference, contained=[visit])
    assert reasons(cohort_of([patient(), dose], study())) == expected


def test_full_urls_of_a_bundle_are_its_own_base() -> None:
    """An entry is found by its full URL, and other servers are told apart by it."""
    entries = [
        {"fullUrl": f"{BASE}/Patient/p1", "resource": patient()},
        {"fullUrl": f"{BASE}/Observation/o1", "resource": observation(subject=f"{BASE}/Patient/p1")},
        {"fullUrl": f"{BASE}/Observation/o2", "resource": observation("o2")},
        {
            "fullUrl": f"{BASE}/Observation/o3",
            "resource": observation("o3", subject="https://other.example.org/Patient/p1"),
        },
    ]
    cohort = cohort_of(bundle("searchset", entries))
    assert subjects_of(cohort) == {"o1": "p1", "o2": "p1", "o3": "https://other.example.org/Patient/p1"}
    assert reasons(cohort) == ["FOREIGN_REFERENCE"]


def test_a_urn_means_an_entry_of_the_same_bundle_alone() -> None:
    """The same urn in another Bundle is another person or nobody: an orphan, which is kept."""
    urn = "urn:uuid:11111111-2222-4333-8444-555555555555"
    one = bundle(
        "collection",
        [{"fullUrl": urn, "resource": patient()}, {"resource": observation(subject=urn)}],
    )
    other = bundle("collection", [{"resource": observation("o2", subject=urn)}])
    cohort = cohort_of([one, other])
    assert subjects_of(cohort) == {"o1": "p1", "o2": urn}
    assert reasons(cohort) == ["ORPHAN_REFERENCE"]


def test_an_identifier_of_two_people_leads_to_neither() -> None:
    """Nothing tells which one is meant: kept under a name that does not show the identifier."""
    twins = [patient("p1", identifier=[MRN]), patient("p2", identifier=[MRN])]
    result = observation(subject="") | {"subject": {"identifier": MRN}}
    for order in permutations([*twins, result]):
        cohort = cohort_of(list(order))
        (subject,) = subjects_of(cohort).values()
        assert subject not in {"p1", "p2"}
        assert "0042" not in subject
        assert reasons(cohort) == ["AMBIGUOUS_IDENTIFIER"]


def test_an_unknown_identifier_is_one_unknown_person() -> None:
    """Two results of one unknown person belong together, and say nothing of who it is."""
    results = [observation(name, subject="") | {"subject": {"identifier": MRN}} for name in ("o1", "o2")]
    subjects = subjects_of(cohort_of(results))
    assert subjects["o1"] == subjects["o2"]
    assert "0042" not in subjects["o1"]
    assert reasons(cohort_of(results)) == ["ORPHAN_REFERENCE", "ORPHAN_REFERENCE"]


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Medication/m1"},
        {"reference": "Medication/m1/_history/1"},
        {"reference": f"{BASE}/Medication/m1"},
        {"reference": "#inner"},
    ],
)
def test_a_medication_is_found_wherever_it_is(reference: Json) -> None:
    """Beside the administration, or contained in it, under a local id."""
    inner = MEDICATION | {"id": "inner"}
    dose = given(reference, contained=[inner])
    cohort = cohort_of([dose, MEDICATION, patient()], study())
    row = cohort.exposures.iloc[0]
    assert (row["concept"], row["batch"]) == ("riluzole", "LOT-7")
    assert cohort.issues.empty


def test_contained_ids_are_local() -> None:
    """Two administrations contain different Medications under one id."""
    doses = [
        given(
            {"reference": "#m"},
            identity=f"a{lot}",
            contained=[MEDICATION | {"id": "m", "batch": {"lotNumber": lot}}],
        )
        for lot in ("L1", "L2")
    ]
    cohort = cohort_of([patient(), *doses])
    assert dict(zip(cohort.exposures["resource_id"], cohort.exposures["batch"], strict=True)) == {
        "aL1": "L1",
        "aL2": "L2",
    }


def test_orphans_are_kept_and_counted() -> None:
    """Nobody, nothing and no sample of these names was received: three rows, each with its issue."""
    cohort = cohort_of(
        [
            patient(),
            observation(subject="Patient/unknown"),
            given({"reference": "Medication/unknown", "display": "cells"}),
            neurofilament({"reference": "Specimen/unknown"}),
        ]
    )
    assert subjects_of(cohort) == {"o1": "unknown", "nfl": "p1"}
    assert cohort.exposures["source_display"].tolist() == ["cells"]
    assert reasons(cohort) == ["ORPHAN_REFERENCE", "ORPHAN_REFERENCE"]
    assert (cohort.issues["reason"] == "ORPHAN_SUBJECT").sum() == 1


@pytest.mark.parametrize("kind", ["Group", "Device", "Location", "Practitioner"])
def test_what_is_not_about_a_person_is_ignored(kind: str) -> None:
    """A control sample of a device is no patient's value."""
    cohort = cohort_of([observation(subject=f"{kind}/p1")])
    assert cohort.accounting["Observation"].ignored == {"NOT_A_PERSON": 1}


@pytest.mark.parametrize("name", ["..", ".", "a b", "ä", "x" * 200, "0", "null", "%2e%2e", "p1'--", "$p"])
def test_ids_that_are_not_fhir_ids_are_data(name: str) -> None:
    """They come back as they were sent, as a subject and as a reference to it."""
    cohort = cohort_of([patient(name), observation(subject=f"Patient/{name}")])
    assert cohort.subjects["subject_id"].tolist() == [name]
    assert subjects_of(cohort) == {"o1": name}


SILLY = {
    "steps upwards": "../" * 1_000_000,
    "slashes": "/" * 1_000_000,
    "a path without an end": "https://ehr.example.org" + "/Ab" * 1_000_000,
    "types without an end": "Patient/" * 1_000_000,
    "one long type": "https://ehr.example.org/" + "A" * 1_000_000,
    "fragments": "#" * 1_000_000,
    "conditions": "Patient?" + "a=b&" * 1_000_000,
    "identifiers": "Patient?" + "identifier=&" * 500_000,
    "a urn": "urn:uuid:" + "f" * 1_000_000,
    "blanks": " " * 1_000_000,
    "nothing": "",
    "words": "see the other chart",
}


@pytest.mark.parametrize("name", SILLY)
def test_silly_references_crash_nothing(name: str) -> None:
    """A million steps take no time to speak of, and the result is kept or has a reason."""
    cohort = cohort_of([patient(), observation(subject=SILLY[name]), observation("good")])
    assert subjects_of(cohort)["good"] == "p1"
    assert cohort.accounting["Observation"].received == 2
    assert len(cohort.issues) >= 1


MIXED: list[Json] = [
    patient(identifier=[MRN]),
    MEDICATION,
    SPECIMEN,
    given({"reference": "Medication/m1"}),
    neurofilament({"reference": "Specimen/s1"}) | {"subject": {"identifier": MRN}},
]


def check_mixed(source: Any) -> dict[str, list[str]]:
    cohort = cohort_of(source)
    assert cohort.exposures["batch"].tolist() == ["LOT-7"]
    assert cohort.measurements["specimen"].tolist() == ["serum"]
    assert subjects_of(cohort) == {"nfl": "p1"}
    return facts(cohort)


def test_the_order_of_resources_makes_no_difference() -> None:
    """All 120 orders of five resources that refer to each other give the same tables."""
    expected = check_mixed(MIXED)
    for order in permutations(MIXED):
        assert check_mixed(list(order)) == expected


def test_the_order_of_files_makes_no_difference(tmp_path: Path) -> None:
    """All 24 orders of four files, named so that they are read in that order."""
    contents = [MIXED[:1], MIXED[1:2], MIXED[2:3], MIXED[3:]]
    expected = check_mixed(MIXED)
    for number, order in enumerate(permutations(contents)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for place, content in enumerate(order):
            # Each file begins with a type that is not read, so that its contents cannot be told in advance.
            (folder / f"{place}.ndjson").write_bytes(ndjson([{"resourceType": "Basic", "id": "x"}, *content]))
        cohort = cohort_of(folder)
        found = facts(cohort)
        found["issues"] = [
            one for one in found["issues"] if "TYPE_NOT_READ" not in one and "DUPLICATE" not in one
        ]
        assert found == expected


def test_a_corrected_medication_counts_in_every_order() -> None:
    """The second version of a Medication corrects its lot; the administration has the corrected one."""
    first = MEDICATION | {"meta": {"versionId": "1"}, "batch": {"lotNumber": "WRONG"}}
    second = MEDICATION | {"meta": {"versionId": "2"}}
    for order in permutations([first, second, given({"reference": "Medication/m1"}), patient()]):
        assert cohort_of(list(order)).exposures["batch"].tolist() == ["LOT-7"]


def test_a_medication_that_was_taken_back_says_nothing() -> None:
    """entered-in-error as its only version: the administration stays, without a lot, and is told apart."""
    void = MEDICATION | {"status": "entered-in-error"}
    cohort = cohort_of([void, given({"reference": "Medication/m1"}), patient()])
    assert cohort.exposures["batch"].isna().all()
    assert reasons(cohort) == ["ENTERED_IN_ERROR", "ORPHAN_REFERENCE"]
