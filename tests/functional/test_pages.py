"""A page counts only when it keeps every rule; links lead nowhere but to the server itself."""

import json
from typing import Any

import pytest
from simulator.canned import BASE, Answer, Canned, bundle, condition, outcome

from fhiradapter.errors import RefusedAnswerError, RefusedOriginError, ServerError
from fhiradapter.fhir.pages import Page
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import MEANINGS, Reason


def page(answer: Any, **more: Any) -> Page:
    """Return the page that an answer gives."""
    return Rest(Canned(lambda _: answer)).search("Condition", **more)


def reason(answer: Any) -> str:
    """Return why a page is refused."""
    with pytest.raises(RefusedAnswerError) as refused:
        page(answer)
    assert "CANARY" not in str(refused.value)
    assert refused.value.reason in MEANINGS
    return refused.value.reason


def test_a_page_gives_its_resources_as_they_were_sent() -> None:
    """Content is the bytes between the brackets; numbers keep their digits, line breaks become blanks."""
    text = b'{"resourceType":"Condition",\r\n "id":"a","onsetAge":{"value":1.10},\n"note":[{"text":"a\\nb"}]}'
    sent = b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":' + text + b"}]}"
    (entry,) = page(sent).entries
    assert entry.content == text.replace(b"\r\n", b"  ").replace(b"\n", b" ")
    assert json.loads(entry.content) == json.loads(text)
    assert (entry.id, entry.version, entry.updated, entry.subsetted) == ("a", None, None, False)


def test_version_time_and_tag_are_read() -> None:
    """A resource of which elements were left out says so."""
    part = condition("a", version="7")
    part["meta"]["tag"] = [{"code": "SUBSETTED"}]
    (entry,) = page(bundle(part)).entries
    assert (entry.version, entry.updated, entry.subsetted) == ("7", "2026-01-01T00:00:00.000Z", True)


def test_the_servers_time_is_that_of_its_date_header() -> None:
    """12:00 GMT as sent, not this machine's time."""
    date = page(bundle()).date
    assert date is not None
    assert date.isoformat() == "2026-01-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"<!DOCTYPE html><html>log in</html>", Reason.NOT_JSON),
        (b"", Reason.NOT_JSON),
        ('{"resourceType":"Bundle"}'.encode("utf-16"), Reason.INVALID_ENCODING),
        ('{"resourceType":"Bundle"}'.encode("utf-16-le"), Reason.INVALID_ENCODING),
        (b'{"resourceType":"Bundle","type":"searchset","x":"\xff"}', Reason.INVALID_ENCODING),
        (b'{"resourceType":"Bundle","type":"searchset","total":NaN}', Reason.MALFORMED_JSON),
        (b'{"resourceType":"Bundle","type":"searchset"} trailing', Reason.MALFORMED_JSON),
        (b'{"resourceType":"Bundle","type":"searchset"}{}', Reason.MALFORMED_JSON),
        (b'{"resourceType":"Bundle","type":"sear', Reason.TRUNCATED_JSON),
        (b'{"resourceType":"Bundle","x":' + b"[" * 5000 + b"]" * 5000 + b"}", Reason.TOO_DEEP),
        (b'{"resourceType":"Bundle","x":' + b'{"a":[' * 400 + b"]}" * 400 + b"}", Reason.TOO_DEEP),
        (b'[{"resourceType":"Bundle"}]', Reason.NOT_FHIR),
        ({"resourceType": "Bundle", "type": "batch-response"}, Reason.NOT_A_BUNDLE),
        (condition("a"), Reason.NOT_A_BUNDLE),
        (outcome("error"), Reason.SERVER_SAYS_ERROR),
        (outcome("information"), Reason.NOT_A_BUNDLE),
        (bundle(condition("a"), outcome("fatal")), Reason.SERVER_SAYS_ERROR),
        (bundle({"resourceType": "Patient", "id": "p"}), Reason.NOT_ASKED_FOR),
        (bundle({"resourceType": "Condition"}), Reason.MISSING_ELEMENT),
        (bundle({"id": "a"}), Reason.NOT_FHIR),
        ((400, outcome("error")), Reason.QUERY_REFUSED),
        ((403, outcome("error")), Reason.FORBIDDEN),
        ((404, outcome("error")), Reason.NOT_OFFERED),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_reason(answer: Any, expected: Reason) -> None:
    """Login pages, other encodings, NaN, trailing garbage, depth, errors inside of 200: none of it counts."""
    assert reason(answer) == expected


def test_remarks_of_the_server_are_kept_as_codes() -> None:
    """A warning lets the page count; its text, which may name a patient, goes nowhere."""
    found = page(bundle(condition("a"), outcome("warning", "not-supported"), outcome("warning", "John Doe")))
    assert found.warnings == ["not-supported", "unknown"]
    assert [entry.id for entry in found.entries] == ["a"]


def test_an_included_resource_counts_only_where_it_was_asked_for() -> None:
    """What comes along unasked is left out, and that is told."""
    answer = bundle(condition("a"))
    answer["entry"].append(
        {"resource": {"resourceType": "Patient", "id": "p"}, "search": {"mode": "include"}}
    )
    assert [entry.id for entry in page(answer).entries] == ["a"]
    assert page(answer).warnings == [Reason.NOT_ASKED_FOR]
    assert [entry.id for entry in page(answer, also=frozenset({"Patient"})).entries] == ["a", "p"]


