"""A file that is damaged, empty or of another form has a reason, and the files beside it are read."""

import bz2
import gzip
import json
import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest
import zstandard
from incoming import bundle, cohort_of, line, ndjson, observation, patient, reasons, totals, values

GOOD = [patient(), observation("good")]
OBSERVATION = line(observation("bad"))
MEGABYTE = 2**20

FILES: dict[str, tuple[str, bytes, str, int]] = {
    # name: file, content, reason, how many resources it stands for
    "empty": ("a.ndjson", b"", "EMPTY_FILE", 0),
    "blank": ("a.ndjson", b" \r\n\t\n\n", "EMPTY_FILE", 0),
    "only a byte order mark": ("a.json", b"\xef\xbb\xbf", "EMPTY_FILE", 0),
    "empty inside of gzip": ("a.ndjson.gz", gzip.compress(b""), "EMPTY_FILE", 0),
    "empty inside of zstd": ("a.ndjson.zst", zstandard.compress(b""), "EMPTY_FILE", 0),
    "gzip of no bytes": ("a.ndjson.gz", b"", "EMPTY_FILE", 0),
    "XML": ("a.json", b'<?xml version="1.0"?>\n<Patient><id value="x"/></Patient>\n', "UNKNOWN_FORMAT", 0),
    "CSV": ("a.ndjson", b"id,birth\np9,1970\n", "UNKNOWN_FORMAT", 0),
    "HTML": ("a.json", b"<!doctype html>\n<html><body>Sign in</body></html>", "UNKNOWN_FORMAT", 0),
    "a picture": ("a.json", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)), "UNKNOWN_FORMAT", 0),
    "Parquet": ("a.ndjson", b"PAR1\x15\x04\x15\x10" + bytes(64) + b"PAR1", "UNKNOWN_FORMAT", 0),
    "UTF-16 little endian": ("a.json", OBSERVATION.decode().encode("utf-16"), "INVALID_ENCODING", 1),
    "UTF-16 big endian": (
        "a.ndjson",
        b"\xfe\xff" + OBSERVATION.decode().encode("utf-16-be"),
        "INVALID_ENCODING",
        1,
    ),
    "a bulk manifest": (
        "manifest.json",
        b'{"transactionTime":"2024-03-04T00:00:00Z","request":"x","output":[]}',
        "NOT_FHIR",
        1,
    ),
    "100,000 levels of lists": ("a.json", b"[" * 100_000 + b"]" * 100_000, "NOT_FHIR", 1),
    "ten megabytes over several lines": (
        "a.json",
        json.dumps(observation("bad", note="x" * 10 * MEGABYTE), indent=1).encode(),
        "TOO_LARGE",
        1,
    ),
    "a truncated document": (
        "a.json",
        json.dumps(observation("bad"), indent=1).encode()[:-30],
        "TRUNCATED_JSON",
        1,
    ),
    "not gzip": ("a.ndjson.gz", ndjson([observation("bad")]), "TRUNCATED_FILE", 0),
    "not zstd": ("a.ndjson.zst", ndjson([observation("bad")]), "TRUNCATED_FILE", 0),
    "gzip cut in its head": ("a.ndjson.gz", gzip.compress(OBSERVATION)[:5], "TRUNCATED_FILE", 0),
    "zstd cut in its head": ("a.ndjson.zst", zstandard.compress(OBSERVATION)[:3], "TRUNCATED_FILE", 0),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_does_not_stop_the_others(name: str, tmp_path: Path) -> None:
    """It has a reason of its own and names the file; what lies beside it is mapped."""
    file, content, reason, received = FILES[name]
    (tmp_path / file).write_bytes(content)
    (tmp_path / "good.ndjson").write_bytes(ndjson(GOOD))
    cohort = cohort_of(tmp_path)
    assert values(cohort) == {"good": 40.0}
    assert reasons(cohort) == [reason]
    assert totals(cohort) == (2 + received, 2, received, 0)
    assert file in cohort.issues["source_file"].tolist()


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_what_comes_before_the_damage_of_a_compressed_file_is_read(suffix: str, tmp_path: Path) -> None:
    """Lines before the place where the file ends early are good; the line that it hits is not."""
    noise = random.Random(20_240_304)
    resources = [*GOOD, *(observation(f"o{n}", note=noise.randbytes(200).hex()) for n in range(2_000))]
    content = ndjson(resources)
    packed = gzip.compress(content) if suffix == "gz" else zstandard.compress(content)
    (tmp_path / f"a.ndjson.{suffix}").write_bytes(packed[: len(packed) * 3 // 4])
    cohort = cohort_of(tmp_path)
    assert "TRUNCATED_FILE" in reasons(cohort)
    assert set(reasons(cohort)) <= {"TRUNCATED_FILE", "TRUNCATED_JSON"}
    read = set(values(cohort))
    # Three quarters of the bytes hold about three quarters of the lines; a zstd block holds 128 KiB of text.
    assert 1_000 < len(read) < 1_600
    assert read == {"good", *(f"o{n}" for n in range(len(read) - 1))}


def test_damage_at_the_very_end_takes_nothing_away(tmp_path: Path) -> None:
    """Only the checksum is missing: every line is there, and the file is still called truncated."""
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(ndjson(GOOD))[:-4])
    cohort = cohort_of(tmp_path)
    assert values(cohort) == {"good": 40.0}
    assert reasons(cohort) == ["TRUNCATED_FILE"]
    assert totals(cohort) == (2, 2, 0, 0)


def test_a_folder_named_like_a_file_is_said_and_read(tmp_path: Path) -> None:
    """Unpacking tools make `Observation.ndjson/Observation.ndjson`."""
    (tmp_path / "Observation.ndjson").mkdir()
    (tmp_path / "Observation.ndjson" / "part.ndjson").write_bytes(ndjson(GOOD))
    cohort = cohort_of(tmp_path)
    assert reasons(cohort) == ["NOT_A_FILE"]
    assert values(cohort) == {"good": 40.0}
    # Asked for by name it is a folder like any other.
    assert values(cohort_of(tmp_path / "Observation.ndjson")) == {"good": 40.0}


@pytest.mark.parametrize("obstacle", ["a dangling link", "a circle of links", "a pipe", "no permission"])
def test_a_file_that_cannot_be_opened_has_a_reason(obstacle: str, tmp_path: Path) -> None:
    """It is said, nobody waits for it, and the others are read."""
    file = tmp_path / "bad.ndjson"
    if obstacle == "a dangling link":
        file.symlink_to(tmp_path / "gone.ndjson")
    elif obstacle == "a circle of links":
        file.symlink_to(file)
    elif obstacle == "a pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(ndjson([observation("bad")]))
        file.chmod(stat.S_IWUSR)
        if os.access(file, os.R_OK):
            pytest.skip("this user may read every file, so permissions cannot be tested")
    (tmp_path / "good.ndjson").write_bytes(ndjson(GOOD))
    cohort = cohort_of(tmp_path)
    assert reasons(cohort) == ["UNREADABLE_FILE"]
    assert values(cohort) == {"good": 40.0}


OTHER_FORMS: dict[str, bytes] = {
    "x.xml": b'<?xml version="1.0"?>\n<Patient><id value="x"/></Patient>\n',
    "notes.txt": b"Results of March are in the other folder.\n",
    "data.ndjson.bz2": bz2.compress(OBSERVATION),
    "part-0001": b"MSH|^~\\&|LAB\rPID|1\r",
}


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_a_file_of_another_form_is_not_passed_over(name: str, tmp_path: Path) -> None:
    """A folder may hold FHIR in a form that is not read: the file is named, not left out without a word."""
    (tmp_path / name).write_bytes(OTHER_FORMS[name])
    (tmp_path / "good.ndjson").write_bytes(ndjson(GOOD))
    cohort = cohort_of(tmp_path)
    assert values(cohort) == {"good": 40.0}
    issues = cohort.issues[["reason", "disposition", "source_file"]].values.tolist()
    assert issues == [["UNKNOWN_FORMAT", "flagged", name]]
    assert totals(cohort) == (2, 2, 0, 0)


@pytest.mark.parametrize("name", ["part-0001", "export.txt", "Observation.2024", "deep/Observation"])
def test_resources_are_read_from_a_folder_whatever_their_file_is_called(name: str, tmp_path: Path) -> None:
    """What a file holds tells how to read it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(ndjson(GOOD))
    cohort = cohort_of(tmp_path)
    assert values(cohort) == {"good": 40.0}
    assert cohort.issues.empty


PASSED_OVER = [
    "README",
    "readme.txt",
    "LICENSE",
    "License.txt",
    "notes.md",
    "patients.csv",
    "study.toml",
    "make_fhir.py",
    ".DS_Store",
    "._good.ndjson",
    ".git/index",
    ".cache/deep/old.ndjson",
]


@pytest.mark.parametrize("asked", ["folder", "glob of folders"])
def test_what_is_put_beside_an_export_is_passed_over_in_a_folder(asked: str, tmp_path: Path) -> None:
    """Words, tables, programs and hidden files are no failures of an export."""
    export = tmp_path / "export"
    for name in PASSED_OVER:
        (export / name).parent.mkdir(parents=True, exist_ok=True)
        (export / name).write_bytes(b"not FHIR\n")
    (export / "good.ndjson").write_bytes(ndjson(GOOD))
    cohort = cohort_of(export if asked == "folder" else str(tmp_path / "exp*"))
    assert values(cohort) == {"good": 40.0}
    assert cohort.issues.empty


@pytest.mark.parametrize("name", ["notes.md", ".hidden.ndjson"])
def test_a_file_that_is_asked_for_by_name_is_never_passed_over(name: str, tmp_path: Path) -> None:
    """Who names a file means it; a hidden folder as well."""
    folder = tmp_path / ".export"
    folder.mkdir()
    (folder / name).write_bytes(ndjson(GOOD))
    (folder / "good.ndjson").write_bytes(ndjson(GOOD))
    assert values(cohort_of(folder / name)) == {"good": 40.0}
    assert values(cohort_of(folder)) == {"good": 40.0}
    assert totals(cohort_of(folder)) == (2, 2, 0, 0)


def test_texts_that_are_no_json_are_no_paths() -> None:
    """A chart handed over as XML must not become the name of a file in an error."""
    for text in ("<Patient>\n<name/></Patient>", "<Patient><name/></Patient>", "MSH|^~\\&|\rPID|1\r"):
        assert reasons(cohort_of(text)) == ["UNKNOWN_FORMAT"]
    for text in ("", " \n\t"):
        assert reasons(cohort_of(text)) == ["EMPTY_FILE"]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Change, drop, double, insert or cut some bytes."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found))
        length = chance.randint(1, 40)
        match chance.randrange(5):
            case 0:
                found[at] = chance.randrange(256)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                found[at:at] = chance.choice(
                    [b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\\", b"\x00", b"\xff", b"9" * 30]
                )
            case _:
                found = found[: max(1, at)]
    return bytes(found)


FORM: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "id": "q",
    "status": "completed",
    "subject": {"reference": "Patient/p1"},
    "item": [{"linkId": "82940-8", "answer": [{"valueInteger": 3}]}],
}
SAMPLE = [
    *GOOD,
    FORM,
    observation("o2", subject="urn:uuid:7", contained=[patient("inner")]),
    observation("o3"),
]


@pytest.mark.parametrize("form", ["lines", "document"])
def test_random_damage_never_stops_the_reading(form: str, tmp_path: Path) -> None:
    """200 files with random damage: nothing is raised, all balances, and most of the rest is mapped."""
    seed = 20_240_304
    print("seed", seed)
    chance = random.Random(seed)
    whole = ndjson(SAMPLE)
    if form == "document":
        whole = json.dumps(bundle("collection", [{"resource": one} for one in SAMPLE]), indent=1).encode()
    mapped = 0
    for number in range(200):
        content = mutated(whole, chance)
        (tmp_path / "a.json").write_bytes(content)
        print(number, content)
        cohort = cohort_of([tmp_path / "a.json"] if number % 2 else content)
        received, good, quarantined, ignored = totals(cohort)
        assert received == good + quarantined + ignored
        assert received or not cohort.issues.empty
        mapped += good
    # Each damage hits few of the five resources.
    assert mapped > 200 * len(SAMPLE) / 4
