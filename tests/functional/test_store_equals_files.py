"""A store says of its current resources exactly what files with the same resources give."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from incoming import administration, assert_balanced, facts, meta, observation, patient, weight
from stores import MAPPER, NOW, STUDY, Json, by_type, cohort_in, fetched, grave, opened, run_in

from fhiradapter import api
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Source, Study, StudyCard
from fhiradapter.sync.mapping import StudyMapper

CASES = Path(__file__).parents[1] / "cases"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "als_treg"
AT_ONCE = 37  # so that what belongs together is spread over commits


def golden() -> list[bytes]:
    """Return the resources of all golden pairs, each with an id of its own, as a server has them."""
    known: set[tuple[str, str]] = set()
    found = []
    for number, path in enumerate(sorted(CASES.glob("*/*.json"))):
        resource = json.loads(path.read_bytes())
        kind, id_ = resource.get("resourceType"), resource.get("id")
        if not isinstance(id_, str) or not isinstance(kind, str):
            continue
        text = b" ".join(path.read_bytes().split(b"\n"))
        if (kind, id_) in known:
            own = f"{id_}-{number}"[:64]
            text = re.sub(
                rb'"id"\s*:\s*"%s"' % re.escape(id_.encode()), b'"id": "%s"' % own.encode(), text, count=1
            )
            if json.loads(text)["id"] != own:
                continue
            id_ = own
        known.add((kind, id_))
        found.append(text)
    return found


def in_portions(resources: list[bytes]) -> Iterator[list[bytes]]:
    rest = iter(resources)
    while portion := list(islice(rest, AT_ONCE)):
        yield portion


def assert_equal(stored: Cohort, read: Cohort) -> None:
    """Tables, issues and accounts are the same, but for the places where something was read."""
    one, other = facts(stored), facts(read)
    for table in one:
        missing, extra = Counter(other[table]), Counter(one[table])
        assert (table, missing - extra, extra - missing) == (table, Counter(), Counter())
    assert stored.accounting == read.accounting
    assert_balanced(stored)


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
def test_golden_pairs(tmp_path: Path, *, backwards: bool) -> None:
    """Whatever a mapper can make of a resource, and in whatever order resources come."""
    resources = golden()
    assert len(resources) > 300
    sent = resources[::-1] if backwards else resources
    run_in(tmp_path / "store", [by_type(portion) for portion in in_portions(sent)])
    assert_equal(cohort_in(tmp_path / "store"), api.build_cohort(resources, STUDY, now=NOW))


def test_the_example_study(tmp_path: Path) -> None:
    """Six synthetic subjects with a site file, a time zone, look-ups, panels and doses."""
    study = api.load_study(EXAMPLE / "study.toml")
    mapper = StudyMapper(study)
    resources = [
        line
        for file in sorted((EXAMPLE / "fhir").glob("*.ndjson"))
        for line in file.read_bytes().splitlines()
    ]
    name = study.sources[0].name
    run_in(
        tmp_path / "store",
        [by_type(portion, source=name) for portion in in_portions(resources[::-1])],
        mapper=mapper,
    )
    newest: dict[tuple[str, str], tuple[int, bytes]] = {}
    for line in resources:
        one = json.loads(line)
        version = int(one.get("meta", {}).get("versionId", 0))
        key = (one["resourceType"], one["id"])
        newest[key] = max(newest.get(key, (-1, b"")), (version, line))
    current = [line for _, line in newest.values()]
    assert len(current) == len(resources) - 3  # so many results were amended
    assert_equal(cohort_in(tmp_path / "store"), api.build_cohort(current, study, now=NOW))


def test_a_store_is_a_source_of_the_library(tmp_path: Path) -> None:
    """`build_cohort` reads the last snapshot of a store's folder."""
    run_in(tmp_path / "store", [by_type([patient(), observation()])])
    assert_equal(
        api.build_cohort(tmp_path / "store"), api.build_cohort([patient(), observation()], STUDY, now=NOW)
    )


def test_an_unreadable_newest_version(tmp_path: Path) -> None:
    """The last version that can be read stays, flagged, in whatever order the two came."""
    good, bad = observation(**meta("1")), observation(value="forty", **meta("2"))
    read = api.build_cohort([patient(), good, bad], STUDY, now=NOW)
    for name, order in (("a", [good, bad]), ("b", [bad, good])):
        run_in(tmp_path / name, [by_type([one]) for one in (patient(), *order)])
        assert_equal(cohort_in(tmp_path / name), read)


def of_two_sources(folder: Path) -> tuple[Study, list[Json], list[Json]]:
    """Return a study with two servers that both know a person and one weight of hers."""
    study = Study(
        study=StudyCard(id="two", title="Synthetic"),
        sources=[Source(name=name, path=[str(folder / f"{name}.ndjson")]) for name in ("first", "second")],
    )
    known = {"identifier": [{"system": "urn:mrn", "value": "7"}]}
    per_kg = {
        "dose": {
            "value": 1e6,
            "unit": "{cells}/kg",
            "system": "http://unitsofmeasure.org",
            "code": "{cells}/kg",
        }
    }
    first = [
        patient("a", **known),
        weight("w", 70, "2024-03-01", subject="Patient/a"),
        administration("m", subject={"reference": "Patient/a"}, dosage=per_kg),
    ]
    second = [
        patient("b", **known),
        weight("w", 70, "2024-03-01", subject="Patient/b"),
        weight("x", 71, "2024-03-03", subject="Patient/b"),
    ]
    return study, first, second


def test_two_sources(tmp_path: Path) -> None:
    """One person by identifier, one fact told twice, of which one is left when the other is gone."""
    study, first, second = of_two_sources(tmp_path)
    mapper = StudyMapper(study)
    for name, resources in (("first", first), ("second", second)):
        (tmp_path / f"{name}.ndjson").write_text("\n".join(json.dumps(one) for one in resources))
    read = api.build_cohort(None, study, now=NOW)
    assert read.accounting["Observation"].ignored == {"SAME_FACT": 1}
    store = tmp_path / "store"
    run_in(store, [by_type(second, source="second"), by_type(first, source="first")], mapper=mapper)
    assert_equal(cohort_in(store), read)
    gone = [fetched("Observation", source="first", deleted=[grave("Observation", "w")])]
    run_in(store, [gone], mapper=mapper, run="run-2")
    (tmp_path / "first.ndjson").write_text("\n".join(json.dumps(one) for one in first if one["id"] != "w"))
    assert_equal(cohort_in(store), api.build_cohort(None, study, now=NOW))


def test_an_unchanged_server_changes_no_row(tmp_path: Path) -> None:
    """Ten runs that read everything again write no row, no raw file and no snapshot."""
    resources = golden()
    _, digest = run_in(tmp_path / "store", [by_type(resources)])
    before = sorted(path.name for path in (tmp_path / "store" / "published").iterdir())
    for number in range(2, 12):
        counts, again = run_in(tmp_path / "store", [by_type(resources)], run=f"run-{number}")
        assert (counts[0].new, counts[0].changed, counts[0].removed, counts[0].remapped) == (0, 0, 0, 0)
        assert again == digest
    raw = [path.parent.name for path in (tmp_path / "store" / "raw").glob("*/*.zst")]
    assert set(raw) == {"run-1"}
    assert sorted(path.name for path in (tmp_path / "store" / "published").iterdir()) == before
    with opened(tmp_path / "store", mapper=MAPPER, run=None) as store:
        assert {run.changed for run in store.status(20).runs} == {0}
