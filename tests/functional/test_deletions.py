"""Deletes, merges and un-merges are in the store after one run, whatever the server offers to tell them."""

from typing import Any

import pytest
from simulator.canned import Canned
from simulator.running import expected, loss, sync
from simulator.server import BASE, Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Server
from fhiradapter.fhir.rest import Rest
from fhiradapter.fhir.units import Unit
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.absences import explain
from fhiradapter.sync.deletions import deletions
from fhiradapter.sync.plans import Probed
from fhiradapter.sync.reading import Reading

EVERYONE = Server(page_size=100, patients_at_once=10)
GROUP = Server(page_size=100, patients_at_once=4, cohort={"group": "cohort"})
WAYS = pytest.mark.parametrize(
    "traits",
    [
        {"history": True},
        {"history": False},
        {"history": False, "counts": False},
        {"history": True, "seconds_shown": True},
        {"last_updated": "ignored"},
        {"sorts": False, "history": False, "paging": "snapshot"},
    ],
    ids=["history", "counts", "neither", "whole seconds", "reread", "unsorted"],
)


def begun(server: Server = EVERYONE, **traits: Any) -> tuple[Simulator, MemoryStore, Probed]:
    simulator = Simulator(1, Traits(commit_seconds=0, **traits), facts=200)
    simulator.groups["cohort"] = tuple(f"p{number}" for number in range(12))
    store = MemoryStore()
    simulator.advance(3600)
    probed = sync(simulator, store, server).probed
    assert not any(loss(simulator, store, expected(simulator, server)))
    simulator.advance(3600)
    return simulator, store, probed


def again(simulator: Simulator, store: MemoryStore, probed: Probed, server: Server = EVERYONE) -> list[str]:
    """Let it become quiet, sync once, compare; return what was asked."""
    simulator.advance(3600)
    before = len(simulator.requests)
    sync(simulator, store, server, probed)
    assert store.failures == []
    assert not any(loss(simulator, store, expected(simulator, server)))
    return [url.removeprefix(f"{BASE}/") for url in simulator.requests[before:]]


def observations(simulator: Simulator) -> list[str]:
    return sorted(simulator.visible["Observation"])


@WAYS
@pytest.mark.parametrize("server", [EVERYONE, GROUP], ids=["everyone", "group"])
def test_a_deletion_is_reflected_after_one_run(server: Server, traits: Any) -> None:
    """By the history, by counts that differ, by a list of ids, or by a reading in full."""
    simulator, store, probed = begun(server, **traits)
    victims = [key for key in observations(simulator) if store.held("Observation", ids=[key])][:3]
    for key in victims:
        simulator.put("Observation", key, "p1", deleted=True)
    again(simulator, store, probed, server)
    assert {store.held("Observation")[key].state for key in victims} == {"deleted"}


@WAYS
def test_what_was_deleted_and_made_again_is_there(traits: Any) -> None:
    """Deleted and back between two runs, deleted and back across two runs."""
    simulator, store, probed = begun(**traits)
    one, other = observations(simulator)[:2]
    for key in (one, other):
        simulator.put("Observation", key, "p1", deleted=True)
    simulator.advance(2)
    simulator.put("Observation", one, "p1", b'"valueInteger":9')
    again(simulator, store, probed)
    assert store.held("Observation")[one].state == "current"
    assert store.held("Observation")[other].state == "deleted"
    simulator.put("Observation", other, "p1", b'"valueInteger":9')
    again(simulator, store, probed)
    assert store.held("Observation")[other].state == "current"


def test_a_deletion_during_the_first_run_is_found_by_the_second() -> None:
    """The history is read from the end of the first window on, before anything was read."""
    simulator, store = Simulator(1, Traits(commit_seconds=0), facts=200), MemoryStore()
    simulator.advance(3600)
    probed = sync(simulator, store, EVERYONE).probed
    simulator.put("Observation", observations(simulator)[0], "p1", deleted=True)
    again(simulator, store, probed)


def test_counts_that_agree_need_no_list() -> None:
    """One request that counts; changes of the last minute are taken into account."""
    simulator, store, probed = begun(history=False)
    simulator.put("Observation", observations(simulator)[0], "p1", b'"valueInteger":1')
    simulator.advance(20)  # too new for this run's window
    before = len(simulator.requests)
    sync(simulator, store, EVERYONE, probed)
    asked = [url for url in simulator.requests[before:] if f"{BASE}/Observation?" in url]
    assert sum("_summary=count" in url for url in asked) == 2
    assert not any("id,meta&_lastUpdated=lt" in url or "_elements=id,meta&_count" in url for url in asked[:2])
    assert len(asked) == 4  # the window, the count, what is newer, the count


def test_a_deletion_that_hides_behind_a_change_is_found() -> None:
    """One row too many here and one too new there: the counts are not fooled."""
    simulator, store, probed = begun(history=False)
    one, other = observations(simulator)[:2]
    simulator.put("Observation", one, "p1", deleted=True)
    simulator.put("Observation", "o900", "p1")
    simulator.advance(3600)
    simulator.put("Observation", other, "p1", b'"valueInteger":1')
    simulator.advance(20)
    sync(simulator, store, EVERYONE, probed)
    assert store.held("Observation")[one].state == "deleted"


def test_a_full_run_finds_what_was_deleted_since() -> None:
    """`--full` reads everything again, which by itself would not show what is missing."""
    for traits in ({"history": True}, {"history": False}):
        simulator, store, probed = begun(**traits)
        key = observations(simulator)[0]
        simulator.put("Observation", key, "p1", deleted=True)
        simulator.advance(3600)
        planned = sync(simulator, store, EVERYONE, probed, full=True)
        assert {unit.since for unit in planned.units} == {None}
        assert store.held("Observation")[key].state == "deleted"


