"""Whose resources are read: chosen in five ways, looked up in each run; who is new gets the full history."""

from pathlib import Path
from typing import Any

import pytest
from simulator.canned import Canned, bundle
from simulator.running import expected, loss, sync
from simulator.server import BASE, Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Members, Server
from fhiradapter.errors import RefusedAnswerError, SettingsError
from fhiradapter.fhir.rest import Rest
from fhiradapter.sync.known import Mark
from fhiradapter.sync.membership import identifiers_of, members
from fhiradapter.sync.shards import shards

GROUP = Server(page_size=100, patients_at_once=4, cohort={"group": "cohort"})


def simulator_of(*patients: str, **traits: Any) -> Simulator:
    simulator = Simulator(1, Traits(commit_seconds=0, **traits), facts=200)
    simulator.groups["cohort"] = patients
    simulator.advance(3600)
    return simulator


def people(**chosen: Any) -> Any:
    simulator = simulator_of("p1", "p2")
    return members(Rest(simulator), Members(**chosen), MemoryStore()).patients


def test_the_ways_of_choosing() -> None:
    """A Group, ids, a search, everybody; nobody's list where it is not needed."""
    assert people(group="cohort") == ("p1", "p2")
    assert people(patients=["p7", "p3"]) == ("p3", "p7")
    assert people(search="_id=p4,p5") == ("p4", "p5")
    assert people(everyone=True) is None


def test_an_inactive_member_of_a_group_is_none() -> None:
    """Groups keep those who left."""
    group = {
        "resourceType": "Group",
        "id": "g",
        "member": [
            {"entity": {"reference": "Patient/a"}},
            {"entity": {"reference": f"{BASE}/Patient/b"}},
            {"entity": {"reference": "Patient/c"}, "inactive": True},
            {"entity": {"reference": "Device/d"}},
        ],
    }
    assert members(Rest(Canned(lambda _: group)), Members(group="g"), MemoryStore()).patients == ("a", "b")


def test_a_group_that_is_not_there_stops_the_run() -> None:
    """An empty cohort would be a silent one."""
    with pytest.raises(RefusedAnswerError):
        members(Rest(Canned(lambda _: (404, b"{}"))), Members(group="g"), MemoryStore())


def test_identifiers_are_looked_up_and_what_is_nobodys_is_told_as_a_count(tmp_path: Path) -> None:
    """With and without a system; a value of two Patients gives both; no identifier is repeated anywhere."""
    file = tmp_path / "mrn.txt"
    file.write_text("# MRNs\nurn:mrn|0042\n\n0043\nurn:mrn|9999\n0044\n", encoding="utf-8")

    def patient(key: str, value: str, system: str = "urn:mrn") -> Any:
        return {"resourceType": "Patient", "id": key, "identifier": [{"system": system, "value": value}]}

    everybody = [
        patient("a", "0042"),
        patient("b", "0043"),
        patient("c", "0044"),
        patient("d", "0044", "urn:x"),
    ]
    server = Canned(lambda _: bundle(*everybody))
    found = members(Rest(server), Members(identifiers="mrn.txt"), MemoryStore(), folder=tmp_path)
    assert found.patients == ("a", "b", "c", "d")
    assert found.remarks == (
        "1 of 4 identifiers belong to no Patient",
        "1 identifiers belong to several Patients; all of them are read",
    )
    assert server.asked == [f"{BASE}/Patient?identifier=urn:mrn%7C0042,0043,urn:mrn%7C9999,0044&_count=1000"]


def test_a_server_that_refuses_lists_of_identifiers_is_asked_one_by_one(tmp_path: Path) -> None:
    """400 for the list."""
    (tmp_path / "mrn.txt").write_text("1\n2\n", encoding="utf-8")

    def answer(url: str) -> Any:
        value = url.partition("identifier=")[2].partition("&")[0]
        patient = {"resourceType": "Patient", "id": f"p{value}", "identifier": [{"value": value}]}
        return (400, b"{}") if "," in value else bundle(patient)

    found = members(Rest(Canned(answer)), Members(identifiers="mrn.txt"), MemoryStore(), folder=tmp_path)
    assert found.patients == ("p1", "p2")


def test_a_file_that_is_not_there_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(SettingsError, match=r"none\.txt"):
        identifiers_of(tmp_path / "none.txt")


def test_a_new_member_gets_the_full_history() -> None:
    """Nothing of it was updated lately, so no window of time would show it."""
    simulator, store = simulator_of("p1", "p2"), MemoryStore()
    probed = sync(simulator, store, GROUP).probed
    simulator.advance(3600)
    simulator.groups["cohort"] = ("p1", "p2", "p9")
    planned = sync(simulator, store, GROUP, probed)
    assert {unit.since for unit in planned.units if unit.patients == ("p9",)} == {None}
    assert {unit.since is None for unit in planned.units if unit.patients == ("p1", "p2")} == {False}
    assert not any(loss(simulator, store, expected(simulator, GROUP)))
    # From the next run on they are read together.
    simulator.advance(3600)
    planned = sync(simulator, store, GROUP, probed)
    assert {unit.patients for unit in planned.units} == {("p1", "p2", "p9")}


