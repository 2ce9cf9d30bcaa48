"""Of several versions of one resource the newest counts, in whatever order they arrive."""

import json
from itertools import permutations
from typing import Any

import pytest
from incoming import Json, cohort_of, facts, line, meta, ndjson, observation, patient, reasons, totals, values

from fhiradapter.settings import Source, Study, StudyCard


def version(number: str | None, value: float, updated: str | None = None, **more: Any) -> Json:
    """Return one version of the observation o1."""
    return observation(value=value, **meta(number, updated), **more)


ORDERS = pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])


@ORDERS
def test_an_amended_result_replaces_the_earlier_one(backwards: bool) -> None:
    """A later version counts, also when it arrives first."""
    sent = [version("1", 40), version("2", 44, status="amended")]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert cohort.measurements[["value", "status", "version_id"]].values.tolist() == [[44.0, "amended", "2"]]
    assert cohort.accounting["Observation"].ignored == {"SUPERSEDED": 1}
    assert reasons(cohort) == ["SUPERSEDED"]


@ORDERS
def test_the_time_of_change_decides_before_the_number(backwards: bool) -> None:
    """A server that was restored may count its versions anew; times are compared as times, not as texts."""
    sent = [
        version("7", 40, "2024-03-05T23:30:00-05:00"),  # 04:30 UTC on the 6th
        version("1", 44, "2024-03-06T05:00:00Z"),
    ]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert values(cohort) == {"o1": 44.0}


@ORDERS
def test_version_numbers_are_numbers(backwards: bool) -> None:
    """Version 10 is newer than version 9, which a comparison of texts would turn round."""
    sent = [version("9", 40), version("10", 44)]
    assert values(cohort_of([patient(), *(reversed(sent) if backwards else sent)])) == {"o1": 44.0}


def test_versions_without_time_or_number_count_as_they_arrive() -> None:
    """Where nothing else tells them apart, the later arrival is the newer one."""
    cohort = cohort_of([patient(), version("a1f", 40), version("09c", 44)])
    assert values(cohort) == {"o1": 44.0}
    assert reasons(cohort) == ["SUPERSEDED"]


@pytest.mark.parametrize(
    "one", [version("1", 40), version(None, 40), version("a", 40, "2024-03-05T00:00:00Z")]
)
def test_the_same_content_again_is_one_fact(one: Json) -> None:
    """Three deliveries of one version, or of a resource without any: one row, two counted as duplicates."""
    shuffled = dict(reversed(one.items()))
    cohort = cohort_of([patient(), one, shuffled, json.dumps(one, indent=2)])
    assert values(cohort) == {"o1": 40.0}
    assert cohort.accounting["Observation"].ignored == {"DUPLICATE": 2}
    assert reasons(cohort) == ["DUPLICATE", "DUPLICATE"]


@pytest.mark.parametrize("number", ["1", None])
def test_one_version_with_two_contents_is_kept_twice(number: str | None) -> None:
    """Nothing tells which one is right: both stay, each under a name of its own, and the source is asked."""
    cohort = cohort_of([patient(), version(number, 40), version(number, 44), version(number, 40)])
    assert sorted(cohort.measurements["value"]) == [40.0, 44.0]
    assert cohort.measurements["row_id"].is_unique
    assert reasons(cohort) == ["DUPLICATE", "SAME_VERSION_DIFFERS"]
    assert totals(cohort) == (4, 3, 0, 1)


@ORDERS
def test_a_result_that_was_taken_back_is_gone(backwards: bool) -> None:
    """entered-in-error as the newest version voids the earlier ones."""
    sent = [version("1", 40), version("2", 40, status="entered-in-error")]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert cohort.measurements.empty
    assert cohort.accounting["Observation"].ignored == {"ENTERED_IN_ERROR": 1, "SUPERSEDED": 1}


@ORDERS
def test_a_result_that_was_cancelled_is_gone(backwards: bool) -> None:
    """cancelled as the newest version drops the preliminary one."""
    sent = [version("1", 40, status="preliminary"), version("2", 40, status="cancelled")]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert cohort.measurements.empty


@ORDERS
def test_a_mistake_that_was_taken_back_is_a_result_again(backwards: bool) -> None:
    """Voided in version 2 and there again in version 3."""
    sent = [version("1", 40), version("2", 40, status="entered-in-error"), version("3", 42)]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert values(cohort) == {"o1": 42.0}
    assert totals(cohort) == (4, 2, 0, 2)


