"""Pages: the body of a server's answer to a search, which counts only when it keeps every rule."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple, NoReturn

import msgspec

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.datatypes import ABSENT, Coding, Element
from fhiradapter.fhir.decoding import BOM, DEEP_ENDS, depth
from fhiradapter.fhir.documents import DELETED_URL, FULL_URL, Request, Response, Search
from fhiradapter.fhir.fetching import Reply
from fhiradapter.reasons import Reason

DEEPEST = 500  # levels, as far as [limits] nesting goes; a resource deeper than the study's is refused later
# Of a page, whose every object takes memory however small it is: 10,000 resources, the most that is asked for
# at once, may have a hundred each. A larger page is asked for again in parts.
MOST_OBJECTS = 1_000_000
BREAKS = bytes.maketrans(b"\r\n", b"  ")  # in strings JSON escapes them, so these stand between tokens
# http://hl7.org/fhir/issue-type, R4 and R5; any other code of an OperationOutcome may be free text.
CODES = frozenset(
    {
        "business-rule",
        "code-invalid",
        "conflict",
        "deleted",
        "duplicate",
        "exception",
        "expired",
        "extension",
        "forbidden",
        "incomplete",
        "informational",
        "invalid",
        "invariant",
        "limited-filter",
        "lock-error",
        "login",
        "multiple-matches",
        "no-store",
        "not-found",
        "not-supported",
        "processing",
        "required",
        "security",
        "structure",
        "success",
        "suppressed",
        "throttled",
        "timeout",
        "too-costly",
        "too-long",
        "transient",
        "unknown",
        "value",
    }
)
FAILED = frozenset({"error", "fatal"})
UTF16 = (b"\xff\xfe", b"\xfe\xff")

BundleType = Literal["searchset", "history"]


class Entry(NamedTuple):
    """One resource of a page."""

    type: str
    id: str
    version: str | None
    updated: str | None
    content: bytes
    """The resource on one line, as sent."""
    subsetted: bool


class Deletion(NamedTuple):
    """What a history says was deleted."""

    type: str
    id: str
    at: str | None
    version: str | None = None


class Page(NamedTuple):
    """One page of a search or history."""

    entries: list[Entry]
    next: str | None
    self: str | None
    total: int | None
    warnings: list[str]
    """Codes of the server's remarks, never their text, which may speak of patients."""
    date: datetime | None
    """The server's time, UTC."""
    deleted: list[Deletion] = []  # noqa: RUF012 - a NamedTuple's default; it is never changed
    url: str = ""
    """What was asked for."""


class Link(Element):
    """A link of a Bundle."""

    relation: str | None = None
    url: str | None = None


class Part(Element):
    """One entry of a Bundle, with the resource as bytes."""

    full_url: str | None = None
    resource: msgspec.Raw = ABSENT
    search: Search | None = None
    request: Request | None = None
    response: Response | None = None


class Body(Element):
    """A Bundle."""

    resource_type: str | None = None
    type: str | None = None
    total: msgspec.Raw = ABSENT
    link: list[Link] | None = None
    entry: list[Part] | None = None


class Version(Element):
    """The elements of meta that tell versions apart."""

    version_id: str | None = None
    last_updated: str | None = None
    tag: list[Coding] | None = None


class Head(Element):
    """Whose version a resource is."""

    resource_type: str
    id: str | None = None
    meta: Version | None = None


class Issue(Element):
    """One remark of a server."""

    severity: str | None = None
    code: str | None = None


class Outcome(Element):
    """The remarks of a server."""

    issue: list[Issue] | None = None


_bodies = msgspec.json.Decoder(Body)
_heads = msgspec.json.Decoder(Head)
_outcomes = msgspec.json.Decoder(Outcome)
_whole = msgspec.json.Decoder(int)


def page_of(
    reply: Reply, *, kind: str, bundle: BundleType = "searchset", also: frozenset[str] = frozenset()
) -> Page:
    """Return the page that an answer of status 200 holds; `also` are the types that were to be included.

    Raises RefusedAnswerError, with its reason, for a page that breaks a rule.
    """
    content = checked(reply, kind)
    try:
        body = _bodies.decode(content)
        if body.resource_type == "OperationOutcome":
            _remarks(content, kind, reply.status)
        if body.resource_type != "Bundle" or body.type != bundle:
            refuse(Reason.NOT_A_BUNDLE, kind, reply.status)
        reader = _Entries(kind, also, reply.status, b"\n" in content or b"\r" in content)
        for part in body.entry or ():
            reader.add(part)
    except (msgspec.MsgspecError, RecursionError) as error:
        refuse(_flaw(error), kind, reply.status)
    links = {link.relation: link.url for link in reversed(body.link or ())}
    return Page(
        reader.entries,
        links.get("next") or None,
        links.get("self"),
        _total(body.total),
        reader.warnings,
        date_of(reply.headers),
        reader.deleted,
        reply.url,
    )


