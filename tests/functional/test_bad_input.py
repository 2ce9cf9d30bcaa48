"""Whatever is wrong with the input has a reason, and the rest of the input is read."""

import json
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from incoming import bundle, cohort_of, line, ndjson, observation, patient, reasons, totals, values

from fhiradapter.api import anonymous_study
from fhiradapter.settings import Limits, Study

GOOD = [patient(), observation("good")]
MEGABYTE = 2**20


class Bad(NamedTuple):
    """Bytes that hold one bad resource, and what has to be said of it."""

    content: bytes
    reason: str
    kind: str = "Observation"
    received: int = 1


def with_text(raw: bytes, *, element: str = "note") -> bytes:
    """Return an observation with raw bytes in a string; `note` is not read, `valueString` is."""
    return line(observation("bad", **{element: "@@"})).replace(b"@@", raw)


def with_element(raw: bytes) -> bytes:
    """Return an observation with a raw JSON value in an element that is not read."""
    return line(observation("bad", note="@@")).replace(b'"@@"', raw)


def with_value(raw: bytes) -> bytes:
    """Return an observation whose number is some raw bytes."""
    return line(observation("bad", value="@@")).replace(b'"@@"', raw)


def nested(depth: int) -> bytes:
    """Return an observation whose brackets nest to a depth, by extensions in an element that is not read."""
    assert depth >= 3
    inner = (depth - 2) // 2
    note = b'{"extension":[' * inner + (b"[]" if depth % 2 else b"") + b"]}" * inner
    return line(observation("bad", note=["@@"])).replace(b'"@@"', note)


def questions(depth: int) -> bytes:
    """Return a form whose groups, which are read, nest to a depth."""
    start = b'{"resourceType":"QuestionnaireResponse","id":"bad","status":"completed","item":'
    return start + b'[{"item":' * depth + b"[]" + b"}]" * depth + b"}"


def bracket_depth(content: bytes) -> int:
    """Count the depth by hand: no string of these resources holds a bracket."""
    level = deepest = 0
    for byte in content:
        level += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, level)
    return deepest


