"""However the same resources arrive, the cohort is the same."""

import gzip
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import zstandard
from incoming import (
    RESOURCES,
    as_bundle,
    bundle,
    cohort_of,
    facts,
    line,
    ndjson,
    observation,
    patient,
    totals,
)

from fhiradapter.errors import FhirAdapterError, UsageError

# table, resource, subject, what it says: worked out from RESOURCES by hand.
EXPECTED = """
subjects      p1  p1  female
subjects      p2  p2  male
measurements  o1  p1  40.0
measurements  o2  p2  55.5
measurements  o3  p1  61.2
measurements  q1  p1  3.0
exposures     a1  p1  LOT-7
events        c1  p1  als
events        e1  p2  adverse_event
encounters    v1  p1  AMB
"""
TELLING = {"subjects": "sex", "measurements": "value", "exposures": "batch", "encounters": "encounter_class"}


def lines() -> list[bytes]:
    return [line(resource) for resource in RESOURCES]


def write(name: str, content: bytes) -> Callable[[Path], Any]:
    def place(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return place


def write_pretty(folder: Path) -> Path:
    for number, resource in enumerate(RESOURCES):
        text = json.dumps(resource, indent=2)
        (folder / f"{number:02}.json").write_text(text)
    return folder


def write_types(folder: Path) -> Path:
    """One file per type below one folder each, as bulk exports are unpacked."""
    for number, resource in enumerate(RESOURCES):
        kind = folder / "export" / resource["resourceType"]
        kind.mkdir(parents=True, exist_ok=True)
        (kind / f"{number}.ndjson").write_bytes(line(resource))
    return folder


def write_mixed(folder: Path) -> str:
    """Several compressions and forms, found by one glob."""
    (folder / "1.ndjson").write_bytes(ndjson(RESOURCES[:4]))
    (folder / "2.ndjson.gz").write_bytes(gzip.compress(ndjson(RESOURCES[4:8])))
    (folder / "3.json").write_bytes(line(as_bundle("collection", RESOURCES[8:])))
    (folder / "notes.txt").write_text("not FHIR, and not asked for")
    return str(folder / "*.*json*")


def objects(version: str) -> list[Any]:
    """Return the resources as objects of fhir.resources."""
    found = []
    for resource in RESOURCES:
        kind = resource["resourceType"]
        module = import_module(f"fhir.resources.{version}.{kind.lower()}")
        found.append(getattr(module, kind).model_validate(resource))
    return found


def frames(parts: list[bytes]) -> bytes:
    return b"".join(zstandard.compress(part) for part in parts)


def members(parts: list[bytes]) -> bytes:
    return b"".join(gzip.compress(part) for part in parts)


PLAIN = ndjson(RESOURCES)
CUT = [PLAIN[:100], PLAIN[100:101], PLAIN[101:900], PLAIN[900:]]  # members and frames end inside of lines

WAYS: dict[str, Callable[[Path], Any]] = {
    "NDJSON": write("a.ndjson", PLAIN),
    "NDJSON with CRLF": write("a.ndjson", PLAIN.replace(b"\n", b"\r\n")),
    "NDJSON with blank lines": write("a.ndjson", b"\n\n" + PLAIN.replace(b"\n", b"\n  \n\n")),
    "NDJSON with a megabyte of blank lines first": write("a.ndjson", b"\n" * 2**20 + b"\n" + PLAIN),
    "NDJSON without a final newline": write("a.ndjson", PLAIN.rstrip()),
    "NDJSON with blanks in the lines": write("a.ndjson", b"\n".join(b"  " + one + b" \t" for one in lines())),
    "NDJSON with a byte order mark": write("a.ndjson", b"\xef\xbb\xbf" + PLAIN),
    "NDJSON put together from files with marks": write(
        "a.ndjson", b"".join(b"\xef\xbb\xbf" + one + b"\n" for one in lines())
    ),
    "NDJSON in escapes": write("a.ndjson", "\n".join(map(json.dumps, RESOURCES)).encode()),
    "another suffix": write("a.jsonl", PLAIN),
    "no known suffix, asked for by name": write("part-0001", PLAIN),
    "gzip": write("a.ndjson.gz", gzip.compress(PLAIN)),
    "gzip of several members": write("a.ndjson.gz", members(CUT)),
    "gzip of an empty and a blank member first": write("a.ndjson.gz", members([b"", b"\n", PLAIN])),
    "zstd": write("a.ndjson.zst", zstandard.compress(PLAIN)),
    "zstd of several frames": write("a.ndjson.zst", frames(CUT)),
    "zstd without its size": write(
        "a.ndjson.zst", zstandard.ZstdCompressor(write_content_size=False).compress(PLAIN)
    ),
    "zstd of an empty and a blank frame first": write("a.ndjson.zst", frames([b"", b"\n", PLAIN])),
    "one pretty file each": write_pretty,
    "one folder per type": write_types,
    "one glob of everything": write_mixed,
    "JSON array": write("a.json", json.dumps(RESOURCES).encode()),
    "pretty JSON array": write("a.json", json.dumps(RESOURCES, indent=1).encode()),
    "pretty Bundle": write("a.json", json.dumps(as_bundle("collection", RESOURCES), indent=2).encode()),
    "compact Bundle, compressed": write("a.json.gz", gzip.compress(line(as_bundle("collection", RESOURCES)))),
    "array of Bundles": write(
        "a.json",
        json.dumps([as_bundle("searchset", RESOURCES[:5]), as_bundle("searchset", RESOURCES[5:])]).encode(),
    ),
    "Bundles as lines": write(
        "a.ndjson", ndjson([as_bundle("searchset", RESOURCES[:5]), as_bundle("searchset", RESOURCES[5:])])
    ),
    "Bundle and resources as lines": write(
        "a.ndjson", ndjson([as_bundle("searchset", RESOURCES[:5]), *RESOURCES[5:]])
    ),
    "several paths": lambda folder: [
        write("a.ndjson", ndjson(RESOURCES[:6]))(folder),
        str(write("b.ndjson", ndjson(RESOURCES[6:]))(folder)),
    ],
    "bytes": lambda _: PLAIN,
    "bytearray": lambda _: bytearray(PLAIN),
    "text": lambda _: PLAIN.decode(),
    "text with blank lines first": lambda _: "\n\n" + PLAIN.decode(),
    "dictionaries": lambda _: RESOURCES,
    "a generator of dictionaries": lambda _: (resource for resource in RESOURCES),
    "a list of bytes": lambda _: lines(),
    "a list of texts": lambda _: [one.decode() for one in lines()],
    "Bundle as a dictionary": lambda _: as_bundle("collection", RESOURCES),
    "Bundle as bytes": lambda _: line(as_bundle("collection", RESOURCES)),
    "Bundle as a pretty text": lambda _: json.dumps(as_bundle("collection", RESOURCES), indent=4),
    "pages of a search": lambda _: iter(
        [as_bundle("searchset", RESOURCES[:3]), as_bundle("searchset", RESOURCES[3:])]
    ),
    "objects": lambda _: objects("R4B"),
    "dictionaries of objects": lambda _: [one.model_dump() for one in objects("R4B")],
    "everything mixed": lambda _: [
        RESOURCES[0],
        ndjson(RESOURCES[1:3]),
        as_bundle("collection", RESOURCES[3:6]),
        line(RESOURCES[6]).decode(),
        *objects("R4B")[7:],
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_cohort_is_the_same_whichever_way_its_resources_arrive(way: str, tmp_path: Path) -> None:
    """Forms, compressions, folders and objects carry the same facts; nothing is an issue."""
    cohort = cohort_of(WAYS[way](tmp_path))
    found = []
    for table in ("subjects", "measurements", "exposures", "events", "encounters"):
        for row in cohort.arrow(table).to_pylist():
            said = row[TELLING[table]] if table in TELLING else row["concept"] or row["kind"]
            found.append(" ".join((table, row["resource_id"], row["subject_id"], str(said))))
    assert sorted(found) == sorted(" ".join(row.split()) for row in EXPECTED.strip().splitlines())
    assert cohort.issues.empty
    assert totals(cohort) == (12, 12, 0, 0)
    assert facts(cohort) == facts(cohort_of(RESOURCES))


def bundle_of(content: bytes) -> bytes:
    return b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":' + content + b"}]}"


