"""A window of time is read as a whole, whatever the server does with sorting, paging and showing of times."""

from typing import Any

import pytest
from simulator.canned import BASE, Canned, bundle, condition
from simulator.running import EVERYONE, expected, loss, sync
from simulator.server import Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Server
from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.instants import instant, shown_to, written
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.queries import Query
from fhiradapter.sync.stable import read_stable
from fhiradapter.sync.windows import read_window

DAY = 86_400 * 1_000_000
FIRST = instant("2026-01-01T00:00:00Z") or 0


def server(facts: int = 400, **traits: Any) -> Simulator:
    return Simulator(1, Traits(commit_seconds=0, **traits), facts=facts)


def read(simulator: Simulator, *, ordered: bool, size: int = 50, since: int | None = None) -> set[str]:
    rest = Rest(simulator, page_size=size)
    parts = list(read_window(rest, Query("Observation"), since, FIRST + DAY, ordered=ordered))
    assert [part.upto for part in parts] == sorted(part.upto for part in parts)
    assert parts[-1].upto == FIRST + DAY
    return {entry.id for part in parts for entry in part.entries}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("size", [1, 3, 50, 1000])
def test_every_row_of_a_window_is_read(ordered: bool, size: int) -> None:
    """One page or many, sorted or halved: the same rows."""
    simulator = server(facts=120)
    assert read(simulator, ordered=ordered, size=size) == set(simulator.visible["Observation"])


@pytest.mark.parametrize("order", ["insertion", "newest", "id"])
def test_ignored_sort_order_loses_nothing(order: Any) -> None:
    """Where rows come in another order than asked for, the window is halved until each part is one page."""
    simulator = server(sorts=False, order=order)
    for number in range(200):  # later versions of early rows, so that no order of the server is that of time
        simulator.advance(1)
        key = f"o{sorted(int(key[1:]) for key in simulator.visible['Observation'])[number % 50]}"
        simulator.put("Observation", key, "p1", b'"valueInteger":1')
    assert read(simulator, ordered=False, size=20) == set(simulator.visible["Observation"])
    simulator.advance(100)
    store = MemoryStore()
    planned = sync(simulator, store, EVERYONE)
    assert not planned.probed.abilities["Observation"].ordered
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


@pytest.mark.parametrize("ordered", [True, False])
def test_more_rows_of_one_instant_than_a_page_holds(ordered: bool) -> None:
    """A window that cannot be split is read by its pages until two readings agree."""
    simulator = server(facts=0)
    for number in range(130):
        simulator.put("Observation", f"o{number}", "p1")
    simulator.advance(5)
    for number in range(130, 150):
        simulator.put("Observation", f"o{number}", "p1")
    assert {version.updated for version in simulator.visible["Observation"].values()} == {
        simulator.now,
        simulator.now - 5_000_000,
    }
    assert read(simulator, ordered=ordered) == {f"o{number}" for number in range(150)}


@pytest.mark.parametrize("ordered", [True, False])
def test_a_row_that_leaves_while_its_instant_is_paged_makes_no_other_one_skipped(ordered: bool) -> None:
    """Offset paging moves up the rows behind it: one reading would miss the first row of the next page."""
    simulator = server(facts=0)
    for number in range(130):
        simulator.put("Observation", f"o{number}", "p1")
    get, left = simulator.get, []

    def meddled(url: str, **more: Any) -> Any:
        if "_offset" in url and len(left) < 2:
            left.append(f"o{len(left)}")
            simulator.now = FIRST + 2 * DAY
            simulator.put("Observation", left[-1], "p1", b'"valueInteger":1')
        return get(url, **more)

    simulator.get = meddled  # type: ignore[method-assign]
    assert read(simulator, ordered=ordered) >= {f"o{number}" for number in range(2, 130)}
    assert len(left) == 2


