"""A cohort written to a folder is the one built in memory, however the input is cut into batches."""

import gzip
import importlib
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard
from incoming import (
    NOW,
    Json,
    administration,
    assert_balanced,
    bundle,
    cohort_of,
    facts,
    meta,
    ndjson,
    observation,
    patient,
    weight,
)

from fhiradapter import api
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import UsageError

STUDY = api.anonymous_study()
PER_KILOGRAM = {"dose": {"value": 2, "unit": "10*6.{cells}/kg", "code": "10*6.{cells}/kg"}}


def resources() -> list[Json]:
    """Return resources of which many wait for others, replace others or belong to others."""
    found: list[Json] = [
        patient("p1"),
        patient("p2", link=[{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]),
        weight("w1", 70, "2024-03-04"),
        administration(dosage=PER_KILOGRAM, medicationCodeableConcept={"text": "cells"}),
        administration(
            "a2", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"}
        ),
        observation("panel", valueQuantity=None, hasMember=[{"reference": "Observation/o3"}]),
    ]
    found += [observation(f"o{n}", n, subject=f"Patient/p{1 + n % 2}", **meta("1")) for n in range(60)]
    found += [observation(f"o{n}", n + 100, **meta("2"), status="amended") for n in range(0, 60, 7)]
    found += [observation("o5", 5, **meta("1"), subject="Patient/p2"), observation("bad", status=7)]
    found.append(
        {"resourceType": "Medication", "id": "m", "code": {"text": "x"}, "batch": {"lotNumber": "L"}}
    )
    return found


def folder_cohort(source: object, folder: Path) -> Cohort:
    """Map to a folder and read it back, without the code that reads cohorts."""
    accounts = api.map_to_folder(source, STUDY, folder, now=NOW)
    cohort = Cohort({table: pq.read_table(folder / f"{table}.parquet") for table in SCHEMAS}, accounts)
    assert_balanced(cohort)
    return cohort


def test_a_folder_holds_what_a_cohort_in_memory_holds(tmp_path: Path) -> None:
    """The same rows and the same accounts; each table has its schema, also without rows."""
    (tmp_path / "in.ndjson").write_bytes(ndjson(resources()))
    written = folder_cohort(tmp_path / "in.ndjson", tmp_path / "out")
    built = cohort_of(tmp_path / "in.ndjson")
    assert facts(written) == facts(built)
    assert written.accounting == built.accounting
    for table, schema in SCHEMAS.items():
        assert pq.read_schema(tmp_path / "out" / f"{table}.parquet").equals(schema)
    # 60 results and the panel; one weight; all of them about p1, who replaced p2.
    assert len(written.measurements) == 62
    assert set(written.measurements["subject_id"]) == {"p1"}
    assert written.exposures.set_index("resource_id")["dose_cells"]["a1"] == pytest.approx(140e6)


CUTS = {
    "fhiradapter.fhir.compression": ("PORTION", "COMPRESSED_PORTION"),
    "fhiradapter.fhir.documents": ("ENTRIES_AT_ONCE",),
    "fhiradapter.fhir.memory": ("TOGETHER",),
    "fhiradapter.engines.local": ("AT_ONCE",),
    "fhiradapter.store.landing": ("ROWS_AT_ONCE",),
    "fhiradapter.holdings": ("COPIES_AT_ONCE",),
}


@pytest.mark.parametrize("size", [1, 7, 300, 4_096])
@pytest.mark.parametrize("form", ["ndjson", "ndjson.gz", "ndjson.zst", "json", "dictionaries"])
def test_where_batches_begin_and_end_makes_no_difference(
    form: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portions of one byte, of seven, of less than a line and of several: the same cohort."""
    sent = resources() if size > 1 else resources()[:20]
    expected = facts(cohort_of(sent))
    content = {
        "ndjson": ndjson(sent),
        "ndjson.gz": gzip.compress(ndjson(sent)),
        "ndjson.zst": zstandard.compress(ndjson(sent)),
        "json": json.dumps(bundle("collection", [{"resource": one} for one in sent]), indent=1).encode(),
        "dictionaries": b"",
    }[form]
    (tmp_path / f"in.{form}").write_bytes(content)
    source = iter(sent) if form == "dictionaries" else tmp_path / f"in.{form}"
    for module, names in CUTS.items():
        for name in names:
            assert getattr(importlib.import_module(module), name) > 0
            monkeypatch.setattr(f"{module}.{name}", size)
    assert facts(folder_cohort(source, tmp_path / "out")) == expected


def test_more_resources_than_one_batch_holds_keep_their_places() -> None:
    """1,201 dictionaries and a text between them: every row has a place of its own."""
    sent: list[object] = [patient(), *(observation(f"o{n}", n) for n in range(700))]
    sent.append(ndjson([observation("text", 1)]))
    sent += [observation(f"o{n}", n) for n in range(700, 1_200)]
    cohort = cohort_of(sent)
    places = cohort.measurements[["source_file", "source_line"]]
    assert len(places) == 1_201
    assert not places.duplicated().any()


def test_an_older_cohort_is_replaced(tmp_path: Path) -> None:
    """A second run leaves nothing of the first."""
    api.map_to_folder([patient("p1"), patient("p9")], STUDY, tmp_path / "out", now=NOW)
    cohort = folder_cohort([patient("p2")], tmp_path / "out")
    assert cohort.subjects["subject_id"].tolist() == ["p2"]


@pytest.mark.parametrize("kind", ["a file in it", "a folder in it", "a file in its place"])
def test_a_folder_with_other_things_is_not_touched(kind: str, tmp_path: Path) -> None:
    """Nothing of somebody else's is deleted, and nothing half-made is left beside it."""
    out = tmp_path / "out"
    if kind == "a file in its place":
        out.write_text("mine")
        mine = out
    else:
        out.mkdir()
        mine = out / ("notes.txt" if kind == "a file in it" else "notes")
        mine.write_text("mine") if kind == "a file in it" else mine.mkdir()
    with pytest.raises(UsageError):
        api.map_to_folder([patient()], STUDY, out, now=NOW)
    assert mine.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a half-made folder nor a changed older one."""
    api.map_to_folder([patient()], STUDY, tmp_path / "out", now=NOW)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError):
        api.map_to_folder(tmp_path / "missing.ndjson", STUDY, tmp_path / "out", now=NOW)

    def broken() -> object:
        yield patient("p2")
        raise OSError("the caller's own source broke off")

    with pytest.raises(OSError, match="broke off"):
        api.map_to_folder(broken(), STUDY, tmp_path / "out", now=NOW)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_temporary_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to wait on disk is gone afterwards, also when it is more than memory was given for it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr("fhiradapter.store.spool.IN_MEMORY", 10)
    cohort = folder_cohort(resources(), tmp_path / "out")
    assert cohort.exposures["batch"].dropna().tolist() == ["L"]
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scratch"]