OBSERVATION = line(observation("bad"))
LINES = {
    "truncated": Bad(OBSERVATION[:-40], "TRUNCATED_JSON"),
    "truncated after the first bracket": Bad(b'{"', "TRUNCATED_JSON", "(unreadable)"),
    "not JSON": Bad(b"{resourceType: Observation}", "MALFORMED_JSON", "(unreadable)"),
    "two resources in a line": Bad(OBSERVATION + OBSERVATION, "MALFORMED_JSON"),
    "a comma too many": Bad(OBSERVATION[:-1] + b",}", "MALFORMED_JSON"),
    "single quotes": Bad(repr(observation()).encode(), "MALFORMED_JSON", "(unreadable)"),
    "words": Bad(b"ERROR: connection reset by peer", "MALFORMED_JSON", "(unreadable)"),
    "wrong type": Bad(line(observation("bad", status=7)), "WRONG_TYPE"),
    "an id of the wrong type": Bad(line(observation(7)), "WRONG_TYPE"),
    "a version of the wrong type": Bad(line(observation("bad", meta=["1"])), "WRONG_TYPE"),
    "a list for an object": Bad(line(observation("bad", subject=[])), "WRONG_TYPE"),
    "a number in quotes": Bad(with_value(b'"40"'), "WRONG_TYPE"),
    "no resourceType": Bad(b'{"id":"x"}', "NOT_FHIR", "(unreadable)"),
    "resourceType is a number": Bad(b'{"resourceType":7}', "NOT_FHIR", "(unreadable)"),
    "a bare number": Bad(b"42", "NOT_FHIR", "(unreadable)"),
    "a bare text": Bad(b'"Observation"', "NOT_FHIR", "(unreadable)"),
    "a bare null": Bad(b"null", "NOT_FHIR", "(unreadable)"),
    "a bare list": Bad(b"[]", "NOT_FHIR", "(unreadable)"),
    "NaN that is read": Bad(with_value(b"NaN"), "MALFORMED_JSON"),
    "Infinity that is read": Bad(with_value(b"Infinity"), "MALFORMED_JSON"),
    "minus Infinity that is read": Bad(with_value(b"-Infinity"), "MALFORMED_JSON"),
    "NaN that is not read": Bad(with_element(b"NaN"), "MALFORMED_JSON"),
    "a number with a leading zero": Bad(with_value(b"040"), "MALFORMED_JSON"),
    "invalid UTF-8 that is read": Bad(with_text(b"\xff\xfe", element="valueString"), "INVALID_ENCODING"),
    "invalid UTF-8 that is not read": Bad(with_text(b"caf\xe9"), "INVALID_ENCODING"),
    "an overlong slash": Bad(with_text(b"\xc0\xaf"), "INVALID_ENCODING"),
    "half a character as bytes": Bad(with_text(b"\xed\xa0\x80"), "INVALID_ENCODING"),
    "NUL that is read": Bad(with_text(b"a\x00b", element="valueString"), "NUL_CHARACTER"),
    "NUL that is not read": Bad(with_text(b"a\x00b"), "NUL_CHARACTER"),
    "escaped NUL that is read": Bad(with_text(rb"a\u0000b", element="valueString"), "NUL_CHARACTER"),
    "escaped NUL that is not read": Bad(with_text(rb"a\u0000b"), "NUL_CHARACTER"),
    "NUL after a backslash": Bad(with_text(rb"a\\\u0000b"), "NUL_CHARACTER"),
    "half a character that is read": Bad(with_text(rb"\ud83d", element="valueString"), "MALFORMED_JSON"),
    "ten megabytes": Bad(with_text(b"x" * 10 * MEGABYTE), "TOO_LARGE", "(unreadable)"),
    "65 levels": Bad(nested(65), "TOO_DEEP"),
    "65 levels that are read": Bad(questions(32), "TOO_DEEP", "QuestionnaireResponse"),
    "100,000 levels that are not read": Bad(nested(100_000), "TOO_DEEP"),
    "100,000 levels that are read": Bad(questions(100_000), "TOO_DEEP", "QuestionnaireResponse"),
    "100,000 levels of lists": Bad(with_element(b"[" * 100_000 + b"]" * 100_000), "TOO_DEEP"),
    "100,000 levels in a contained resource": Bad(
        line(observation("bad", contained=["@@"])).replace(
            b'"@@"', b'{"a":' * 100_000 + b"1" + b"}" * 100_000
        ),
        "TOO_DEEP",
    ),
    "100,000 open brackets": Bad(with_element(b"[" * 100_000), "TOO_DEEP"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_quarantined_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    """It is one received and one quarantined, with its reason, wherever in the file it stands."""
    bad = LINES[name]
    for number, lines in enumerate(
        ([bad.content, line(GOOD[0]), line(GOOD[1])], [line(GOOD[0]), bad.content, line(GOOD[1])])
    ):
        file = tmp_path / f"{number}.ndjson"
        file.write_bytes(b"\n".join(lines))
        cohort = cohort_of(file)
        assert values(cohort) == {"good": 40.0}
        assert reasons(cohort) == [bad.reason]
        assert totals(cohort) == (3, 2, 1, 0)
        assert cohort.accounting[bad.kind].quarantined == 1
        issue = cohort.issues[cohort.issues["disposition"] == "quarantined"].iloc[0]
        assert issue["source_line"] == 1 + number


@pytest.mark.parametrize("name", [name for name in LINES if not name.startswith("a bare")])
def test_a_bad_resource_as_the_only_one_has_the_same_reason(name: str, tmp_path: Path) -> None:
    """A file of one bad resource beside a good file: nothing else changes."""
    bad = LINES[name]
    (tmp_path / "good.ndjson").write_bytes(ndjson(GOOD))
    (tmp_path / "bad.json").write_bytes(bad.content)
    cohort = cohort_of(tmp_path)
    assert values(cohort) == {"good": 40.0}
    # Words alone are no JSON file at all, so there is nothing to count.
    expected = ("UNKNOWN_FORMAT", 0) if name == "words" else (bad.reason, 1)
    assert (*reasons(cohort), totals(cohort)[2]) == expected


@pytest.mark.parametrize(
    "name",
    [
        "wrong type",
        "no resourceType",
        "invalid UTF-8 that is read",
        "invalid UTF-8 that is not read",
        "NUL that is not read",
        "escaped NUL that is read",
        "half a character that is read",
        "NaN that is read",
        "ten megabytes",
        "65 levels",
        "100,000 levels that are not read",
        "a comma too many",
    ],
)
@pytest.mark.parametrize("form", ["Bundle", "array"])
def test_a_bad_entry_does_not_take_its_neighbours_with_it(name: str, form: str, tmp_path: Path) -> None:
    """The good entries of a Bundle or an array are read, whatever stands between them."""
    bad = LINES[name]
    parts = [line(GOOD[0]), bad.content, line(GOOD[1])]
    if form == "array":
        content = b"[\n" + b",\n".join(parts) + b"\n]\n"
    else:
        entries = b",".join(b'{"resource":' + part + b"}" for part in parts)
        content = b'{\n"resourceType":"Bundle","type":"collection","entry":[' + entries + b"]}\n"
    (tmp_path / "a.json").write_bytes(content)
    cohort = cohort_of(tmp_path / "a.json")
    assert values(cohort) == {"good": 40.0}
    assert reasons(cohort) == [bad.reason]
    assert totals(cohort) == (3, 2, 1, 0)


def test_a_truncated_bundle_gives_its_complete_entries(tmp_path: Path) -> None:
    """A download that broke off: what arrived whole is read, and the break has its reason."""
    content = line(bundle("searchset", [{"resource": one} for one in [*GOOD, observation("cut")]]))
    for form in (content, json.dumps(json.loads(content), indent=1).encode()):
        (tmp_path / "a.json").write_bytes(form[:-60])
        cohort = cohort_of(tmp_path / "a.json")
        assert values(cohort) == {"good": 40.0}
        assert reasons(cohort) == ["TRUNCATED_JSON"]
        assert totals(cohort) == (3, 2, 1, 0)


def test_64_levels_are_allowed() -> None:
    """The limit itself is no offence; what is read and what is not nests equally."""
    assert bracket_depth(nested(64)) == 64
    assert bracket_depth(nested(65)) == 65
    assert bracket_depth(questions(32)) == 66
    cohort = cohort_of([patient(), nested(64)])
    assert values(cohort) == {"bad": 40.0}
    assert reasons(cohort) == []


def test_brackets_in_texts_are_no_levels() -> None:
    """A remark may hold as many brackets as it likes."""
    cohort = cohort_of([patient(), with_text(b"[{" * 500 + rb"\"" + b"}]" * 20)])
    assert values(cohort) == {"bad": 40.0}
    assert reasons(cohort) == []


def limited(**limits: int) -> Study:
    """Return a study with other limits than usual."""
    return anonymous_study().model_copy(update={"limits": Limits(**limits)})


def test_a_study_may_allow_smaller_resources() -> None:
    """A limit of 1,000 bytes refuses a resource of more, and no other."""
    content = ndjson([patient(), observation(note="x" * 1_000), observation("o2")])
    cohort = cohort_of(content, limited(resource_bytes=1_000))
    assert reasons(cohort) == ["TOO_LARGE"]
    assert values(cohort) == {"o2": 40.0}


@pytest.mark.parametrize(("nesting", "allowed"), [(100, True), (99, False)])
def test_a_study_may_allow_other_depths(nesting: int, allowed: bool) -> None:
    """100 levels pass a limit of 100 and none below."""
    cohort = cohort_of([patient(), nested(100)], limited(nesting=nesting))
    assert values(cohort) == ({"bad": 40.0} if allowed else {})


def test_a_number_that_no_computer_holds_is_kept_as_text() -> None:
    """1e999 is JSON; as a value it is none, and its digits are kept. An integer of 2^64 is a number."""
    cohort = cohort_of(
        [
            patient(),
            with_value(b"1e999"),
            line(observation("large")).replace(b":40", b":18446744073709551616"),
        ]
    )
    rows = cohort.measurements.set_index("resource_id")
    assert rows["value"].isna().to_dict() == {"bad": True, "large": False}
    assert rows["source_value"].to_dict() == {"bad": "1e999", "large": "18446744073709551616"}
    assert reasons(cohort) == ["IMPLAUSIBLE_VALUE", "NOT_A_NUMBER"]


def test_a_backslash_before_u0000_is_no_nul() -> None:
    """The text of six characters, backslash and u0000, is harmless."""
    cohort = cohort_of([patient(), with_text(rb"a\\u0000b")])
    assert values(cohort) == {"bad": 40.0}
    assert reasons(cohort) == []


def test_keys_sent_twice_give_one_resource() -> None:
    """JSON parsers take the last; so do we, and nothing is counted twice."""
    cohort = cohort_of([patient(), OBSERVATION[:-1] + b',"id":"last"}'])
    assert values(cohort) == {"last": 40.0}
    assert totals(cohort) == (2, 2, 0, 0)


def test_half_a_character_in_a_text_of_the_caller_is_refused() -> None:
    """Python texts may hold lone surrogates, which no JSON file can."""
    text = OBSERVATION.decode().replace('"bad"', '"b\ud800d"')
    cohort = cohort_of([line(patient()).decode(), text])
    assert reasons(cohort) == ["INVALID_ENCODING"]
    assert totals(cohort) == (2, 1, 1, 0)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_dictionary_with_nan_is_refused_and_not_made_absent(number: float) -> None:
    """NaN must not turn into null on its way, as if nothing had been measured."""
    cohort = cohort_of([patient(), observation("bad", number)])
    assert reasons(cohort) == ["MALFORMED_JSON"]
    assert totals(cohort) == (2, 1, 1, 0)


def test_decimals_of_a_dictionary_are_numbers() -> None:
    """Objects hand out Decimal, which is the exact number that was sent."""
    cohort = cohort_of([patient(), observation(value=Decimal("40.10"))])
    assert cohort.measurements["source_value"].tolist() == ["40.10"]