def test_digits_are_kept_as_they_were_sent() -> None:
    """1.10 says more than 1.1, in a file as in an object."""
    text = line(observation("o1", 0)).replace(b'"value":0', b'"value":1.10')
    for sent in (text, text.decode(), [text], bundle_of(text)):
        cohort = cohort_of(sent)
        assert cohort.measurements["source_value"].tolist() == ["1.10"]
        assert cohort.measurements["value"].tolist() == [1.1]


def test_rows_say_where_they_were_read(tmp_path: Path) -> None:
    """File and line lead back to the resource: line 4, since blank lines count."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "labs.ndjson").write_bytes(b"\n\n\n" + ndjson([observation()]))
    row = cohort_of(tmp_path).measurements.iloc[0]
    assert (row["source_file"], row["source_line"]) == (str(Path("sub") / "labs.ndjson"), 4)


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    """A glob over several exports, where each resource without an id is named after its place."""
    nameless = observation()
    del nameless["id"]
    for number in (1, 2):
        (tmp_path / f"export{number}").mkdir()
        (tmp_path / f"export{number}" / "Observation.ndjson").write_bytes(ndjson([nameless]))
    cohort = cohort_of(str(tmp_path / "*" / "*.ndjson"))
    assert cohort.accounting["Observation"].mapped == 2
    assert cohort.measurements["row_id"].is_unique


def test_one_file_named_twice_is_read_once(tmp_path: Path) -> None:
    """A folder and a file in it: nothing is a duplicate."""
    (tmp_path / "a.ndjson").write_bytes(ndjson([patient(), observation()]))
    cohort = cohort_of([tmp_path, tmp_path / "a.ndjson"])
    assert totals(cohort) == (2, 2, 0, 0)


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A misspelt name must not look like a source without patients."""
    for missing in (tmp_path / "none.ndjson", str(tmp_path / "*.ndjson"), tmp_path / "no" / "such"):
        with pytest.raises(UsageError, match="there is no such file or folder"):
            cohort_of(missing)