@pytest.mark.parametrize("ordered", [True, False])
def test_times_shown_in_whole_seconds_but_searched_finer_lose_nothing(ordered: bool) -> None:
    """120 rows within one second, 50 a page: the shown time stands still while the searched one goes on."""
    simulator = server(facts=0, seconds_shown=True)
    for number in range(120):
        simulator.advance(0.008)
        simulator.put("Observation", f"o{number}", "p1")
    assert read(simulator, ordered=ordered) == {f"o{number}" for number in range(120)}


def test_times_that_are_rounded_up_lose_nothing() -> None:
    """A row of 5.6 s shown as 6 s: the next page begins before the shown time."""
    rows = [(f"o{number:02}", FIRST + 5_000_000 + number * 100_000) for number in range(20)]

    def answer(url: str) -> Any:
        low = instant(url.partition("=ge")[2][:24]) or 0
        high = instant(url.partition("=lt")[2][:24]) or 0
        found = [row for row in rows if low <= row[1] < high]
        page = [condition(key, written(at + 500_000)[:19] + "Z") for key, at in found[:12]]
        return bundle(*page, following=f"{BASE}/Condition?page=2" if len(found) > 12 else None)

    rest = Rest(Canned(answer), page_size=12)
    parts = list(read_window(rest, Query("Condition"), None, FIRST + DAY, ordered=True))
    assert {entry.id for part in parts for entry in part.entries} == {key for key, _ in rows}


def test_a_shown_time_says_how_exact_it_is() -> None:
    """By the digits of its fraction."""
    texts = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.123456+02:00")
    assert [shown_to(text) for text in texts] == [1_000_000, 100_000, 1]


def test_bounds_are_sent_in_utc_with_milliseconds_and_z() -> None:
    """`ge` the begin, `lt` the end."""
    simulator = server(facts=0)
    read(simulator, ordered=True, since=FIRST)
    assert simulator.requests[0].startswith(
        f"{BASE}/Observation?_lastUpdated=ge2026-01-01T00:00:00.000Z&_lastUpdated=lt2026-01-02T00:00:00.000Z&"
    )


def test_a_filter_that_is_ignored_is_refused() -> None:
    """Rows of other times than those asked for, and more to come: nothing can be concluded from the rest."""
    simulator = server(last_updated="ignored")
    rest = Rest(simulator, page_size=20)
    with pytest.raises(RefusedAnswerError) as refused:
        list(read_window(rest, Query("Observation"), FIRST + DAY, FIRST + 2 * DAY, ordered=True))
    assert refused.value.reason == Reason.FILTER_IGNORED


def test_a_server_that_never_ends_is_left() -> None:
    """Each window has a next page: the number of requests has a limit."""
    server = Canned(lambda url: bundle(following=f"{BASE}/Condition?{len(server.asked)}"))
    with pytest.raises(RefusedAnswerError) as refused:
        list(read_window(Rest(server, most_pages=200), Query("Condition"), 0, FIRST, ordered=False))
    assert refused.value.reason == Reason.PAGING_LOOP
    assert len(server.asked) < 300


def test_the_new_watermark_is_the_windows_end_and_not_the_newest_row() -> None:
    """Server time 12:00:00 less 60 s to settle; the newest row is hours older."""
    simulator = server(facts=20)
    simulator.now = FIRST + DAY // 2
    store = MemoryStore()
    planned = sync(simulator, store, EVERYONE)
    assert planned.until is not None
    assert (instant(planned.until) or 0) // 1_000_000 == (FIRST + DAY // 2) // 1_000_000 - 60
    assert {mark.at for mark in store.marks("Observation")} == {planned.until}


def test_the_next_window_begins_before_the_last_one_ended() -> None:
    """By the overlap of ten minutes: what became visible late is read then."""
    simulator, store = server(facts=20), MemoryStore()
    first = sync(simulator, store, EVERYONE)
    simulator.advance(3600)
    second = sync(simulator, store, EVERYONE, first.probed)
    (unit,) = [unit for unit in second.units if unit.type == "Observation"]
    assert (instant(first.until) or 0) - (instant(unit.since) or 0) == 600 * 1_000_000
    assert unit.until == second.until


