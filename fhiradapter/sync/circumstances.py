"""Circumstances: what a run takes from outside."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from fhiradapter.errors import FhirAdapterError, SettingsError
from fhiradapter.fhir.fetching import Fetcher
from fhiradapter.fhir.transport_opening import open_transport
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.settings import Source, Study
from fhiradapter.store.disk import Disk
from fhiradapter.sync.lookups import LOOKED_UP

Progress = Callable[[str, int], None]
"""Called with a resource type and how many of it have come since the last call."""


class ClosableFetcher(Fetcher, Protocol):
    """A fetcher that holds connections."""

    def close(self) -> None:
        """Give them back."""
        ...


OpenFetcher = Callable[[Source], ClosableFetcher]


@dataclass
class Circumstances:
    """What a run takes from outside: network, clock, disk, and the wish to stop."""

    open_fetcher: OpenFetcher
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    stopping: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None
    note: Callable[[str], None] | None = None
    """Called with a sentence that replaces the one before, such as how far an export is."""
    disk: Disk | None = None
    wait: Callable[[float], object] = time.sleep


def circumstances(study: Study, environment: Mapping[str, str]) -> Circumstances:
    """Return the usual ones: the network, this machine's clock and disk."""
    stopping = threading.Event()

    def wait(seconds: float) -> None:
        if stopping.wait(seconds):
            raise FhirAdapterError("stopped while waiting for the server")

    def opened(source: Source) -> ClosableFetcher:
        assert source.server is not None
        return open_transport(
            source.base_url or "",
            source.server,
            folder=study.folder,
            environment=environment,
            types={*types_of(study), *LOOKED_UP},
            sleep=wait,
        )

    return Circumstances(opened, stopping=stopping, wait=wait)


def types_of(study: Study) -> list[str]:
    """Return the resource types that a study reads."""
    unknown = sorted(set(study.sync.types) - set(MAPPERS))
    if unknown:
        raise SettingsError(
            f"sync.types: {', '.join(unknown)} cannot be mapped; choose of {', '.join(MAPPERS)}"
        )
    return list(study.sync.types or MAPPERS)