@pytest.mark.parametrize("thing", [7, 1.5, None, [7], [None], [["p1"]]])
def test_what_cannot_be_fhir_is_an_error_of_the_call(thing: Any) -> None:
    """A number is no resource, and the call says so."""
    with pytest.raises(FhirAdapterError):
        cohort_of(thing)


def test_nothing_gives_an_empty_cohort() -> None:
    """No resources are no error: zero received."""
    for nothing in ([], iter(()), bundle("searchset", [], total=0)):
        cohort = cohort_of(nothing)
        assert totals(cohort) == (0, 0, 0, 0)
        assert cohort.issues.empty


def test_one_administration_in_four_versions_of_fhir_is_the_same_row() -> None:
    """STU3, R4, R4B and R5 rename elements; the row has one shape. Objects of each version are read too."""
    drug = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "35623"}]}
    shared = {"resourceType": "MedicationAdministration", "subject": {"reference": "Patient/p1"}}
    dosage = {"dose": {"value": 50, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}}
    older = {"medicationCodeableConcept": drug, "effectiveDateTime": "2024-03-05T10:00:00Z", "dosage": dosage}
    visit = {"reference": "Encounter/v1"}
    sent = {
        "STU3": shared | older | {"status": "completed", "context": visit},
        "R4B": shared | older | {"status": "completed", "context": visit},
        "R5": shared
        | {"status": "completed", "medication": {"concept": drug}, "dosage": dosage, "encounter": visit}
        | {"occurenceDateTime": "2024-03-05T10:00:00Z"},
    }
    packages = {"STU3": "fhir.resources.STU3", "R4B": "fhir.resources.R4B", "R5": "fhir.resources"}
    found = []
    for version, resource in sent.items():
        module = import_module(f"{packages[version]}.medicationadministration")
        for one in (resource | {"id": "a1"}, module.MedicationAdministration(**resource, id="a1")):
            cohort = cohort_of([one])
            assert cohort.exposures["concept"].tolist() == ["riluzole"]
            assert cohort.exposures["dose_value"].tolist() == [50.0]
            assert cohort.exposures["encounter_id"].tolist() == ["v1"]
            found.append(facts(cohort))
    assert all(one == found[0] for one in found)