# -- Patients who are merged ---------------------------------------------------------------------------------


@pytest.mark.parametrize("hides", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("silent", [False, True], ids=["new versions", "silently"])
@pytest.mark.parametrize("server", [EVERYONE, GROUP], ids=["everyone", "group"])
@WAYS
def test_the_survivor_of_a_merge_is_read_in_full(
    server: Server, silent: bool, hides: bool, traits: Any
) -> None:
    """Also one from outside of the cohort, also where the moved rows kept their versions and times."""
    simulator, store, probed = begun(server, relinks_silently=silent, hides_merged=hides, **traits)
    simulator.merge("p3", "p20")
    again(simulator, store, probed, server)
    moved = {v.id for v in simulator.visible["Observation"].values() if v.patient == "p20"}
    assert moved <= set(store.held("Observation"))
    assert {store.of["Observation", key] for key in moved} == {"p20"}


def test_a_survivor_whom_no_search_shows_is_found_by_id() -> None:
    """The chain of merges goes on: p3 to p20 to p21, and p20 is hidden as well."""
    simulator, store, probed = begun(GROUP, hides_merged=True, history=False)
    simulator.merge("p20", "p21")
    simulator.merge("p3", "p20")
    simulator.advance(3600)
    sync(simulator, store, GROUP, probed)
    assert store.held("Patient")["p20"].state == "hidden"
    again(simulator, store, probed, GROUP)
    assert store.held("Patient")["p21"].state == "current"


def test_merges_in_a_circle_end() -> None:
    """Two Patients who replace each other."""
    simulator, store, probed = begun(GROUP)
    simulator.merge("p3", "p20")
    simulator.merge("p20", "p3")
    again(simulator, store, probed, GROUP)


def test_a_merge_is_read_once_and_an_unmerge_restores() -> None:
    """Where rows move without new versions, both Patients are read in full again."""
    simulator, store, probed = begun(relinks_silently=True)
    moved = {v.id for v in simulator.visible["Observation"].values() if v.patient == "p3"}
    assert moved
    simulator.merge("p3", "p20")
    asked = again(simulator, store, probed)
    assert any("patient=p3,p20" in url for url in asked)
    assert not any("patient=" in url for url in again(simulator, store, probed))
    simulator.put("Patient", "p3", "p3", b'"active":true')
    for key in moved:
        old = simulator.visible["Observation"][key]
        simulator.put("Observation", key, "p3", old.body, silently=True)
    store.accepted.clear()  # what was there before comes again, and rightly so
    again(simulator, store, probed)
    assert {store.of["Observation", key] for key in moved} == {"p3"}
    assert not any("patient=" in url for url in again(simulator, store, probed))


# -- comparing everything ------------------------------------------------------------------------------------


def test_every_seven_days_ids_and_versions_are_compared() -> None:
    """Counts of what was missing, changed and extra; everything is put right."""
    simulator, store, probed = begun()
    one, other = observations(simulator)[:2]
    store.accepted.clear()
    held, entry = store.rows["Observation"][one]
    store._set(entry._replace(content=b'{"resourceType":"Observation"}'), held._replace(version="0"))
    del store.rows["Observation"][other]
    store._set(entry._replace(id="o99999"), held)
    planned = sync(simulator, store, EVERYONE, probed)
    assert planned.probed == probed
    assert not any(warning.startswith("RECONCILED") for warning in store.warnings)
    simulator.advance(7 * 86_400)
    sync(simulator, store, EVERYONE, probed)
    assert "RECONCILED missing=1 changed=1 extra=1" in store.warnings
    assert store.held("Observation")["o99999"].state == "gone"
    store.warnings.clear()
    again(simulator, store, probed)
    assert not any(warning.startswith("RECONCILED") for warning in store.warnings)


# -- single pieces -------------------------------------------------------------------------------------------


def reading(server: Any, store: MemoryStore) -> Reading:
    ability = Ability(
        "updated", (), patient="patient", everything=True, ordered=True, history=True, counts=True
    )
    return Reading(Rest(server), store, {"Condition": ability})


def test_an_id_that_is_a_way_through_the_tree_is_not_read() -> None:
    """`..` as an id: a URL with it would be another one."""
    server = Canned(
        lambda url: (404, b"{}") if "?" not in url else b'{"resourceType":"Bundle","type":"searchset"}'
    )
    found = explain(reading(server, MemoryStore()), "Condition", ["..", "a"])
    assert server.asked[1:] == [f"{BASE}/Condition/a"]
    assert [tombstone.id for tombstone in found.tombstones] == ["a"]
    assert found.warnings


def test_a_history_may_leave_out_times_and_versions() -> None:
    """A DELETE entry with nothing but its URL counts when nothing newer stands beside it."""
    store = MemoryStore()
    server = Canned(
        lambda _: {
            "resourceType": "Bundle",
            "type": "history",
            "entry": [{"request": {"method": "DELETE", "url": "Condition/a"}}],
        }
    )
    from fhiradapter.fhir.pages import Entry
    from fhiradapter.sync.known import Held

    store._set(Entry("Condition", "a", "1", None, b"{}", False), Held("1", None))
    unit = Unit(
        "ehr", "Condition", "n", "deletions", "history/all", (), "2026-01-01T00:00:00.000Z", "2026-01-02"
    )
    (fetched,) = deletions(unit, reading(server, store))
    assert [(one.id, one.state, one.at) for one in fetched.deleted] == [("a", "deleted", None)]
