"""Manifests: which files an export consists of, and up to when they speak."""

import re
from typing import Literal, NamedTuple, NoReturn

import msgspec

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.datatypes import ABSENT, Element
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.instants import instant
from fhiradapter.fhir.origins import absolute
from fhiradapter.fhir.pages import checked
from fhiradapter.reasons import Reason

# A time without a zone may be hours later than it looks, and what lies between would never be read.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)\Z")
OUTCOME = "OperationOutcome"
WHAT = "$export"

Part = Literal["output", "deleted", "error"]


class ManifestFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of an export."""

    url: str
    part: Part = "output"
    type: str | None = None
    """Null where files are organised by something else than types."""
    count: int | None = None
    with_token: bool = False


class Manifest(NamedTuple):
    """One page of an export's manifest."""

    transaction_time: int
    """Microseconds since 1970."""
    files: tuple[ManifestFile, ...]
    next: str | None
    organized_by: str | None


class _File(Element):
    url: str | None = None
    type: str | None = None
    count: msgspec.Raw = ABSENT


class _Link(Element):
    relation: str | None = None
    url: str | None = None


class _Body(Element):
    resource_type: str | None = None
    transaction_time: str | None = None
    requires_access_token: bool | None = None
    output_organized_by: str | None = None
    output: list[_File] | None = None
    deleted: list[_File] | None = None
    error: list[_File] | None = None
    outcome: list[_File] | None = None
    link: list[_Link] | None = None


_bodies = msgspec.json.Decoder(_Body)
_whole = msgspec.json.Decoder(int)


def manifest_of(reply: Reply) -> Manifest:
    """Return the manifest that an answer of status 200 holds.

    Raises RefusedAnswerError with BAD_MANIFEST when its files or its transactionTime cannot be told: "now"
    would be a guess by which changes are lost.
    """
    content = checked(reply, WHAT)
    try:
        body = _bodies.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        _refuse(reply)
    if body.resource_type == OUTCOME:
        raise RefusedAnswerError(
            f"{WHAT}: the server says that it failed", reason=Reason.EXPORT_FAILED, status=reply.status
        )
    text = (body.transaction_time or "").strip()
    moment = instant(text) if INSTANT.match(text) else None
    if moment is None or body.output is None:
        _refuse(reply)
    files: list[ManifestFile] = []
    # Version 4 calls `outcome` what was `error` before; some servers put outcomes among the output.
    parts: tuple[tuple[Part, list[_File] | None], ...] = (
        ("output", body.output),
        ("deleted", body.deleted),
        ("error", body.error),
        ("error", body.outcome),
    )
    for part, listed in parts:
        for file in listed or ():
            if not file.url:
                _refuse(reply)
            files.append(
                ManifestFile(
                    absolute(file.url, at=reply.url),
                    "error" if part == "output" and file.type == OUTCOME else part,
                    file.type or None,
                    _count(file.count),
                    bool(body.requires_access_token),
                )
            )
    links = {link.relation: link.url for link in reversed(body.link or ())}
    return Manifest(moment, tuple(files), links.get("next") or None, body.output_organized_by or None)


def _count(content: msgspec.Raw) -> int | None:
    """Return a count that is one; of anything else nothing is believed."""
    try:
        count = _whole.decode(content) if content is not ABSENT else -1
    except msgspec.MsgspecError:
        return None
    return count if count >= 0 else None


def _refuse(reply: Reply) -> NoReturn:
    raise RefusedAnswerError(
        f"{WHAT}: its manifest cannot be used", reason=Reason.BAD_MANIFEST, status=reply.status
    )
