"""Of each resource the store shows the newest version, once, and keeps all others as history."""

from pathlib import Path

import pytest
from incoming import Json, administration, meta, observation, patient, reasons, values
from stores import NOW, Sent, by_type, cohort_in, fetched, grave, opened, run_in, shown

from fhiradapter.fhir.units import Failure
from fhiradapter.reasons import Reason
from fhiradapter.store.arrivals import RESOURCES_AT_ONCE

# Commits are parted by semicolons; letters are contents, `.` is no version. Then what is shown, how many
# versions are in the history, and what is flagged.
#
#   version@time content
CASES = """
one version                        | 1@01 A                                | A | 0 |
the same again                     | 1@01 A ; 1@01 A                       | A | 0 |
a newer one                        | 1@01 A ; 2@02 B                       | B | 1 |
an older one arrives late          | 2@02 B ; 1@01 A                       | B | 1 |
an older one arrives twice         | 2@02 B ; 1@01 A ; 1@01 A              | B | 1 |
numbers are numbers                | 9@01 A ; 10@01 B                      | B | 1 |
numbers are numbers, late          | 10@01 B ; 9@01 A                      | B | 1 |
time goes before number            | 7@01 A ; 1@02 B                       | B | 1 |
time goes before number, late      | 1@02 B ; 7@01 A                       | B | 1 |
names that are no numbers          | x@01 A ; a@01 B                       | B | 1 |
only times                         | .@01 A ; .@02 B                       | B | 1 |
only times, late                   | .@02 B ; .@01 A                       | B | 1 |
only numbers                       | 1@.. A ; 2@.. B                       | B | 1 |
only numbers, late                 | 2@.. B ; 1@.. A                       | B | 1 |
no version at all                  | .@.. A ; .@.. B                       | B | 1 |
no version at all, the same        | .@.. A ; .@.. A                       | A | 0 |
one version, two contents          | 1@01 A ; 1@01 B                       | B | 1 | SAME_VERSION_DIFFERS
... and there and back             | 1@01 A ; 1@01 B ; 1@01 A              | A | 2 | SAME_VERSION_DIFFERS
... and then a newer one           | 1@01 A ; 1@01 B ; 2@02 C              | C | 2 |
one time, two contents             | .@01 A ; .@01 B                       | B | 1 | SAME_VERSION_DIFFERS
a part never replaces the whole    | 1@01 A ; 2@02 B~                      | A | 1 |
the whole replaces a part          | 2@02 B~ ; 1@01 A                      | A | 1 |
... of one version, too            | 1@01 A~ ; 1@01 B                      | B | 1 |
a part is better than nothing      | 1@01 A~                               | A | 0 | INCOMPLETE_COPY
unreadable replaces nothing        | 1@01 A ; 2@02 !                       | A | 1 | OUTDATED WRONG_TYPE
... in whatever order              | 2@02 ! ; 1@01 A                       | A | 1 | OUTDATED WRONG_TYPE
... with one between, late         | 1@01 A ; 3@03 ! ; 2@02 B              | B | 2 | OUTDATED WRONG_TYPE
... with one between, late, twice  | 3@03 ! ; 2@02 B ; 1@01 A ; 2@02 B     | B | 2 | OUTDATED WRONG_TYPE
... until one can be read          | 1@01 A ; 2@02 ! ; 3@03 B              | B | 2 |
... and still cannot               | 1@01 A ; 2@02 ! ; 3@03 !              | A | 2 | OUTDATED WRONG_TYPE
taken back                         | 1@01 A ; 2@02 x                       | - | 1 | ENTERED_IN_ERROR
taken back, then late              | 2@02 x ; 1@01 A                       | - | 1 | ENTERED_IN_ERROR
deleted                            | 1@01 A ; D03                          | - | 0 |
deleted before it arrives          | D03 ; 1@01 A                          | - | 1 |
deleted, then made again           | 1@01 A ; D03 ; 2@04 B                 | B | 1 |
made again, then the old deletion  | 2@04 B ; D03                          | B | 0 |
gone, and back as it was           | 1@01 A ; G.. ; 1@01 A                 | A | 1 |
hidden                             | 1@01 A ; H..                          | A | 0 | HIDDEN
access lost                        | 1@01 A ; L..                          | A | 0 | ACCESS_LOST
hidden, and back as it was         | 1@01 A ; H.. ; 1@01 A                 | A | 0 |
hidden, and back changed           | 1@01 A ; H.. ; 2@02 B                 | B | 1 |
hidden, then deleted               | 1@01 A ; H.. ; D03                    | - | 0 |
"""
STATES = {"D": "deleted", "G": "gone", "H": "hidden", "L": "access_lost"}
VALUES = {"A": 40.0, "B": 44.0, "C": 48.0}