@ORDERS
def test_what_cannot_be_read_replaces_nothing(backwards: bool) -> None:
    """A newer version in quarantine is counted there; the last one that could be read stays."""
    sent = [version("1", 40), version("2", 44, effectiveDateTime=7)]
    cohort = cohort_of([patient(), *(reversed(sent) if backwards else sent)])
    assert values(cohort) == {"o1": 40.0}
    assert reasons(cohort) == ["WRONG_TYPE"]
    assert totals(cohort) == (3, 2, 1, 0)


def test_one_id_on_every_resource_is_no_version() -> None:
    """Ids are of a type: five resources with the id 1 are five facts."""
    results = [observation("1", value) for value in (40, 41, 42)]
    encounter = {
        "resourceType": "Encounter",
        "id": "1",
        "status": "finished",
        "subject": {"reference": "Patient/1"},
        "period": {"start": "2024-03-04"},
    }
    cohort = cohort_of([patient("1"), *results, encounter])
    assert sorted(cohort.measurements["value"]) == [40.0, 41.0, 42.0]
    assert cohort.measurements["row_id"].is_unique
    assert len(cohort.encounters) == len(cohort.subjects) == 1
    assert totals(cohort)[1] == 5


def test_resources_without_an_id_are_no_versions_of_each_other() -> None:
    """Each is named after the place where it was read."""
    nameless = observation()
    del nameless["id"]
    cohort = cohort_of([patient(), nameless, nameless])
    assert cohort.measurements["value"].tolist() == [40.0, 40.0]
    assert cohort.measurements["row_id"].is_unique


def test_parts_follow_their_resource() -> None:
    """The components of a replaced version go with it, and so does what was noted about it."""
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value},
        }
        for code, value in (("8480-6", 120), ("8462-4", 80))
    ]
    panel = {"code": {"text": "blood pressure"}, "valueQuantity": None}
    sent = [version("1", 0, component=parts) | panel, version("2", 0, component=parts[:1]) | panel]
    for order in permutations(sent):
        cohort = cohort_of([patient(), *order])
        assert sorted(cohort.measurements["row_id"]) == [
            "input/Observation/o1",
            "input/Observation/o1#component-1",
        ]
        # One component is left, and it has no unit.
        assert reasons(cohort).count("MISSING_UNIT") == 1


@ORDERS
def test_a_later_correction_of_a_death_counts(backwards: bool) -> None:
    """deceased true in version 1, and false in version 2: alive."""
    sent = [patient(**meta("1"), deceasedBoolean=True), patient(**meta("2"), deceasedBoolean=False)]
    cohort = cohort_of(list(reversed(sent)) if backwards else sent)
    assert cohort.subjects["deceased"].tolist() == [False]


@ORDERS
def test_a_result_that_changes_its_subject_leaves_the_first(backwards: bool) -> None:
    """Filed under the wrong chart first: the wrong subject keeps nothing of it."""
    sent = [version("1", 40, subject="Patient/p1"), version("2", 40, subject="Patient/p2")]
    cohort = cohort_of([patient(), patient("p2"), *(reversed(sent) if backwards else sent)])
    assert cohort.measurements["subject_id"].tolist() == ["p2"]


def test_every_order_of_arrival_gives_the_same_cohort() -> None:
    """All 120 orders of five receipts of one resource, one of which cannot be read."""
    sent = [
        version("1", 40, "2024-03-05T00:00:00Z"),
        version("2", 42, "2024-03-06T00:00:00Z"),
        version("3", 44, "2024-03-06T00:00:00Z", status="amended"),
        version("3", 44, "2024-03-06T00:00:00Z", status="amended"),
        line(version("4", 46, "2024-03-07T00:00:00Z"))[:-30],
    ]
    expected = None
    for order in permutations(sent):
        cohort = cohort_of([patient(), *order])
        assert values(cohort) == {"o1": 44.0}
        assert totals(cohort) == (6, 2, 1, 3)
        found = facts(cohort)
        found["issues"] = reasons(cohort)
        expected = expected or found
        assert found == expected


def test_two_sources_may_use_the_same_ids(tmp_path: Any) -> None:
    """An id is a name within its source: nothing of one hospital replaces anything of another."""
    for name, value in (("north", 40), ("south", 44)):
        (tmp_path / f"{name}.ndjson").write_bytes(ndjson([patient(), observation(value=value)]))
    sources = [Source(name=name, path=[f"{name}.ndjson"]) for name in ("north", "south")]
    cohort = cohort_of(None, Study(study=StudyCard(id="two", title="Two"), sources=sources, folder=tmp_path))
    rows = cohort.measurements
    assert dict(zip(rows["subject_id"], rows["value"], strict=True)) == {"north:p1": 40.0, "south:p1": 44.0}
    assert cohort.issues.empty
