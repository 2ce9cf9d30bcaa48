"""Merges, panels, doses per kilogram and references are settled after each run, and can be taken back."""

import random
from itertools import permutations
from pathlib import Path

import pytest
from incoming import Json, administration, meta, observation, patient, reasons, subjects_of, values, weight
from stores import NOW, by_type, cohort_in, fetched, grave, opened, run_in, shown

from fhiradapter.fhir.units import Fetched

PER_KG = {
    "dose": {"value": 1e6, "unit": "{cells}/kg", "system": "http://unitsofmeasure.org", "code": "{cells}/kg"}
}
SEED = 20_240_301


def at(day: int, version: int = 1) -> Json:
    """Return the version of a resource that was changed on a day of March."""
    return meta(str(version), f"2024-03-{day:02d}T00:00:00Z")


def replaced_by(survivor: str) -> Json:
    return {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/{survivor}"}}]}


def panel(*members: str, **more: Json) -> Json:
    """Return a panel without a value of its own."""
    found = observation("panel", hasMember=[{"reference": f"Observation/{one}"} for one in members], **more)
    del found["valueQuantity"]
    return found


def test_a_merge_and_its_undoing(tmp_path: Path) -> None:
    """After the merge a result is the survivor's; after the un-merge it is again whose it was."""
    before = [patient("p1", **at(1)), patient("p2", **at(1)), observation("o1", **at(1))]
    with opened(tmp_path / "store") as store:
        seen = []
        for number, sent in enumerate(
            (before, [patient("p1", **replaced_by("p2"), **at(2, 2))], [patient("p1", **at(3, 3))]), 1
        ):
            store.begin_run(f"run-{number}", now=NOW)
            store.commit(by_type(sent))
            store.finish_run(now=NOW)
            cohort = shown(store)
            seen.append((subjects_of(cohort), cohort.subjects["replaced_by"].dropna().tolist()))
    assert seen == [({"o1": "p1"}, []), ({"o1": "p2"}, ["p2"]), ({"o1": "p1"}, [])]


def test_merges_in_a_chain_and_in_a_circle(tmp_path: Path) -> None:
    """The last record of a chain survives; records that replace each other in a circle are flagged."""
    chain = [patient("p1", **replaced_by("p2")), patient("p2", **replaced_by("p3")), patient("p3")]
    circle = [patient("c1", **replaced_by("c2")), patient("c2", **replaced_by("c1"))]
    run_in(tmp_path / "store", [by_type([observation()]), by_type([*circle, *chain])])
    cohort = cohort_in(tmp_path / "store")
    assert subjects_of(cohort) == {"o1": "p3"}
    assert reasons(cohort) == ["MERGE_CYCLE", "MERGE_CYCLE"]


def test_a_panel_finds_its_members_in_any_run(tmp_path: Path) -> None:
    """A member that comes before or after its panel belongs to it, and is free when the panel lets it go."""
    store = tmp_path / "store"
    run_in(store, [by_type([patient(), observation("o1")]), by_type([panel("o1", "o2", **at(1))])])
    run_in(store, [by_type([observation("o2")])], run="run-2")

    def parents() -> dict[str, str | None]:
        rows = cohort_in(store).arrow("measurements").to_pylist()
        return {row["resource_id"]: row["parent_id"] for row in rows if row["resource_id"] != "panel"}

    assert parents() == {"o1": "ehr/Observation/panel", "o2": "ehr/Observation/panel"}
    run_in(store, [by_type([panel("o2", **at(2, 2))])], run="run-3")
    assert parents() == {"o1": None, "o2": "ehr/Observation/panel"}
    run_in(store, [[fetched("Observation", deleted=[grave("Observation", "panel")])]], run="run-4")
    assert parents() == {"o1": None, "o2": None}


def test_a_dose_per_kilogram_follows_the_weight(tmp_path: Path) -> None:
    """A dose of a million cells per kilogram on 5 March: 70 kg on the 1st, corrected to 72, taken back."""
    store = tmp_path / "store"

    def dose() -> float | None:
        (row,) = cohort_in(store).arrow("exposures").to_pylist()
        return row["dose_cells"]

    run_in(store, [by_type([patient(), administration(dosage=PER_KG)])])
    assert dose() is None
    assert reasons(cohort_in(store)) == ["DOSE_WITHOUT_WEIGHT"]
    run_in(store, [by_type([weight("w", 70, "2024-03-01", **at(1))])], run="run-2")
    assert dose() == 70e6
    assert reasons(cohort_in(store)) == []
    run_in(store, [by_type([weight("w", 72, "2024-03-01", **at(2, 2))])], run="run-3")
    assert dose() == 72e6
    run_in(
        store, [by_type([weight("w", 72, "2024-03-01", status="entered-in-error", **at(3, 3))])], run="run-4"
    )
    assert dose() is None


def test_a_result_that_is_linked_to_somebody_else(tmp_path: Path) -> None:
    """A correction may give a result to another person; nothing of it stays with the first."""
    store = tmp_path / "store"
    run_in(store, [by_type([patient("p1"), observation(**at(1))])])
    run_in(store, [by_type([observation(subject="Patient/p2", **at(2, 2))])], run="run-2")
    assert subjects_of(cohort_in(store)) == {"o1": "p2"}
    assert "ORPHAN_SUBJECT" in cohort_in(store).issues["reason"].tolist()
    run_in(store, [by_type([patient("p2")])], run="run-3")
    assert cohort_in(store).issues.empty


def test_a_medication_that_changes_changes_what_refers_to_it(tmp_path: Path) -> None:
    """Administrations are mapped again when their Medication comes, is corrected, or is deleted."""
    store = tmp_path / "store"
    given = administration(medicationReference={"reference": "Medication/x"})
    del given["medicationCodeableConcept"]

    def told() -> list[str | None]:
        return [row["source_code"] for row in cohort_in(store).arrow("exposures").to_pylist()]

    def medication(text: str, version: int) -> list[Json]:
        return [{"resourceType": "Medication", "id": "x", "code": {"text": text}, **at(version, version)}]

    run_in(store, [by_type([patient(), given])])
    assert told() == [None]
    run_in(store, [by_type(medication("riluzole", 1))], run="run-2")
    assert told() == ["riluzole"]
    run_in(store, [by_type(medication("edaravone", 2))], run="run-3")
    assert told() == ["edaravone"]
    run_in(store, [by_type(medication("riluzole", 1))], run="run-4")
    assert told() == ["edaravone"]
    run_in(store, [[fetched("Medication", deleted=[grave("Medication", "x")])]], run="run-5")
    assert told() == [None]
    assert reasons(cohort_in(store)) == ["ORPHAN_REFERENCE"]


def test_a_subject_known_by_identifier(tmp_path: Path) -> None:
    """A result about 'the one with this number' goes to its Patient when she comes, and to none of two."""
    store = tmp_path / "store"
    number = {"identifier": [{"system": "urn:mrn", "value": "7"}]}
    about = observation()
    about["subject"] = {"identifier": {"system": "urn:mrn", "value": "7"}}
    run_in(store, [by_type([about])])
    assert subjects_of(cohort_in(store))["o1"].startswith("identifier-")
    run_in(store, [by_type([patient("p1", **number)])], run="run-2")
    assert subjects_of(cohort_in(store)) == {"o1": "p1"}
    run_in(store, [by_type([patient("p2", **number, **at(1))])], run="run-3")
    assert reasons(cohort_in(store)) == ["AMBIGUOUS_IDENTIFIER"]
    run_in(store, [by_type([patient("p2", **at(2, 2))])], run="run-4")
    assert subjects_of(cohort_in(store)) == {"o1": "p1"}
    run_in(store, [[fetched("Patient", deleted=[grave("Patient", "p1")])]], run="run-5")
    assert subjects_of(cohort_in(store))["o1"].startswith("identifier-")


def story() -> list[list[Fetched]]:
    """Return what a server showed over time, one commit for each thing that happened."""
    given = administration("a2", medicationReference={"reference": "Medication/x"}, **at(1))
    del given["medicationCodeableConcept"]
    return [
        by_type([patient("p1", **at(1)), patient("p2", **at(1))]),
        by_type([observation("o1", **at(2)), administration(dosage=PER_KG, **at(2))]),
        by_type([weight("w", 70, "2024-03-01", **at(3))]),
        by_type([observation("o1", value=44, **at(4, 2))]),
        by_type([given]),
        by_type([{"resourceType": "Medication", "id": "x", "code": {"text": "riluzole"}, **at(1)}]),
        by_type([{"resourceType": "Medication", "id": "x", "code": {"text": "edaravone"}, **at(5, 2)}]),
        by_type([patient("p1", **replaced_by("p2"), **at(6, 2))]),
        by_type([panel("o1", **at(7))]),
        by_type([observation("o3", subject="Patient/p9", **at(8))]),
        [fetched("Observation", deleted=[grave("Observation", "o3", at="2024-03-09T00:00:00Z")])],
        by_type([observation("o1", value=["bad"], **at(10, 3))]),
    ]


@pytest.mark.parametrize("number", range(6))
def test_the_order_of_commits_does_not_matter(tmp_path: Path, number: int) -> None:
    """Whatever comes late, and in whatever commit: the same store, told by its digest."""
    commits = story()
    _, expected = run_in(tmp_path / "told in order", [story()[0], *story()[1:]])
    draw = random.Random(SEED + number)
    draw.shuffle(commits)
    if number % 3 == 0:
        commits = [[part for commit in commits[:5] for part in commit], *commits[5:]]
    print(f"seed {SEED + number}")
    _, found = run_in(tmp_path / "store", commits)
    assert found == expected


def test_versions_of_one_resource_in_all_orders(tmp_path: Path) -> None:
    """Four versions, of which one is unreadable and one void, in all 24 orders."""

    def versions(id_: str) -> list[Json]:
        return [
            observation(id_, **at(1, 1)),
            observation(id_, status="entered-in-error", **at(2, 2)),
            observation(id_, value=44, **at(3, 3)),
            observation(id_, value=["bad"], **at(4, 4)),
        ]

    orders = [list(order) for order in permutations(range(4))]
    commits = [
        [fetched("Observation", [versions(f"o{number}")[order[step]] for number, order in enumerate(orders)])]
        for step in range(4)
    ]
    run_in(tmp_path / "store", commits)
    cohort = cohort_in(tmp_path / "store")
    assert values(cohort) == {f"o{number}": 44.0 for number in range(24)}
    assert reasons(cohort) == ["OUTDATED"] * 24 + ["WRONG_TYPE"] * 24


def test_a_mended_definition_is_replayed(tmp_path: Path) -> None:
    """What a mapping can read after a fix is mapped from the raw files, without asking the server."""
    from fhiradapter.settings import Source, Study, StudyCard
    from fhiradapter.sync.mapping import StudyMapper

    site = tmp_path / "site.toml"
    site.write_text('[site]\nallowed_modifier_extensions = ["https://ehr.example.org/reviewed"]\n')
    marked = observation(
        modifierExtension=[{"url": "https://ehr.example.org/reviewed", "valueBoolean": True}]
    )
    store = tmp_path / "store"
    run_in(store, [by_type([patient(), marked])])
    assert cohort_in(store).accounting["Observation"].quarantined == 1
    study = Study(
        study=StudyCard(id="test", title="Synthetic"),
        sources=[Source(name="ehr", base_url="https://ehr.example.org/fhir", site="site.toml")],
        folder=tmp_path,
    )
    with opened(store, mapper=StudyMapper(study), run="run-2") as again:
        keys = [(one.source, one.type, one.id) for one in again.quarantined()]
        assert again.map_again(keys).remapped == 1
        again.finish_run(now=NOW)
    cohort = cohort_in(store)
    assert cohort.accounting["Observation"].mapped == 1
    assert reasons(cohort) == []
