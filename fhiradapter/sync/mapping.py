"""Mapping into a store: the one mapping kernel, with look-ups that find what earlier runs read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fhiradapter.api import FUTURE, context_of
from fhiradapter.engines.local import AT_ONCE
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.collected import Later, MappedBatch
from fhiradapter.mappers.kernel import Kernel
from fhiradapter.mappers.stored import prepare, with_store
from fhiradapter.settings import Study
from fhiradapter.store.dependents import references
from fhiradapter.store.mapping import StoredTexts
from fhiradapter.store.moments import EPOCH, microseconds
from fhiradapter.store.spool import Spool

DAY = microseconds(EPOCH + FUTURE)  # what is later than this from now is in the future


class StudyMapper:
    """Maps resources of a study's sources, each with its definitions and time zone."""

    def __init__(self, study: Study) -> None:
        """Read the definitions. Raises DefinitionsError for wrong mapping and site files."""
        self._nesting = study.limits.nesting
        self._contexts = {
            one.name: context_of(study, one, now=EPOCH, several=len(study.sources) > 1)
            for one in study.sources
        }

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources in the order in which they are trusted."""
        return tuple(self._contexts)

    def map(
        self, source: str, batches: Iterable[Batch], stored: StoredTexts, *, run_id: str, now: int
    ) -> Iterator[MappedBatch]:
        """Map batches, then what had to wait for look-ups among them or in the store."""
        context = with_store(replace(self._contexts[source], now=now + DAY), stored)
        kernel = Kernel(context, run_id=run_id, nesting=self._nesting)
        with Spool(Later) as waiting:
            for batch in batches:
                mapped = kernel.map_batch(batch)
                waiting.extend(mapped.deferred)
                yield mapped
            kernel.finish()
            for later in waiting.portions(AT_ONCE):
                prepare(later, kernel.context, stored, references)
                yield kernel.map_deferred(later)