def cases() -> list[object]:
    found = []
    for line in CASES.strip().splitlines():
        name, commits, content, history, *flags = (part.strip() for part in line.split("|"))
        found.append(
            pytest.param(
                [commit.strip() for commit in commits.split(";")],
                content,
                int(history),
                sorted(flags[0].split()) if flags else [],
                id=name,
            )
        )
    return found


def moment(day: str) -> str | None:
    return None if day == ".." else f"2024-03-{day}T00:00:00Z"


def sent(text: str) -> Json:
    """Return an Observation from 'version@day content'."""
    version, content = text.split()
    number, day = version.split("@")
    more: Json = meta(None if number == "." else number, moment(day))
    if content.endswith("~"):
        more.setdefault("meta", {})["tag"] = [{"code": "SUBSETTED"}]
    if content == "!":
        return observation(value=["forty"], **more)
    if content == "x":
        return observation(status="entered-in-error", **more)
    return observation(value=VALUES[content[0]], **more)


@pytest.mark.parametrize(("commits", "content", "history", "flags"), cases())
def test_the_newest_version_counts(
    tmp_path: Path, commits: list[str], content: str, history: int, flags: list[str]
) -> None:
    """Newer is the later lastUpdated, then the greater number, then the later arrival."""
    with opened(tmp_path / "store") as store:
        store.commit(by_type([patient()]))
        for text in commits:
            if text[0] in STATES:
                one = grave("Observation", "o1", STATES[text[0]], moment(text[1:]))  # type: ignore[arg-type]
                store.commit([fetched("Observation", deleted=[one])])
            else:
                store.commit(by_type([sent(text)]))
        store.finish_run(now=NOW)
        cohort = shown(store)
        assert values(cohort) == ({} if content == "-" else {"o1": VALUES[content]})
        assert reasons(cohort) == flags
        assert store.database.value("SELECT count(*) FROM base.versions") == history


def test_versions_of_one_page_are_told_apart(tmp_path: Path) -> None:
    """Twenty versions of one resource in one answer leave the newest, a history and an account."""
    versions = [observation(value=number, **meta(str(number), None)) for number in range(1, 21)]
    counts, _ = run_in(tmp_path / "store", [by_type([patient(), *versions[::-1], *versions[:5]])])
    assert values(cohort_in(tmp_path / "store")) == {"o1": 20.0}
    received = counts[0].received
    assert received["ehr", "Observation", "mapped", None] == 1
    assert received["ehr", "Observation", "ignored", "SUPERSEDED"] == 19
    assert received["ehr", "Observation", "ignored", "DUPLICATE"] == 5


def test_elements_in_another_order_are_the_same_content(tmp_path: Path) -> None:
    """A server that writes the elements of a resource in another order did not change it."""
    one = observation(**meta("1"))
    two = dict(reversed(one.items()))
    counts, _ = run_in(tmp_path / "store", [by_type([one]), by_type([two])])
    assert counts[1].received == {("ehr", "Observation", "ignored", "DUPLICATE"): 1}