def entry_of(reply: Reply, *, kind: str, key: str) -> Entry:
    """Return the resource of an answer to a reading by id."""
    content = checked(reply, kind)
    try:
        head = _heads.decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        refuse(_flaw(error), kind, reply.status)
    if head.resource_type == "OperationOutcome":
        refuse(Reason.SERVER_SAYS_ERROR, kind, reply.status)
    if head.resource_type != kind or head.id not in {key, None}:
        refuse(Reason.NOT_ASKED_FOR, kind, reply.status)
    return _entry(head, key, content.translate(BREAKS))


def checked(reply: Reply, kind: str) -> bytes:
    """Return a body that is text of JSON's form, without its byte order mark."""
    content = reply.body
    if content.startswith(UTF16) or b"\x00" in content[:4]:
        refuse(Reason.INVALID_ENCODING, kind, reply.status)
    content = content.removeprefix(BOM)
    if len(content) > MOST_OBJECTS and content.count(b"{") > MOST_OBJECTS:
        refuse(Reason.BODY_TOO_LARGE, kind, reply.status)
    if content[:64].lstrip()[:1] not in {b"{", b"["}:
        refuse(Reason.NOT_JSON, kind, reply.status)
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            refuse(Reason.INVALID_ENCODING, kind, reply.status)
    if any(end in content for end in DEEP_ENDS) and depth(content) > DEEPEST:
        refuse(Reason.TOO_DEEP, kind, reply.status)
    return content


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return the server's time by the Date header, UTC; null when there is none that can be read."""
    try:
        moment = parsedate_to_datetime(headers.get("Date") or headers.get("date") or "")
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def refuse(reason: Reason, kind: str, status: int | None) -> NoReturn:
    """Raise the error of an answer that cannot be used."""
    raise RefusedAnswerError(
        f"{kind}: the server's answer is refused: {reason}", reason=reason, status=status
    )


class _Entries:
    """Takes the entries of one Bundle apart."""

    def __init__(self, kind: str, also: frozenset[str], status: int, breaks: bool) -> None:
        self.kind, self.also, self.status, self.breaks = kind, also, status, breaks
        self.entries: list[Entry] = []
        self.warnings: list[str] = []
        self.deleted: list[Deletion] = []

    def add(self, part: Part) -> None:
        if part.request is not None and part.request.method == "DELETE":
            self._add_deletion(part)
            return
        if part.resource is ABSENT:
            return
        content = bytes(part.resource)
        head = _heads.decode(content)
        kind, mode = head.resource_type, part.search.mode if part.search is not None else None
        if kind == "OperationOutcome" or mode == "outcome":
            self.warnings += _remarks(content, self.kind, self.status)
            return
        if kind != self.kind and kind not in self.also:
            if mode != "include":
                refuse(Reason.NOT_ASKED_FOR, self.kind, self.status)
            self.warnings.append(Reason.NOT_ASKED_FOR)
            return
        key = head.id or _id_of(part.full_url, kind)
        if key is None:
            refuse(Reason.MISSING_ELEMENT, self.kind, self.status)
        self.entries.append(_entry(head, key, content.translate(BREAKS) if self.breaks else content))

    def _add_deletion(self, part: Part) -> None:
        url = part.request.url if part.request is not None else None
        target = DELETED_URL.search((url or "").partition("?")[0]) or DELETED_URL.search(part.full_url or "")
        if target is None or target[1] != self.kind:
            refuse(Reason.NOT_ASKED_FOR, self.kind, self.status)
        response = part.response or Response()
        etag = (response.etag or "").removeprefix("W/").strip('"') or None
        self.deleted.append(Deletion(target[1], target[2], response.last_modified, etag))


def _entry(head: Head, key: str, content: bytes) -> Entry:
    meta = head.meta
    if meta is None:
        return Entry(head.resource_type, key, None, None, content, False)
    subsetted = meta.tag is not None and any(tag.code == "SUBSETTED" for tag in meta.tag)
    return Entry(head.resource_type, key, meta.version_id, meta.last_updated, content, subsetted)


def _id_of(full_url: str | None, kind: str) -> str | None:
    match = FULL_URL.match(full_url or "")
    return match[3] if match and match[2] == kind else None


def _remarks(content: bytes, kind: str, status: int) -> list[str]:
    """Return the codes of an OperationOutcome that lets the page count; refuse it otherwise."""
    issues = _outcomes.decode(content).issue or ()
    if any(issue.severity in FAILED for issue in issues):
        refuse(Reason.SERVER_SAYS_ERROR, kind, status)
    return [issue.code if issue.code in CODES else "unknown" for issue in issues]


def _total(content: msgspec.Raw) -> int | None:
    """Return the total when it is a whole number; some servers write an estimate, or none."""
    try:
        return _whole.decode(content) if content is not ABSENT else None
    except msgspec.MsgspecError:
        return None


def _flaw(error: Exception) -> Reason:
    if isinstance(error, RecursionError):
        return Reason.TOO_DEEP
    if isinstance(error, msgspec.ValidationError):
        return Reason.NOT_FHIR
    return Reason.TRUNCATED_JSON if "truncated" in str(error) else Reason.MALFORMED_JSON