def test_a_resource_without_an_id_has_that_of_its_full_url() -> None:
    """Some servers leave the id out of the resource."""
    part = {"fullUrl": f"{BASE}/Condition/x7", "resource": {"resourceType": "Condition"}}
    (entry,) = page({"resourceType": "Bundle", "type": "searchset", "entry": [part]}).entries
    assert entry.id == "x7"


def test_a_byte_order_mark_is_tolerated() -> None:
    """RFC 8259 lets a reader ignore it."""
    assert page(b"\xef\xbb\xbf" + json.dumps(bundle(condition("a"))).encode()).entries[0].id == "a"


# -- links ---------------------------------------------------------------------------------------------------


def followed(answer: Answer, **limits: int) -> tuple[list[str], Canned]:
    """Return the ids of all pages of a search, and the server."""
    server = Canned(answer)
    rest = Rest(server, **limits)
    return [entry.id for found in rest.pages("Condition") for entry in found.entries], server


@pytest.mark.parametrize(
    "link",
    [
        f"{BASE}?page=2",
        "?page=2",
        "Condition?page=2",
        "/fhir/Condition?page=2",
        "https://EHR.example.org:443/fhir/Condition?page=2",
    ],
)
def test_a_next_link_is_followed_as_given(link: str) -> None:
    """Relative links start from the request's own URL; the default port is the same origin."""
    ids, server = followed(
        lambda url: bundle(condition("b")) if "page=2" in url else bundle(condition("a"), following=link)
    )
    assert ids == ["a", "b"]
    assert "page=2" in server.asked[1]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/fhir?page=2",
        "//evil.example/fhir?page=2",
        "https://ehr.example.org.evil.example/fhir",
        "https://ehr.example.org@evil.example/fhir",
        "https://user:word@ehr.example.org/fhir",
        "http://ehr.example.org/fhir?page=2",
        "https://ehr.example.org:8443/fhir",
        "https://ehr.example.org\\@evil.example/fhir",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/fhir",
        "https://[::ffff:127.0.0.1]/fhir",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_link_to_another_place_is_refused_and_nobody_there_is_asked(link: str) -> None:
    """Scheme, host and port have to be the server's own."""
    server = Canned(lambda _: bundle(condition("a"), following=link))
    with pytest.raises(RefusedOriginError):
        list(Rest(server).pages("Condition"))
    assert server.asked == [f"{BASE}/Condition?_count=1000"]


def refused(answer: Answer, **limits: int) -> tuple[str, int]:
    """Return why paging ends, and after how many requests."""
    server = Canned(answer)
    with pytest.raises(ServerError) as error:
        list(Rest(server, **limits).pages("Condition"))
    return error.value.reason, len(server.asked)


def test_a_link_to_itself_is_a_loop() -> None:
    """The same URL twice."""
    here = f"{BASE}/Condition?_count=1000"
    assert refused(lambda _: bundle(condition("a"), following=here)) == (Reason.PAGING_LOOP, 1)


def test_two_pages_that_lead_to_each_other_are_a_loop() -> None:
    """Found when the first comes again."""

    def answer(url: str) -> Any:
        page_now = 2 if "page=2" in url else 1
        return bundle(condition(str(page_now)), following=f"{BASE}/Condition?page={3 - page_now}")

    assert refused(answer) == (Reason.PAGING_LOOP, 3)


def test_the_same_page_under_ever_new_urls_is_a_loop() -> None:
    """Links that grow are told by what they lead to."""
    assert refused(lambda url: bundle(condition("a"), following=f"{BASE}/{url}x")) == (Reason.PAGING_LOOP, 2)


def test_empty_pages_without_an_end_are_a_loop() -> None:
    """A server may filter after paging and give empty pages, but not for ever."""
    assert refused(lambda url: bundle(following=f"{BASE}/{url}x")) == (Reason.PAGING_LOOP, 51)


def test_an_empty_page_with_a_next_one_is_no_end() -> None:
    """An end is only the absence of a next link."""
    ids, _ = followed(
        lambda url: (
            bundle(condition("b")) if "page=2" in url else bundle(following=f"{BASE}/Condition?page=2")
        )
    )
    assert ids == ["b"]


def test_pages_and_bytes_have_a_limit() -> None:
    """A million pages end where the settings say."""

    def endless(url: str) -> Any:
        return bundle(condition(str(len(url))), following=f"{BASE}/{url}x")

    assert refused(endless, most_pages=100) == (Reason.TOO_MANY_PAGES, 101)
    assert refused(endless, most_bytes=10_000)[0] == Reason.TOO_MANY_PAGES


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_expired_has_its_own_reason(status: int) -> None:
    """404 and 410 say something else in mid-paging than at the beginning of a search."""
    link = f"{BASE}/Condition?page=2"

    def answer(url: str) -> Any:
        return (status, outcome("error")) if "page=2" in url else bundle(condition("a"), following=link)

    assert refused(answer) == (Reason.PAGE_EXPIRED, 2)


def test_an_id_is_never_a_way_through_the_tree() -> None:
    """What stands in an id is escaped where it becomes part of a URL."""
    server = Canned(lambda _: (404, outcome("error")))
    Rest(server).read("Condition", "../Patient?x=1#")
    assert server.asked == [f"{BASE}/Condition/..%2FPatient%3Fx%3D1%23"]