def test_more_resources_than_are_held_at_once(tmp_path: Path) -> None:
    """A unit of any length goes through in portions; what comes again in a later one is known."""
    count = RESOURCES_AT_ONCE + 10
    resources = [observation(f"o{number}") for number in range(count)]
    counts, _ = run_in(tmp_path / "store", [[fetched("Observation", [*resources, resources[0]])]])
    assert counts[0].received == {
        ("ehr", "Observation", "mapped", None): count,
        ("ehr", "Observation", "ignored", "DUPLICATE"): 1,
    }


def test_a_failed_unit_brings_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """Its resources are not taken and its watermark stays, until a unit that covers it makes it good."""
    window = {"since": "2024-03-01", "until": "2024-03-02"}
    failed = fetched(
        "Observation",
        [observation()],
        watermark="2024-03-02",
        failure=Failure(Reason.SERVER_FAILED, 500),
        **window,
    )
    with opened(tmp_path / "store") as store:
        store.plan([failed.unit])
        store.commit([failed])
        assert store.finish_run(now=NOW) == "partial"
        assert values(shown(store)) == {}
        assert store.watermark("ehr", "Observation") is None
        assert store.failed_units() == [failed.unit]
    with opened(tmp_path / "store", run="run-2") as store:
        wider = fetched(
            "Observation",
            [observation()],
            name="wider",
            watermark="2024-03-03",
            since="2024-02-28",
            until="2024-03-03",
        )
        store.commit([wider])
        assert store.finish_run(now=NOW) == "complete"
        assert store.failed_units() == []
        assert store.watermark("ehr", "Observation") == "2024-03-03"


def test_what_the_store_knows(tmp_path: Path) -> None:
    """Re-reads ask for versions by id or by Patient, and look-ups for what is referred to and missing."""
    given = administration(
        medicationReference={"reference": "Medication/x"}, **meta("3", "2024-03-01T00:00:00Z")
    )
    del given["medicationCodeableConcept"]
    with opened(tmp_path / "store") as store:
        store.commit(by_type([patient(), given, observation("o2", subject="Patient/p2")]))
        known = store.known("ehr", "MedicationAdministration", ids=["a1", "a2"])
        assert {id_: (one.version, one.state) for id_, one in known.items()} == {"a1": ("3", "current")}
        assert store.current_ids("ehr", "Observation", patients=["p1"]) == set()
        assert store.current_ids("ehr", "Observation", patients=["p2"]) == {"o2"}
        assert store.referenced_but_missing("ehr", "Medication") == ["x"]
        store.commit([fetched("Medication", deleted=[grave("Medication", "x", "gone")])])
        assert store.referenced_but_missing("ehr", "Medication") == []


def test_what_is_no_resource_is_in_quarantine(tmp_path: Path) -> None:
    """Bytes that cannot be read are kept, listed with their reason, and shown on request."""
    bad = b'{"resourceType": "Observation", "id": '
    with opened(tmp_path / "store") as store:
        store.commit([fetched("Observation")._replace(entries=[Sent(bad)])])
        (one,) = store.quarantined()
        assert (one.type, one.reason) == ("Observation", "TRUNCATED_JSON")
        assert store.show(one.source, one.type, one.id) == bad


def test_what_stays_hidden_changes_nothing(tmp_path: Path) -> None:
    """A resource that a server finds by id alone is read and found hidden in each run, and changes once."""
    sent = by_type([patient(), observation(**meta("1"))])
    hidden = [
        fetched("Observation", [observation(**meta("1"))], deleted=[grave("Observation", "o1", "hidden")])
    ]
    counts, digest = run_in(tmp_path / "store", [sent, hidden])
    assert [one.changed for one in counts] == [0, 1]
    counts, again = run_in(tmp_path / "store", [hidden, hidden], run="run-2")
    assert [one.changed for one in counts] == [0, 0]
    assert again == digest