def test_without_a_date_header_everything_is_read_each_time() -> None:
    """The local clock is never taken instead."""
    simulator, store = server(facts=60, dated=False), MemoryStore()
    planned = sync(simulator, store, EVERYONE)
    assert planned.until is None
    assert {unit.feed for unit in planned.units} == {"reread"}
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_a_searchs_memory_is_passed_by() -> None:
    """A server that answers the same search from memory for a minute is told to look again."""
    simulator, store = server(facts=20, cached=True), MemoryStore()
    first = sync(simulator, store, EVERYONE)
    simulator.put("Observation", "o900", "p1")
    simulator.advance(70)
    sync(simulator, store, EVERYONE, first.probed)
    assert "o900" in store.held("Observation")


def test_an_idle_run_costs_at_most_three_requests_a_type() -> None:
    """With a history, with counts, for everybody: deletions included; nothing is changed by it."""
    for traits in ({}, {"history": False}, {"sorts": False}):
        simulator, store = server(**traits), MemoryStore()
        simulator.advance(3600)  # nothing is so new that the overlap reads it again
        first = sync(simulator, store, EVERYONE)
        changes = store.changes
        for _ in range(10):
            simulator.advance(3600)
            before = len(simulator.requests)
            sync(simulator, store, EVERYONE, first.probed)
            kinds = [url.removeprefix(f"{BASE}/").partition("?")[0] for url in simulator.requests[before:]]
            by_type = {
                kind: sum(kind in one for one in kinds) for kind in ("Patient", "Observation", "Condition")
            }
            assert max(by_type.values()) <= 3, kinds
            assert len(kinds) <= 3 * 5
        assert store.changes == changes


