"""Units of work: what is planned to be read from a server, and what came of reading it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from fhiradapter.reasons import Reason

if TYPE_CHECKING:
    from fhiradapter.fhir.pages import Entry

Feed = Literal["updated", "reread", "lookup", "deletions", "reconcile", "bulk"]
Absence = Literal["deleted", "gone", "hidden", "access_lost"]


class Unit(NamedTuple):
    """What is read in one go; durable in the ledger under its name, which holds no patient content."""

    source: str
    type: str
    name: str
    feed: Feed
    shard: str = "all"
    patients: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None


class Tombstone(NamedTuple):
    """A resource that its server does not show any more.

    `deleted` and `gone` (410, 404) take its rows away; `hidden` and `access_lost` keep them and are flagged.
    """

    type: str
    id: str
    state: Absence
    at: str | None = None


class Failure(NamedTuple):
    """Why a unit could not be read."""

    reason: Reason
    status: int | None = None


class Fetched(NamedTuple):
    """What came of a unit; of a failed one nothing is taken and its watermark stays."""

    unit: Unit
    entries: "Iterable[Entry]" = ()
    deleted: tuple[Tombstone, ...] = ()
    watermark: str | None = None
    """The new upper end for its source, type and shard; None leaves it."""
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
