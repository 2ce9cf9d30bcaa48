"""Export states: what has to be known of a bulk export to go on with it after any interruption."""

from typing import Literal, NamedTuple, Protocol

import msgspec

from fhiradapter.fhir.bulk import ExportRequest
from fhiradapter.fhir.manifests import ManifestFile

Step = Literal["NEW", "KICKED", "RUNNING", "MANIFEST", "FILES", "COMMITTED", "DELETED"]
STEPS: tuple[Step, ...] = ("NEW", "KICKED", "RUNNING", "MANIFEST", "FILES", "COMMITTED", "DELETED")


class Order(NamedTuple):
    """An export to be begun, and whose watermark it moves."""

    request: ExportRequest
    shard: str = "all"
    members: tuple[str, ...] = ()
    """Patients whose resources are complete once it is committed; empty: everybody."""


class Flaw(msgspec.Struct, frozen=True):
    """Why something of an export could not be had."""

    reason: str
    status: int | None = None


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """Whole lines of a file."""

    start: int
    end: int


class Landed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of an export that is here and was checked, or that could not be had."""

    number: int
    """Its place in the manifest."""
    generation: int = 0
    sha256: str = ""
    bytes: int = 0
    lines: int = 0
    types: dict[str, int] = {}
    slices: tuple[Slice, ...] = ()
    flaw: Flaw | None = None


class Export(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One export; each state is stored before the next request is sent."""

    id: str
    source: str
    request: ExportRequest
    began: str
    """By our own clock, as all times but those of the server."""
    shard: str = "all"
    members: tuple[str, ...] = ()
    post: bool = False
    step: Step = "NEW"
    asked: bool = False
    """Whether a kick-off was sent whose answer is not known."""
    kicked: str | None = None
    server_time: int | None = None
    """The server's time at the kick-off, microseconds since 1970."""
    status_url: str | None = None
    ask_again: str | None = None
    transaction_time: int | None = None
    watermark: str | None = None
    manifests: int = 0
    files: tuple[ManifestFile, ...] = ()
    generation: int = 0
    flaw: Flaw | None = None
    """What ended it before its files were here."""
    cancelled: bool = False


class Kept(NamedTuple):
    """An export and the files of it that are here, by number."""

    export: Export
    landed: dict[int, Landed]


class ExportLedger(Protocol):
    """Where the states of exports are kept."""

    def save(self, export: Export) -> None:
        """Keep a state; it is on the disk when this returns."""
        ...

    def pause(self, export: Export) -> None:
        """Keep when the server may be asked again, and nothing else of a state."""
        ...

    def land(self, export: Export, landed: Landed) -> None:
        """Keep that a file is here; when this is lost with the machine's power, it is downloaded again."""
        ...

    def load(self) -> list[Kept]:
        """Return all exports in the order in which they began."""
        ...