def test_a_large_first_reading_is_handed_on_in_parts_with_their_own_watermarks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed is not read again when a run ends in the middle."""
    monkeypatch.setattr("fhiradapter.sync.updates.ENTRIES_AT_ONCE", 30)
    simulator, store = server(), MemoryStore()
    simulator.advance(100)
    taken: list[tuple[str, str | None]] = []
    take = store.take

    def noted(fetched: Any) -> None:
        if fetched.unit.type == "Observation" and fetched.unit.feed == "updated":
            taken.append((fetched.unit.name, fetched.watermark))
        take(fetched)

    store.take = noted  # type: ignore[method-assign]
    sync(simulator, store, EVERYONE)
    marks = [mark for _, mark in taken if mark is not None]
    assert len(marks) == len(taken) > 2
    assert marks == sorted(set(marks))
    assert len({name for name, _ in taken}) == len(taken)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


# -- readings by pages ---------------------------------------------------------------------------------------


def test_readings_that_never_agree_end_with_a_reason() -> None:
    """Eight times something else."""

    def answer(url: str) -> Any:
        number = len(server.asked)
        following = None if "page=2" in url else f"{BASE}/Condition?page=2&n={number}"
        return bundle(condition(f"a{number}"), following=following)

    server = Canned(answer)
    with pytest.raises(RefusedAnswerError) as refused:
        read_stable(Rest(server), Query("Condition"))
    assert refused.value.reason == Reason.UNSTABLE
    assert len(server.asked) == 16


def test_two_readings_have_two_page_sizes_also_where_the_server_gives_less_than_asked_for() -> None:
    """Asked for 1,000 it gives 50: the second size is 30 and not 610."""
    simulator = server()
    read_stable(Rest(simulator, page_size=1000), Query("Observation"))
    sizes = {url.partition("_count=")[2].partition("&")[0] for url in simulator.requests}
    assert sizes == {"1000", "30"}


def test_a_page_size_that_is_refused_is_not_asked_for_again() -> None:
    """400 for 1,000: 50 and 30 from then on."""
    simulator = server(largest_count=60)
    found = read_stable(Rest(simulator, page_size=1000), Query("Observation"))
    assert {entry.id for entry in found} == set(simulator.visible["Observation"])
    assert sum("_count=1000" in url for url in simulator.requests) == 1


def test_a_page_that_expires_in_mid_paging_begins_the_reading_again() -> None:
    """410 once: the second attempt reads all."""
    simulator = server(paging="snapshot", expires_once=True)
    found = read_stable(Rest(simulator, page_size=50), Query("Observation"))
    assert {entry.id for entry in found} == set(simulator.visible["Observation"])


def test_pages_that_expire_each_time_end_with_a_reason() -> None:
    """Four times."""
    simulator = server(paging="snapshot", token_seconds=0.0)
    with pytest.raises(RefusedAnswerError) as refused:
        read_stable(Rest(simulator, page_size=50), Query("Observation"))
    assert refused.value.reason == Reason.PAGE_EXPIRED


# -- what a server cannot answer -----------------------------------------------------------------------------


def test_a_permanent_500_is_bisected_down_to_the_patient_and_the_rest_goes_on() -> None:
    """One broken chart: its unit fails with its reason, every other Patient is read."""
    simulator, store = server(broken_patients=frozenset({"p7"})), MemoryStore()
    chosen = Server(page_size=100, patients_at_once=40, cohort={"patients": [f"p{n}" for n in range(30)]})
    traits = simulator.traits
    simulator.traits = Traits(commit_seconds=0)
    first = sync(simulator, MemoryStore(), chosen)
    simulator.traits = traits
    sync(simulator, store, chosen, first.probed)
    failed = {name.split("/")[0] for name, failure in store.failures if failure.status == 500}
    assert failed == {"Patient", "Observation", "MedicationAdministration", "Condition"}
    assert all("p7" not in name for name, _ in store.failures)
    for kind in failed:
        missing = set(simulator.visible[kind]) - set(store.held(kind))
        assert {simulator.visible[kind][key].patient for key in missing} == {"p7"}
    # What failed is tried again by itself, from where it was.
    simulator.traits = Traits(commit_seconds=0)
    simulator.advance(1200)
    sync(simulator, store, chosen, first.probed)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_a_permanent_500_of_everybodys_reading_is_bisected_by_time() -> None:
    """The watermark stops before the gap, and what lies after it is read all the same."""
    simulator, store = server(), MemoryStore()
    first = sync(simulator, MemoryStore(), EVERYONE)
    simulator.advance(60)
    simulator.put("Observation", "o900", "p900")
    for number in range(901, 1000):
        simulator.advance(2)
        simulator.put("Observation", f"o{number}", "p1")
    simulator.advance(100)
    simulator.traits = Traits(commit_seconds=0, broken_patients=frozenset({"p900"}))
    sync(simulator, store, EVERYONE, first.probed)
    assert set(simulator.visible["Observation"]) - set(store.held("Observation")) == {"o900"}
    assert [failure.status for name, failure in store.failures if name.startswith("Observation/updated")] == [
        500
    ]
    (mark,) = [mark for mark in store.marks("Observation") if mark.shard == "all"]
    assert mark.at <= written(simulator.visible["Observation"]["o900"].updated)
    simulator.traits = Traits(commit_seconds=0)
    sync(simulator, store, EVERYONE, first.probed)
    assert not any(loss(simulator, store, expected(simulator, EVERYONE)))


def test_a_forbidden_type_is_excluded_with_its_reason_and_the_others_go_on() -> None:
    """403: nothing else is held up."""
    simulator, store = server(forbidden=frozenset({"Condition"})), MemoryStore()
    sync(simulator, store, EVERYONE)
    assert [(name, failure.reason, failure.status) for name, failure in store.failures] == [
        (store.failures[0][0], Reason.FORBIDDEN, 403)
    ]
    assert store.failures[0][0].startswith("Condition/")
    assert set(store.held("Observation")) == set(simulator.visible["Observation"])
