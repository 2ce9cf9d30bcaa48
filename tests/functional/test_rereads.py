"""A type read in full, Patient by Patient: what is missing is asked for, to learn what became of it."""

from typing import Any

import pytest
from simulator.running import READ, expected, loss, sync
from simulator.server import BASE, Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Server

EVERYONE = Server(page_size=100, patients_at_once=10)


def begun(*, facts: int = 200, **traits: Any) -> tuple[Simulator, MemoryStore]:
    """Return a server without searches by time, read once."""
    simulator = Simulator(1, Traits(last_updated="ignored", commit_seconds=0, **traits), facts=facts)
    store = MemoryStore()
    sync(simulator, store, EVERYONE)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))
    simulator.advance(600)
    return simulator, store


def one(simulator: Simulator, kind: str = "Observation") -> str:
    return min(simulator.visible[kind])


def state(store: MemoryStore, key: str, kind: str = "Observation") -> str:
    return store.held(kind, ids=[key])[key].state


def test_changes_new_rows_and_deletions_are_found() -> None:
    """By content and by absence."""
    simulator, store = begun()
    key = one(simulator)
    simulator.put("Observation", key, simulator.visible["Observation"][key].patient, b'"valueInteger":7777')
    simulator.put("Observation", "o900", "p1")
    simulator.put("Condition", one(simulator, "Condition"), "p1", deleted=True)
    sync(simulator, store, EVERYONE)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_reading_an_unchanged_server_again_changes_nothing() -> None:
    """Every row comes again, none of them is new."""
    simulator, store = begun()
    changes = store.changes
    sync(simulator, store, EVERYONE)
    assert store.changes == changes


def test_410_is_deleted() -> None:
    """The server remembers that it was there."""
    simulator, store = begun()
    key = one(simulator)
    simulator.put("Observation", key, "p1", deleted=True)
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "deleted"


def test_404_is_gone() -> None:
    """The server does not know it any more."""
    simulator, store = begun()
    key = one(simulator)
    simulator.put("Observation", key, "p1", deleted=True)
    simulator._deleted.clear()
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "gone"


def test_200_is_hidden_and_kept() -> None:
    """No search shows it, but it can be read: as with rows entered in error, and merged Patients."""
    simulator, store = begun()
    key = one(simulator)
    simulator.traits = Traits(last_updated="ignored", commit_seconds=0, hidden=frozenset({key}))
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "hidden"
    assert store.rows["Observation"][key][1].content
    simulator.traits = Traits(last_updated="ignored", commit_seconds=0)
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "current"


def test_403_is_access_lost_and_kept() -> None:
    """It is there, and not for us any more."""
    simulator, store = begun()
    key = one(simulator)
    simulator.traits = Traits(
        last_updated="ignored", commit_seconds=0, hidden=frozenset({key}), barred=frozenset({key})
    )
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "access_lost"
    assert store.rows["Observation"][key][1].content


def test_what_moved_to_another_patient_is_neither_hidden_nor_deleted() -> None:
    """A correction of the subject: one search by id finds it."""
    simulator, store = begun()
    key = one(simulator)
    simulator.put("Observation", key, "p2", b'"valueInteger":5')
    sync(simulator, store, EVERYONE)
    assert state(store, key) == "current"
    assert store.of["Observation", key] == "p2"


def test_patients_are_asked_for_together_until_a_page_holds_all_of_them() -> None:
    """No page is followed where a smaller group of Patients fits in one."""
    simulator, _ = begun(facts=600)
    assert any("patient=p0,p1" in url for url in simulator.requests)
    assert not any("_offset" in url for url in simulator.requests if "patient=" in url)


def test_a_patient_of_several_pages_is_read_until_two_readings_agree() -> None:
    """With two page sizes."""
    simulator, store = begun()
    for number in range(900, 1100):
        simulator.put("Observation", f"o{number}", "p3")
    before = len(simulator.requests)
    sync(simulator, store, EVERYONE)
    sizes = {
        url.partition("_count=")[2].partition("&")[0]
        for url in simulator.requests[before:]
        if url.startswith(f"{BASE}/Observation?patient=p3&")
    }
    assert len(sizes) == 2
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


@pytest.mark.parametrize("traits", [{"lists": False}, {"order": "newest"}, {"paging": "snapshot"}])
def test_manners_of_servers(traits: Any) -> None:
    """One Patient at a time, newest first, pages of a snapshot: nothing is lost."""
    simulator, store = begun(**traits)
    simulator.plan_writes(300, seconds=0.1)
    for _ in range(3):
        sync(simulator, store, EVERYONE)
        simulator.advance(60)
    sync(simulator, store, EVERYONE)
    assert store.failures == []
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


# -- what is referred to -------------------------------------------------------------------------------------


def medications(simulator: Simulator, begin: int) -> list[str]:
    return [url for url in simulator.requests[begin:] if "/Medication" in url and "Administration" not in url]


@pytest.mark.parametrize("manner", ["obeyed", "ignored"])
def test_medications_that_are_referred_to_are_read_and_kept_up_to_date(manner: Any) -> None:
    """By ids, in one search; a change of theirs comes with the next run."""
    simulator = Simulator(1, Traits(last_updated=manner, commit_seconds=0))
    store = MemoryStore()
    simulator.advance(100)
    sync(simulator, store, EVERYONE)
    assert sorted(store.held("Medication")) == ["m0", "m1", "m2", "m3", "m4"]
    simulator.put("Medication", "m3", None, b'"status":"inactive"')
    simulator.advance(600)
    begin = len(simulator.requests)
    sync(simulator, store, EVERYONE)
    assert store.held("Medication")["m3"].version == "2"
    assert len([url for url in medications(simulator, begin) if "2999" not in url]) <= 3 + 12  # and the probe


def test_a_medication_that_no_search_shows_is_read_by_its_id() -> None:
    """Found in the second place, and not flagged for it."""
    simulator = Simulator(1, Traits(commit_seconds=0, hidden=frozenset({"m2"})))
    store = MemoryStore()
    simulator.advance(100)
    sync(simulator, store, EVERYONE)
    assert store.held("Medication")["m2"].state == "current"


def test_a_medication_that_is_not_there_is_asked_for_once() -> None:
    """404 is remembered."""
    simulator, store = Simulator(1, Traits(commit_seconds=0)), MemoryStore()
    simulator.advance(3600)
    body = b'"medicationReference":{"reference":"Medication/m999"}'
    simulator.put("MedicationAdministration", "m9000", "p1", body)
    simulator.advance(3600)
    first = sync(simulator, store, EVERYONE)
    assert store.held("Medication")["m999"].state == "gone"
    begin = len(simulator.requests)
    simulator.advance(3600)
    sync(simulator, store, EVERYONE, first.probed)
    assert not any("m999" in url for url in simulator.requests[begin:])


def test_every_type_is_read() -> None:
    """The types of the study, and what they refer to."""
    _, store = begun()
    assert set(store.rows) == {*READ, "Medication"}
