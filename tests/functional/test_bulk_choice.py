"""Exports are chosen where they are the best: each obstacle is said, and no choice changes the tables."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from real_server import RealServer, real_server
from simulator.running import EVERYONE, READ, SOME
from simulator.server import Simulator
from simulator.store import MemoryStore
from simulator.traits import Traits

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import Level, Offers
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.rest import Rest
from fhiradapter.settings import Study
from fhiradapter.store.snapshot import read_snapshot
from fhiradapter.sync import choosing
from fhiradapter.sync.abilities import Ability
from fhiradapter.sync.checking import check_servers
from fhiradapter.sync.choosing import Exportable
from fhiradapter.sync.export_listing import list_all
from fhiradapter.sync.known import Mark
from fhiradapter.sync.planning import after_exports, plan
from fhiradapter.sync.plans import Plan
from fhiradapter.sync.running import Circumstances, SyncRun, circumstances, run_sync

LEVELS: frozenset[Level] = frozenset({"system", "patient", "group"})
TIMELESS = {"last_updated": "refused"}


def planned(
    server: Server,
    exportable: Exportable | None,
    *,
    known: MemoryStore | None = None,
    full: bool = False,
    **traits: Any,
) -> Plan:
    """Return the plan of a first run over a simulated server with 30 Patients, 15 of them in the Group."""
    simulator = Simulator(1, Traits(commit_seconds=0, **traits), facts=400)
    simulator.groups["cohort"] = tuple(f"p{number}" for number in range(0, 30, 2))
    rest = Rest(simulator, page_size=server.page_size)
    store = known or MemoryStore()
    return plan("ehr", server, READ, rest, store, exportable=exportable, full=full)


def offered(*levels: Level, denied: tuple[str, ...] = ()) -> Exportable:
    return Exportable(Offers(frozenset(levels), 2), frozenset(denied))


def observation(made: Plan) -> Ability:
    return made.probed.abilities["Observation"]


def costly(server: Server, **changes: Any) -> Server:
    """Return settings by which each resource takes a request."""
    given = server.model_dump(exclude_defaults=True) | {"page_size": 1, "patients_at_once": 1, **changes}
    return Server.model_validate(given)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than ten requests are many here."""
    monkeypatch.setattr(choosing, "MOST_REQUESTS", 10)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("server", "exportable", "traits", "feed", "words"),
    [
        (costly(EVERYONE), offered("system"), {}, "bulk", "so the first reading is an export"),
        (costly(EVERYONE), offered("patient"), TIMELESS, "bulk", "searches would need about"),
        (costly(SOME), offered("group"), {}, "bulk", "so the first reading is an export"),
        (costly(SOME), offered("group"), TIMELESS, "bulk", "searches would need about"),
        (costly(EVERYONE), None, {}, "updated", None),
        (costly(EVERYONE), offered(), {}, "updated", None),
        (costly(EVERYONE), offered("group"), {}, "updated", "exports no Patients without a Group"),
        (costly(SOME), offered("system", "patient"), TIMELESS, "reread", "the server exports no Group"),
        (costly(EVERYONE), offered(*LEVELS, denied=("Observation",)), {}, "updated", "no scope covers"),
        (EVERYONE, offered(*LEVELS), {}, "updated", "searches need about"),
        (SOME, offered(*LEVELS), TIMELESS, "reread", "searches need about 2 requests"),
        (costly(EVERYONE, feeds={"Observation": "updated"}), offered(*LEVELS), {}, "updated", "settings ask"),
        (
            costly(EVERYONE, cohort={"patients": ["p1"]}),
            offered(*LEVELS),
            TIMELESS,
            "reread",
            "of a Group or",
        ),
        (
            costly(EVERYONE, export={"elements": ["status"]}),
            offered(*LEVELS),
            {},
            "updated",
            "leave something out",
        ),
        (costly(EVERYONE), offered(*LEVELS), {"forbidden": frozenset({"Observation"})}, None, "does not let"),
    ],
)
def test_a_type_is_exported_where_that_is_the_best(
    server: Server, exportable: Exportable | None, traits: dict[str, Any], feed: str | None, words: str | None
) -> None:
    """By the level that fits the cohort, the scopes, the settings, and what searches would cost."""
    found = observation(planned(server, exportable, **traits))
    assert found.feed == feed
    if words is None:
        assert found.choice is None
    else:
        assert words in "; ".join((*found.why, found.choice or ""))


@pytest.mark.usefixtures("few")
def test_only_the_first_reading_is_exported_where_searches_tell_what_changed() -> None:
    """What was read is searched for; where times are not told, exports go on. A full run is one too."""
    store = MemoryStore()
    for kind in READ:
        store.marked[kind, "all"] = Mark("all", "2020-01-01T00:00:00.000Z")
    server = costly(EVERYONE)
    assert observation(planned(server, offered("system"), known=store)).feed == "updated"
    assert observation(planned(server, offered("system"), known=store, full=True)).feed == "bulk"
    assert observation(planned(server, offered("system"), known=store, **TIMELESS)).feed == "bulk"


