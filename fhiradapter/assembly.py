"""Assembly: sources through the mapping kernel into a landing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.engines import local
from fhiradapter.engines.crew import Crew
from fhiradapter.engines.local import Engine, Local
from fhiradapter.fhir.source import Source
from fhiradapter.holdings import LandedRows
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.parts import Part
from fhiradapter.settling import Settling
from fhiradapter.store.landing import Landing
from fhiradapter.store.spool import Spool
from fhiradapter.succession import Succession
from fhiradapter.workbench import Bench, News, Plan, RemoteBench

LANDED = {**SCHEMAS, "receipts": RECEIPTS}
Progress = Callable[[int, int], None]
"""Called with the resources and the bytes that were read since the last call."""


@dataclass
class Assembly:
    """Makes one cohort in a landing: `add` each source in order of trust, then `settle` once.

    Files are mapped by `workers` processes side by side, or here when that is one. The cohort is the same.
    """

    landing: Landing
    run_id: str
    plans: tuple[Plan, ...]
    progress: Progress | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        self._rows = LandedRows(self.landing)

    def add_all(self, sources: list[Source]) -> None:
        """Map all of the sources, one for each plan. Raises WorkerError for a piece that cannot be mapped."""
        bench = Bench(self.plans)
        engine: Engine = Local(lambda: bench)
        if self.workers > 1 and any(plan.files for plan in self.plans):
            engine = Crew(partial(RemoteBench, self.plans), self.workers, read=Part.unpacked)
        try:
            for number, source in enumerate(sources):
                self._add(number, source, bench, engine)
        finally:
            engine.close()

    def _add(self, number: int, source: Source, bench: Bench, engine: Engine) -> None:
        plan = self.plans[number]
        succession = Succession(number, plan, bench)
        with Spool(Later) as waiting:
            parts: Iterable[Part]
            if plan.files is None:
                parts = map(succession.take, bench.map(number, source.batches()))
            else:
                parts = succession.parts(engine.results(succession.pieces(plan.files.pieces())))
            for part in parts:
                waiting.extend(part.mapped.deferred)
                self._take(part)
            news = News(number, succession.lookups)
            bench.hear(news)
            if len(waiting):
                engine.tell(news)
                later = succession.later(waiting.portions(local.AT_ONCE))
                for part in succession.parts(engine.results(later)):
                    self._take(part)

    def settle(self) -> dict[str, TypeAccount]:
        """Say what can be said only now, and return the account of every type.

        Raises AccountingError when an account does not balance, which would be a fault of fhiradapter.
        """
        sources = tuple(plan.source for plan in self.plans)
        return Settling(self._rows, self.run_id, sources).settle()

    def _take(self, part: Part) -> None:
        mapped = part.mapped
        self._rows.take(mapped.tables, mapped.receipts, mapped.members)
        if self.progress is not None:
            self.progress(mapped.receipts.num_rows, part.bytes_read)
