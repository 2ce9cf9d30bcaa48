"""Assembly: sources through the mapping kernel into a landing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import Horizon
from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.cohort.receipts import Receipts
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.engines.local import map_locally
from fhiradapter.fhir.source import Source
from fhiradapter.mappers.collected import Later, MappedBatch
from fhiradapter.mappers.kernel import Kernel
from fhiradapter.settling import Settling
from fhiradapter.store.landing import Landing
from fhiradapter.store.spool import Spool

LANDED = {**SCHEMAS, "receipts": RECEIPTS}
Progress = Callable[[int, int], None]
"""Called with the resources and the bytes that were read since the last call."""


@dataclass
class Assembly:
    """Makes one cohort in a landing: `add` each source in order of trust, then `settle` once."""

    landing: Landing
    run_id: str
    progress: Progress | None = None
    _receipts: Receipts = field(default_factory=Receipts)
    _horizon: Horizon = field(default_factory=Horizon)
    _members: list[pa.Array] = field(default_factory=list)
    _panels: list[pa.Array] = field(default_factory=list)
    _sources: list[str] = field(default_factory=list)

    def add(self, source: Source, kernel: Kernel) -> None:
        """Map all of a source."""
        self._sources.append(kernel.context.source)
        with Spool(Later) as waiting:
            map_locally(source.batches(), kernel, waiting, self._take)

    def settle(self) -> dict[str, TypeAccount]:
        """Say what can be said only now, and return the account of every type.

        Raises AccountingError when an account does not balance, which would be a fault of fhiradapter.
        """
        settling = Settling(self.landing, self.run_id, self._receipts, self._horizon, tuple(self._sources))
        return settling.settle(self._members, self._panels)

    def _take(self, mapped: MappedBatch, bytes_read: int) -> None:
        for table, batch in mapped.tables.items():
            self.landing.write(table, batch)
            self._horizon.add(table, batch)
        self.landing.write("receipts", mapped.receipts)
        self._receipts.add(mapped.receipts)
        if mapped.members:
            members, panels = zip(*mapped.members, strict=True)
            self._members.append(pa.array(members, pa.string()))
            self._panels.append(pa.array(panels, pa.string()))
        if self.progress is not None:
            self.progress(mapped.receipts.num_rows, bytes_read)