@pytest.mark.usefixtures("few")
def test_what_an_export_did_not_bring_is_searched_for_and_not_tried_again() -> None:
    """The plan has its units then; what was exported stays so."""
    made = planned(costly(SOME), offered("group"), **TIMELESS)
    assert not any(unit.type in {"Observation", "Condition"} for unit in made.units)
    store = MemoryStore()
    after = after_exports(made, store, exported={"Condition"}, refused={"Observation": "NO_FILE"})
    assert {patient for unit in after.units if unit.type == "Observation" for patient in unit.patients} == {
        f"p{number}" for number in range(0, 30, 2)
    }
    assert observation(after).feed == "reread"
    assert after.probed.abilities["Condition"].exported is True
    simulator = Simulator(1, Traits(commit_seconds=0, **TIMELESS), facts=400)
    simulator.groups["cohort"] = made.membership.patients or ()
    again = plan(
        "ehr",
        costly(SOME),
        READ,
        Rest(simulator, page_size=1),
        store,
        remembered=after.probed,
        exportable=offered("group"),
    )
    assert observation(again).feed == "reread"
    assert observation(again).choice == "no export: the server did not export it"
    assert again.probed.abilities["Condition"].feed == "bulk"


def test_the_rule_is_told() -> None:
    """The documentation has it word for word, with the number that the code goes by."""
    text = (Path(__file__).parents[2] / "docs" / "sync.md").read_text(encoding="utf-8")
    assert choosing.RULE in " ".join(text.split())


# A real server, whose answers are changed on the way where it says so

KINDS = ("Patient", "Observation", "Condition")


class Changed:
    """The way to a server that does not search by time, or exports not all, if asked to be so."""

    def __init__(
        self,
        way: Any,
        *,
        timeless: bool = False,
        left_out: str | None = None,
        refuses: bool = False,
        busy: bool = False,
    ) -> None:
        self.way, self.timeless, self.left_out, self.refuses = way, timeless, left_out, refuses
        self.busy = busy
        self.kick_offs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.way, name)

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, fresh: bool = True) -> Reply:
        if self.timeless and "_lastUpdated" in unquote(url):
            return Reply(400, {}, b'{"resourceType":"OperationOutcome"}', url)
        return self.way.get(url, headers=headers or {}, fresh=fresh)

    def send(self, method: str, url: str, **more: Any) -> Reply:
        if "$export" in url and method in {"GET", "POST"}:
            self.kick_offs += 1
            if self.refuses:
                return Reply(403, {}, b"", url)
        elif self.busy:
            return Reply(202, {"Retry-After": "60"}, b"", url)
        reply: Reply = self.way.send(method, url, **more)
        if self.left_out is None or b'"output"' not in reply.body:
            return reply
        manifest = json.loads(reply.body)
        manifest["output"] = [file for file in manifest["output"] if file["type"] != self.left_out]
        return reply._replace(body=json.dumps(manifest).encode())


class Clinic:
    """A server, and studies that read it in several ways."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.kick_offs = 0

    def study(self, name: str, **more: Any) -> Study:
        server = {"settle_seconds": 0, "overlap_seconds": 5, "page_size": 10, "patients_at_once": 1, **more}
        (self.folder / name).mkdir(exist_ok=True)
        return Study.model_validate(
            {
                "study": {"id": name, "title": "Synthetic"},
                "folder": self.folder / name,
                "sync": {"types": list(KINDS), "reconcile_days": 0},
                "sources": [
                    {"name": "clinic", "kind": "server", "base_url": self.server.base_url, "server": server}
                ],
            }
        )

    def sync(self, study: Study, *, busy: bool = False, **way: Any) -> SyncRun:
        usual = circumstances(study, {})
        opened: list[Changed] = []

        def open_changed(source: Any) -> Any:
            opened.append(Changed(usual.open_fetcher(source), busy=busy, **way))
            return opened[-1]

        made = run_sync(study, Circumstances(open_changed, wait=lambda _: time.sleep(0.02)))
        self.kick_offs = sum(one.kick_offs for one in opened)
        assert busy or not made.partial
        return made

    def rows(self, study: Study) -> dict[str, list[str]]:
        """Return the cohort's rows but for where they were read from."""
        cohort = read_snapshot(study.folder / "store")
        found = {}
        for table in ("subjects", "measurements", "events"):
            listed = cohort.arrow(table).drop_columns(["source_file", "source_line", "run_id"]).to_pylist()
            found[table] = sorted(json.dumps(row, default=str, sort_keys=True) for row in listed)
        return found

    def change(self) -> None:
        """Change one Observation, add one and delete one."""
        some = sorted(self.server.everything("Observation"))
        self.server.put(observed(some[0], "p1", 7.5))
        self.server.put(observed(f"new-{len(some)}-{time.monotonic_ns()}", "p2", 8.5))
        self.server.delete("Observation", some[1])
        time.sleep(2.5)  # its Date has whole seconds


def observed(key: str, patient: str, value: float) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2024-03-01",
        "valueQuantity": {
            "value": value,
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
    }


