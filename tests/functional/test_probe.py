"""How a server can be read is learnt by trying: what it says of itself and what it does are two things."""

from typing import Any

import msgspec
import pytest
from simulator.canned import BASE, Canned, bundle, condition
from simulator.running import EVERYONE, expected, loss, sync
from simulator.server import Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Server
from fhiradapter.fhir.capabilities import read_capabilities
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.planning import described
from fhiradapter.sync.plans import Probed
from fhiradapter.sync.probe import probe

KINDS = ("Patient", "Observation", "MedicationAdministration", "Condition")
SOME = Server(page_size=100, patients_at_once=8, cohort={"patients": [f"p{n}" for n in range(30)]})


def abilities(patients: Any = ("p1", "p2", "p3", "p4", "p5"), **traits: Any) -> dict[str, Ability]:
    rest = Rest(Simulator(1, Traits(commit_seconds=0, **traits), facts=400))
    return probe(rest, read_capabilities(rest), KINDS, patients=patients)


def test_a_good_server_is_read_by_what_changed() -> None:
    """Times and order are obeyed, lists of Patients are understood, there is a history."""
    found = abilities()["Observation"]
    assert (found.feed, found.ordered, found.several, found.history, found.counts) == (
        "updated",
        True,
        True,
        True,
        True,
    )
    assert found.patient == "patient"
    assert "pages hold at most 50" in found.why


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        ("ignored", "_lastUpdated is ignored"),
        ("refused", "_lastUpdated is refused"),
        ("empty", "_lastUpdated gives nothing, although there is something"),
    ],
)
def test_a_server_that_does_not_search_by_time_is_reread(manner: Any, words: str) -> None:
    """More rows than asked for, an error, or an empty Bundle: each is seen, and said."""
    found = abilities(last_updated=manner)["Observation"]
    assert found.feed == "reread"
    assert words in found.why


def test_a_self_link_without_the_parameter_says_that_it_was_ignored() -> None:
    """No rows for the future, but the search that was made is not the one that was asked for."""

    def answer(url: str) -> Any:
        rows = [] if "=ge2999" in url else [condition("a"), condition("b")]
        links = [{"relation": "self", "url": f"{BASE}/Condition?_count=2"}]
        return bundle(*rows, link=links) if "metadata" not in url else {"resourceType": "CapabilityStatement"}

    rest = Rest(Canned(answer))
    found = probe(rest, read_capabilities(rest), ["Condition"])["Condition"]
    assert (found.feed, "_lastUpdated is ignored" in found.why) == ("reread", True)


def test_an_order_that_is_ignored_is_not_relied_on() -> None:
    """Rising and falling order give the same rows."""
    found = abilities(sorts=False)["Observation"]
    assert (found.feed, found.ordered) == ("updated", False)


def test_a_server_like_epic_is_reread_by_patient_and_category() -> None:
    """No _lastUpdated at all, and Observation needs a Patient and a category."""
    traits = Traits(
        last_updated="refused",
        needs_patient=frozenset({"Observation", "Condition", "MedicationAdministration"}),
        needs_category=frozenset({"Observation"}),
        history=False,
        lists=False,
        commit_seconds=0,
    )
    simulator, store = Simulator(1, traits, facts=200), MemoryStore()
    planned = sync(simulator, store, SOME)
    found = planned.probed.abilities["Observation"]
    assert (found.feed, found.patient, found.several) == ("reread", "patient", False)
    assert found.categories[0] == "laboratory"
    assert "searches need a Patient" in found.why
    assert planned.probed.abilities["Condition"].categories == ()
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_a_server_like_cerner_is_reread_where_it_has_to_be() -> None:
    """MedicationAdministration: by Patient only, no times, no history; other types by what changed."""
    traits = Traits(
        needs_patient=frozenset({"MedicationAdministration"}),
        no_updated_for=frozenset({"MedicationAdministration"}),
        history=False,
        commit_seconds=0,
    )
    simulator, store = Simulator(1, traits, facts=200), MemoryStore()
    simulator.advance(100)
    planned = sync(simulator, store, SOME)
    feeds = {kind: ability.feed for kind, ability in planned.probed.abilities.items()}
    assert feeds["MedicationAdministration"] == "reread"
    assert {feeds["Patient"], feeds["Observation"], feeds["Condition"]} == {"updated"}
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))
    # With everybody in the cohort the Patients are found first.
    store = MemoryStore()
    sync(simulator, store, EVERYONE)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_lists_of_patients_are_not_relied_on_where_they_are_not_understood() -> None:
    """A server that takes 'a,b' for one id gives nothing, which would look like no resources."""
    assert not abilities(lists=False)["Observation"].several


