"""Capabilities: what a server says of itself, which the probe believes only after trying."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from fhiradapter.errors import ServerError
from fhiradapter.fhir.bulk import Offers, offers_of
from fhiradapter.fhir.datatypes import Element
from fhiradapter.fhir.pages import date_of, refuse
from fhiradapter.fhir.rest import Rest, metadata_of
from fhiradapter.reasons import Reason

EXPORT = frozenset({"export", "group-export", "patient-export"})
SMART = ".well-known/smart-configuration"


class Named(Element):
    """A search parameter or an operation."""

    name: str | None = None


class Interaction(Element):
    """Something that can be done with a type."""

    code: str | None = None


class OfType(Element):
    """What the statement says of one type."""

    type: str | None = None
    interaction: list[Interaction] | None = None
    search_param: list[Named] | None = None
    operation: list[Named] | None = None


class Side(Element):
    """What the server does, or would do as a client."""

    mode: str | None = None
    resource: list[OfType] | None = None
    operation: list[Named] | None = None


class Software(Element):
    """The server's program."""

    name: str | None = None
    version: str | None = None


class Statement(Element):
    """A CapabilityStatement."""

    resource_type: str | None = None
    fhir_version: str | None = None
    software: Software | None = None
    rest: list[Side] | None = None


class Smart(Element):
    """A SMART configuration; only what tells that there is one."""

    token_endpoint: str | None = msgspec.field(default=None, name="token_endpoint")
    capabilities: list[str] | None = None


class Offer(NamedTuple):
    """What a server says that it can do with one type."""

    interactions: frozenset[str]
    searches: frozenset[str]


class Capabilities(NamedTuple):
    """What a server says of itself."""

    fhir_version: str | None
    software: str | None
    types: Mapping[str, Offer]
    exports: bool
    """Whether it offers a bulk export at any level."""
    smart: bool
    date: datetime | None
    """The server's time, UTC."""
    offers: Offers
    """What it says of its exports, in full."""


_statements = msgspec.json.Decoder(Statement)
_smarts = msgspec.json.Decoder(Smart)


def read_capabilities(rest: Rest, *, with_smart: bool = True) -> Capabilities:
    """Return what /metadata and .well-known/smart-configuration say; the latter may be missing.

    Raises RefusedAnswerError when /metadata holds no CapabilityStatement.
    """
    reply = rest.document("metadata")
    try:
        statement = _statements.decode(metadata_of(reply))
    except msgspec.MsgspecError:
        refuse(Reason.NOT_FHIR, "metadata", reply.status)
    if statement.resource_type not in {"CapabilityStatement", "Conformance"}:
        refuse(Reason.NOT_FHIR, "metadata", reply.status)
    sides = [side for side in statement.rest or () if side.mode in {None, "server"}]
    types = {part.type: _offer(part) for side in sides for part in side.resource or () if part.type}
    operations = [
        operation.name
        for side in sides
        for part in (side, *(side.resource or ()))
        for operation in part.operation or ()
    ]
    software = statement.software
    return Capabilities(
        statement.fhir_version,
        " ".join(filter(None, (software.name, software.version))) if software else None,
        types,
        not EXPORT.isdisjoint(operations),
        with_smart and _is_smart(rest),
        date_of(reply.headers),
        offers_of(reply.body),
    )


def _offer(part: OfType) -> Offer:
    interactions = (interaction.code for interaction in part.interaction or ())
    searches = (parameter.name for parameter in part.search_param or ())
    return Offer(frozenset(filter(None, interactions)), frozenset(filter(None, searches)))


def _is_smart(rest: Rest) -> bool:
    try:
        reply = rest.document(SMART)
        return reply.status == 200 and _smarts.decode(reply.body).token_endpoint is not None
    except (ServerError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