@pytest.fixture
def clinic(tmp_path: Path, few: None) -> Iterator[Clinic]:
    """Fifteen synthetic Patients and 120 results of them."""
    del few
    with real_server(tmp_path / "server") as server:
        people = [f"p{number}" for number in range(15)]
        for key in people:
            server.put({"resourceType": "Patient", "id": key, "birthDate": "1960-01-01"})
        for number in range(120):
            server.put(observed(f"o{number:03d}", people[number % 15], number / 10))
        server.put(
            {
                "resourceType": "Condition",
                "id": "c1",
                "subject": {"reference": "Patient/p1"},
                "code": {"text": "synthetic"},
            }
        )
        time.sleep(2.5)
        yield Clinic(server, tmp_path)


def test_a_first_export_and_then_searches_make_the_same_tables(clinic: Clinic) -> None:
    """One export in all, and the first one alone: what changes later, deletions too, comes by searches."""
    chosen, searched = clinic.study("chosen"), clinic.study("searched", feeds=dict.fromkeys(KINDS, "updated"))
    [said] = check_servers(chosen, circumstances(chosen, {}))
    assert said.feeds["Observation"].startswith("bulk: ")
    words = "searches would need about 12 requests, so the first reading is an export"
    assert words in said.feeds["Observation"]
    assert "no export: searches need about 2 requests" in said.feeds["Patient"]
    clinic.sync(chosen)
    assert [(one.types, one.since) for one in list_all(chosen)] == [(("Observation",), None)]
    clinic.sync(searched)
    assert len(clinic.rows(searched)["measurements"]) == 120
    assert clinic.rows(chosen) == clinic.rows(searched)
    for _ in range(2):
        clinic.change()
        made = clinic.sync(chosen)
        assert (made.run.new, made.run.changed, made.run.removed) == (1, 1, 1)
        clinic.sync(searched)
        assert clinic.rows(chosen) == clinic.rows(searched)
    assert len(list_all(chosen)) == 1


def test_exports_go_on_where_searches_do_not_tell_what_changed(clinic: Clinic) -> None:
    """The first in full, later ones what changed; what was deleted is found when all is compared."""
    chosen, searched = clinic.study("chosen"), clinic.study("searched", feeds=dict.fromkeys(KINDS, "updated"))
    for _ in range(3):
        clinic.sync(chosen, timeless=True)
        clinic.sync(searched)
        assert clinic.rows(chosen) == clinic.rows(searched)
        clinic.change()
    assert [one.since is None for one in list_all(chosen)] == [True, False, False]


def test_a_choice_that_changes_between_runs_loses_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From searches to exports, whose first is in full as nobody knows yet what they have, and back again."""
    chosen, searched = clinic.study("chosen"), clinic.study("searched", feeds=dict.fromkeys(KINDS, "updated"))
    for most in (1_000, 10, 10, 1_000, 10):
        monkeypatch.setattr(choosing, "MOST_REQUESTS", most)
        clinic.sync(chosen, timeless=True)
        clinic.sync(searched)
        assert clinic.rows(chosen) == clinic.rows(searched)
        clinic.change()
    assert [one.since is None for one in list_all(chosen)] == [True, False, False]


@pytest.mark.parametrize("way", [{"left_out": "Observation"}, {"refuses": True}])
@pytest.mark.parametrize("timeless", [False, True])
def test_a_server_that_does_not_export_after_all_is_searched(
    clinic: Clinic, way: dict[str, Any], timeless: bool
) -> None:
    """In the same run, and without asking for exports again in the next: a missing file is no empty type."""
    chosen, searched = clinic.study("chosen"), clinic.study("searched", feeds=dict.fromkeys(KINDS, "updated"))
    clinic.sync(chosen, timeless=timeless, **way)
    assert clinic.kick_offs == 1
    clinic.sync(searched)
    assert clinic.rows(chosen) == clinic.rows(searched)
    clinic.change()
    clinic.sync(chosen, timeless=timeless, **way)
    assert not any("Observation" in one.types for one in list_all(chosen)[1:])
    clinic.sync(searched)
    assert clinic.rows(chosen) == clinic.rows(searched)


@pytest.mark.parametrize("left_out", [None, "Observation"])
def test_an_export_under_way_is_ended_also_where_none_would_be_chosen_now(
    clinic: Clinic, left_out: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone on with and deleted at the server; what it lacks is no reason not to search."""
    chosen = clinic.study("chosen", export={"wait_seconds": 0})
    assert clinic.sync(chosen, busy=True).partial
    assert [one.step for one in list_all(chosen)] == ["RUNNING"]
    monkeypatch.setattr(choosing, "MOST_REQUESTS", 1_000)
    chosen = clinic.study("chosen")
    clinic.sync(chosen, left_out=left_out)
    assert [one.step for one in list_all(chosen)] == ["DELETED"]
    searched = clinic.study("searched", feeds=dict.fromkeys(KINDS, "updated"))
    clinic.sync(searched)
    assert clinic.rows(chosen) == clinic.rows(searched)