def test_a_type_that_is_forbidden_or_not_there_says_so() -> None:
    """403 and 404, each with its reason."""
    found = abilities(forbidden=frozenset({"Condition"}))["Condition"]
    assert (found.feed, found.refused, found.refused_status) == (None, Reason.FORBIDDEN, 403)
    rest = Rest(Simulator(1))
    assert probe(rest, read_capabilities(rest), ["Encounter"])["Encounter"].refused == Reason.NOT_OFFERED


def test_an_empty_type_is_read_like_the_servers_others() -> None:
    """Nothing is proven by it; what the others do is taken, and said."""
    simulator = Simulator(1, Traits(commit_seconds=0), facts=0)
    for number in range(3):
        simulator.advance(1)
        simulator.put("Observation", f"o{number}", "p1")
    rest = Rest(simulator)
    found = probe(rest, read_capabilities(rest), ["Observation", "Condition"])["Condition"]
    assert (found.feed, found.proven) == ("updated", False)
    assert "the type is empty, so nothing is proven" in found.why


def test_an_empty_window_of_a_type_never_seen_is_not_believed() -> None:
    """The type was empty at the probe; then rows come, but not to searches by time: that is loud."""
    simulator, store = Simulator(1, Traits(commit_seconds=0), facts=0), MemoryStore()
    for number in range(3):
        simulator.advance(1)
        simulator.put("Observation", f"o{number}", "p1")
    first = sync(simulator, store, EVERYONE)
    assert store.failures == []
    simulator.put("Condition", "c1", "p1")
    simulator.advance(3600)
    simulator.traits = Traits(commit_seconds=0, last_updated="empty")
    sync(simulator, store, EVERYONE, first.probed)
    assert ("Condition", Reason.FILTER_IGNORED) in {
        (name.partition("/")[0], failure.reason) for name, failure in store.failures
    }


@pytest.mark.parametrize("traits", [{}, {"last_updated": "ignored"}])
def test_a_server_that_refuses_large_pages_gets_smaller_ones(traits: Any) -> None:
    """400 for more than 60; also where one instant has more rows than that."""
    simulator = Simulator(1, Traits(commit_seconds=0, largest_count=60, **traits), facts=100)
    store = MemoryStore()
    for number in range(900, 1050):
        simulator.put("Observation", f"o{number}", "p1")
    simulator.advance(100)
    planned = sync(simulator, store, EVERYONE)
    assert planned.probed.abilities["Observation"].page_size == 50
    assert "pages of 100 are refused, of 50 are not" in planned.probed.abilities["Observation"].why
    assert store.failures == []
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_the_settings_overrule_the_probe() -> None:
    """Cerner's lastUpdated covers clinically significant changes only, which no probe can see."""
    simulator, store = Simulator(1, Traits(commit_seconds=0), facts=100), MemoryStore()
    server = EVERYONE.model_copy(update={"feeds": {"Observation": "reread"}})
    planned = sync(simulator, store, server)
    assert planned.probed.abilities["Observation"].feed == "reread"
    assert "the settings ask for reread" in described(planned.probed)["Observation"]


def test_what_the_probe_found_is_kept_between_runs() -> None:
    """As JSON; a run with it asks the server for nothing but its time."""
    simulator, store = Simulator(1, Traits(commit_seconds=0), facts=100), MemoryStore()
    probed = sync(simulator, store, EVERYONE).probed
    again = msgspec.json.decode(msgspec.json.encode(probed), type=Probed)
    assert again == probed
    simulator.advance(3600)
    before = len(simulator.requests)
    assert sync(simulator, store, EVERYONE, again).probed == probed
    assert sum("2999" in url for url in simulator.requests[before:]) == 0
    simulator.advance(8 * 86_400)
    before = len(simulator.requests)
    sync(simulator, store, EVERYONE, again)
    assert sum("2999" in url for url in simulator.requests[before:]) > 0


def test_a_metadata_that_is_none_is_refused() -> None:
    """A login page instead of a CapabilityStatement."""
    from fhiradapter.errors import RefusedAnswerError

    with pytest.raises(RefusedAnswerError) as refused:
        read_capabilities(Rest(Canned(lambda _: b"<html></html>")))
    assert refused.value.reason == Reason.NOT_JSON


def test_what_a_server_says_of_itself_is_read() -> None:
    """Version, types, export and SMART."""

    def answer(url: str) -> Any:
        if url.startswith(".well-known"):
            return {"token_endpoint": f"{BASE}/token"}
        resource = {
            "type": "Group",
            "interaction": [{"code": "read"}],
            "searchParam": [{"name": "identifier"}],
            "operation": [{"name": "group-export"}],
        }
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "software": {"name": "HAPI", "version": "8"},
            "rest": [{"mode": "server", "resource": [resource]}],
        }

    found = read_capabilities(Rest(Canned(answer)))
    assert (found.fhir_version, found.software, found.exports, found.smart) == ("4.0.1", "HAPI 8", True, True)
    assert found.types["Group"].searches == {"identifier"}
    assert found.date is not None