def test_a_new_members_reading_that_fails_is_done_again_in_full() -> None:
    """Whoever was never read has no mark, whatever the others have."""
    simulator, store = simulator_of("p1", "p2"), MemoryStore()
    probed = sync(simulator, store, GROUP).probed
    simulator.groups["cohort"] = ("p1", "p2", "p9")
    for _ in range(3):
        simulator.advance(3600)
        simulator.traits = Traits(commit_seconds=0, broken_patients=frozenset({"p9"}))
        sync(simulator, store, GROUP, probed)
    assert store.failures
    simulator.advance(3600)
    simulator.traits = Traits(commit_seconds=0)
    sync(simulator, store, GROUP, probed)
    assert not any(loss(simulator, store, expected(simulator, GROUP)))


def test_those_who_left_are_kept_and_told() -> None:
    """Their resources stay as they were."""
    simulator, store = simulator_of("p1", "p2", "p3"), MemoryStore()
    probed = sync(simulator, store, GROUP).probed
    held = set(store.held("Observation"))
    simulator.groups["cohort"] = ("p1", "p2")
    simulator.advance(3600)
    planned = sync(simulator, store, GROUP, probed)
    assert planned.membership.left == ("p3",)
    assert planned.membership.remarks == ("1 Patients are not in the cohort any more; what was read is kept",)
    assert set(store.held("Observation")) == held
    assert {one.state for one in store.held("Observation").values()} == {"current"}


@pytest.mark.parametrize("manner", ["obeyed", "ignored"])
@pytest.mark.parametrize("history", [True, False])
def test_a_type_without_a_search_by_patient_is_read_as_a_whole_and_sifted(manner: Any, history: bool) -> None:
    """Only what is about the cohort is handed on; who is new gets the full history all the same."""
    traits = {"no_patient_for": frozenset({"Condition"}), "last_updated": manner, "history": history}
    simulator, store = simulator_of("p1", "p2", **traits), MemoryStore()
    simulator.put("Condition", "c900", "p1")
    simulator.put("Condition", "c901", "p9")
    simulator.advance(3600)
    probed = sync(simulator, store, GROUP).probed
    assert "c900" in store.held("Condition")
    simulator.advance(3600)
    simulator.groups["cohort"] = ("p1", "p2", "p9")
    simulator.put("Condition", "c900", "p1", deleted=True)
    simulator.advance(3600)
    sync(simulator, store, GROUP, probed)
    assert store.failures == []
    assert not any(loss(simulator, store, expected(simulator, GROUP)))
    assert store.held("Condition")["c900"].state == "deleted"
    assert store.held("Condition")["c901"].state == "current"
    assert {store.of["Condition", key] for key in store.held("Condition")} <= {"p1", "p2", "p9"}


def test_names_of_units_hold_no_ids() -> None:
    """A shard is named by a hash."""
    simulator, store = simulator_of("p1", "p2", "p3", "p4", "p5"), MemoryStore()
    planned = sync(simulator, store, GROUP)
    assert len({unit.name for unit in planned.units}) == len(planned.units)
    assert not any(patient in unit.name for unit in planned.units for patient in simulator.groups["cohort"])


# -- shards --------------------------------------------------------------------------------------------------


def shown(marks: list[Mark], patients: str, size: int = 4) -> list[tuple[str, str | None]]:
    return [("".join(shard.patients), shard.at) for shard in shards(marks, list(patients), size)]


def test_whoever_was_never_read_comes_first_and_apart() -> None:
    """Then what lags behind."""
    marks = [Mark("one", "2026-02", ("a", "b", "c")), Mark("two", "2026-01", ("d", "e", "f"))]
    assert shown(marks, "abcdefgh") == [("gh", None), ("def", "2026-01"), ("abc", "2026-02")]


def test_small_groups_of_one_time_are_put_together() -> None:
    """And keep a name; those of another time stay apart, so that one broken chart does not hold others up."""
    marks = [Mark("one", "2026-02", ("a",)), Mark("two", "2026-02", ("b",)), Mark("three", "2026-01", ("c",))]
    assert shown(marks, "abc") == [("c", "2026-01"), ("ab", "2026-02")]
    assert {shard.name for shard in shards(marks, ["a", "b", "c"], 4)} == {"one", "three"}


def test_a_patient_belongs_to_the_newest_mark_that_holds_it() -> None:
    """After a group was halved because of one of its Patients, the rest has moved on."""
    marks = [Mark("one", "2026-01", ("a", "b", "c", "d")), Mark("half", "2026-02", ("a", "b"))]
    assert shown(marks, "abcd", 2) == [("cd", "2026-01"), ("ab", "2026-02")]


def test_a_group_that_is_too_large_is_split_under_new_names() -> None:
    """The old mark stays until all of its Patients have newer ones."""
    marks = [Mark("one", "2026-01", ("a", "b", "c", "d"))]
    found = shards(marks, ["a", "b", "c", "d"], 2)
    assert [shard.patients for shard in sorted(found, key=lambda shard: shard.patients)] == [
        ("a", "b"),
        ("c", "d"),
    ]
    assert "one" not in {shard.name for shard in found}
