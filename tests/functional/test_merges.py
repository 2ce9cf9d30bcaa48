"""Patient records that were merged count as one person."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from incoming import Json, administration, cohort_of, meta, ndjson, observation, patient, reasons, subjects_of

from fhiradapter.settings import Source, Study, StudyCard


def merged(identity: str, into: str, **more: Any) -> Json:
    """Return a Patient that another one replaced."""
    return patient(
        identity, active=False, link=[{"other": {"reference": into}, "type": "replaced-by"}], **more
    )


def test_facts_of_a_replaced_record_are_the_survivor_s() -> None:
    """Whatever was filed under the old record is about the same person."""
    sent = [
        patient("p1"),
        merged("p2", "Patient/p1"),
        observation("o1"),
        observation("o2", subject="Patient/p2"),
    ]
    for order in permutations(sent):
        cohort = cohort_of(list(order))
        assert subjects_of(cohort) == {"o1": "p1", "o2": "p1"}
        assert reasons(cohort) == []


def test_both_records_stay_in_the_table_of_subjects() -> None:
    """The old record says who replaced it; nothing is deleted."""
    cohort = cohort_of([patient("p1"), merged("p2", "Patient/p1")])
    rows = cohort.arrow("subjects").to_pylist()
    assert {row["subject_id"]: row["replaced_by"] for row in rows} == {"p1": None, "p2": "p1"}


@pytest.mark.parametrize(
    "into", ["Patient/p1", "Patient/p1/_history/2", "https://ehr.example.org/fhir/Patient/p1"]
)
def test_a_link_may_have_any_form_of_reference(into: str) -> None:
    """Versioned and absolute links lead to the same record."""
    cohort = cohort_of([patient("p1"), merged("p2", into), observation(subject="Patient/p2")])
    assert subjects_of(cohort) == {"o1": "p1"}


def test_a_chain_of_merges_ends_at_its_last_record() -> None:
    """p3 into p2 into p1, with facts under each, in every order of the records."""
    people = [patient("p1"), merged("p2", "Patient/p1"), merged("p3", "Patient/p2")]
    results = [observation(f"o{n}", subject=f"Patient/p{n}") for n in (1, 2, 3)]
    for order in permutations(people):
        assert set(subjects_of(cohort_of([*results, *order])).values()) == {"p1"}


def test_a_chain_of_a_thousand_merges_ends() -> None:
    """No recursion, and no time that grows with its square to speak of."""
    people = [patient("p0"), *(merged(f"p{n}", f"Patient/p{n - 1}") for n in range(1, 1_000))]
    assert subjects_of(cohort_of([*people, observation(subject="Patient/p999")])) == {"o1": "p0"}


@pytest.mark.parametrize("length", [2, 3])
def test_a_circle_of_merges_moves_nothing(length: int) -> None:
    """Records that replace each other are said to do so, and the facts stay where they are."""
    ring = [merged(f"p{n}", f"Patient/p{(n + 1) % length}") for n in range(length)]
    outside = merged("p9", "Patient/p0")
    results = [observation(f"o{n}", subject=f"Patient/p{n}") for n in (0, 1, 9)]
    cohort = cohort_of([*ring, outside, *results])
    assert subjects_of(cohort) == {"o0": "p0", "o1": "p1", "o9": "p9"}
    assert set(reasons(cohort)) == {"MERGE_CYCLE"}
    assert {f"p{n}" for n in range(length)} <= set(cohort.issues["subject_id"])


def test_a_record_that_replaces_itself_is_left_alone() -> None:
    """A link to its own id says nothing."""
    cohort = cohort_of([merged("p1", "Patient/p1"), observation()])
    assert subjects_of(cohort) == {"o1": "p1"}


def test_an_unmerge_gives_the_facts_back() -> None:
    """Links are dated facts: a newer version without the link restores the record."""
    before, after = merged("p2", "Patient/p1", **meta("1")), patient("p2", **meta("2"))
    for order in permutations([patient("p1"), before, after, observation(subject="Patient/p2")]):
        cohort = cohort_of(list(order))
        assert subjects_of(cohort) == {"o1": "p2"}
        assert reasons(cohort) == ["SUPERSEDED"]


def test_a_merge_in_a_newer_version_counts() -> None:
    """The other way round: the link is in the version that counts."""
    before, after = patient("p2", **meta("1")), merged("p2", "Patient/p1", **meta("2"))
    for order in permutations([patient("p1"), before, after, observation(subject="Patient/p2")]):
        assert subjects_of(cohort_of(list(order))) == {"o1": "p1"}


def test_a_survivor_that_was_not_received_is_an_orphan() -> None:
    """The facts go to the record that the source names, and somebody is told that it is missing."""
    cohort = cohort_of([merged("p2", "Patient/p1"), observation(subject="Patient/p2")])
    assert subjects_of(cohort) == {"o1": "p1"}
    orphans = cohort.issues[cohort.issues["reason"] == "ORPHAN_SUBJECT"]
    assert orphans["subject_id"].tolist() == ["p1"]


def test_see_also_is_no_merge() -> None:
    """Only replaced-by moves facts; replaces and seealso do not."""
    links = [
        {"other": {"reference": "Patient/p1"}, "type": "seealso"},
        {"other": {"reference": "Patient/p1"}, "type": "replaces"},
    ]
    cohort = cohort_of([patient("p1"), patient("p2", link=links), observation(subject="Patient/p2")])
    assert subjects_of(cohort) == {"o1": "p2"}


def test_every_table_follows_a_merge() -> None:
    """Exposures move with the results."""
    cohort = cohort_of(
        [patient("p1"), merged("p2", "Patient/p1"), administration(subject={"reference": "Patient/p2"})]
    )
    assert cohort.exposures["subject_id"].tolist() == ["p1"]


def test_a_merge_stays_within_its_source(tmp_path: Path) -> None:
    """Another hospital's p1 has nothing to do with it."""
    (tmp_path / "a.ndjson").write_bytes(
        ndjson([patient("p1"), merged("p2", "Patient/p1"), observation(subject="Patient/p2")])
    )
    (tmp_path / "b.ndjson").write_bytes(ndjson([patient("p2"), observation(subject="Patient/p2")]))
    sources = [Source(name=name, path=[f"{name}.ndjson"]) for name in ("a", "b")]
    cohort = cohort_of(None, Study(study=StudyCard(id="two", title="Two"), sources=sources, folder=tmp_path))
    assert sorted(cohort.measurements["subject_id"]) == ["a:p1", "b:p2"]
