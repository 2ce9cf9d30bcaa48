"""The mapping kernel: batches of resource bytes to Arrow record batches, issues and receipts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, get_args

from fhiradapter.fhir.decoding import Refusal, decode, inspect
from fhiradapter.fhir.elements import AnyResource, Resource
from fhiradapter.fhir.regular import DOSES, PERSONS, RESULTS, Forms, RegularMeta
from fhiradapter.fhir.source import Batch
from fhiradapter.garbage import without_collection
from fhiradapter.mappers.candidates import RegularRows
from fhiradapter.mappers.collected import NOTHING, Collected, Later, MappedBatch, mapped_receipts
from fhiradapter.mappers.columns import Heads, provenance, record_batch
from fhiradapter.mappers.context import Context, Neighbours
from fhiradapter.mappers.outcome import NAMELESS, Deferred, Note, Unusable
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.mappers.regular import regular_results
from fhiradapter.mappers.regular_doses import regular_doses
from fhiradapter.mappers.regular_persons import regular_persons
from fhiradapter.reasons import Reason

MAPPERS_BY_CLASS = {kind: MAPPERS[kind.__name__] for kind in get_args(AnyResource)}
FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
IMPLICIT_RULES = b'"implicitRules"'
NO_META = RegularMeta()
# Each maps the regular resources of one type.
LANES: tuple[tuple[Forms, Callable[[Sequence[Any], Sequence[int], Context], RegularRows | None]], ...] = (
    (RESULTS, regular_results),
    (DOSES, regular_doses),
    (PERSONS, regular_persons),
)
_version_id, _last_updated = attrgetter("version_id"), attrgetter("last_updated")


class Kernel:
    """Maps batches of one source; keeps nothing between batches but look-ups and memories of its context."""

    def __init__(self, context: Context, *, run_id: str, nesting: int = 64) -> None:
        self.context = context
        self._run_id = run_id
        self._nesting = nesting

    def finish(self) -> None:
        """Say that everything was read: from now on a reference that is unknown stays so."""
        self.context = replace(self.context, final=True)

    def map_batch(self, batch: Batch) -> MappedBatch:
        """Map the resources of a batch; each is mapped, quarantined, ignored or deferred, and never lost."""
        if not batch.lines and not batch.failures:
            return NOTHING
        context = self.context
        if batch.targets or batch.bases:
            context = context.within(Neighbours(batch.targets, batch.bases))
        work = Collected(batch.file, self.context.source)
        for failure in batch.failures:
            work.fail(failure)
        self._learn(batch, context)
        with without_collection():
            regular, rest = self._regular(batch, context)
            if len(regular) == 1 and not rest and not batch.failures:
                return regular[0]
            ids, lines = batch.ids, batch.lines[:]
            for place in rest:
                line, number = lines[place], batch.numbers[place]
                if line:
                    self._map_line(
                        line, number, ids.get(number) if ids else None, batch.hazardous, context, work
                    )
            return work.finish(self._run_id).with_regular(regular)

    def _regular(self, batch: Batch, context: Context) -> tuple[list[MappedBatch], Sequence[int]]:
        """Map what is regular column by column; return it with the places of what is not."""
        everything = range(len(batch.lines))
        resources = None if batch.hazardous else batch.regular
        if resources is None:
            return [], everything
        kinds = set(map(type, resources))
        found: list[RegularRows] = []
        for forms, lane in LANES:
            places = forms.places(resources, kinds)
            rows = lane(resources, places, context) if places else None
            if rows is not None:
                found.append(rows)
        if sum(len(rows.places) for rows in found) == len(everything):
            rest: Sequence[int] = ()
        else:
            taken = {place for rows in found for place in rows.places}
            rest = [place for place in everything if place not in taken]
        return [self._in_table(rows, batch, context) for rows in found], rest

    def _in_table(self, rows: RegularRows, batch: Batch, context: Context) -> MappedBatch:
        """Return regular rows with what they share with their resources."""
        lines: Sequence[int] = batch.numbers
        if len(rows.places) < len(lines):
            lines = [batch.numbers[place] for place in rows.places]
        versions, updated = _versions(rows.metas)
        heads = Heads(rows.kind, rows.ids, rows.ids, versions, updated, lines, batch.file, rows.subjects)
        shared = provenance(heads, context.source, self._run_id)
        tables = {rows.table: record_batch(rows.table, rows.columns, shared)}
        return MappedBatch(tables, mapped_receipts(shared), [], [])

    def map_deferred(self, later: list[Later]) -> MappedBatch:
        """Map resources that had to wait."""
        work = Collected("", self.context.source)
        for one in later:
            work.file = one.file
            context = self.context.within(one.neighbours)
            self._map_line(one.content, one.line, one.id, True, context, work)
        return work.finish(self._run_id)

    def _learn(self, batch: Batch, context: Context) -> None:
        """Read a Bundle's look-ups before the entries that refer to them."""
        if not batch.targets:
            return
        for number, line in zip(batch.numbers, batch.lines, strict=True):
            resource = decode(line) if line else None
            if isinstance(resource, Resource):
                mapper = MAPPERS[type(resource).__name__]
                if mapper.learn is not None:
                    resource.id = resource.id or batch.ids.get(number)
                    mapper.learn(resource, context)

    def _map_line(
        self, line: bytes, number: int, id_: str | None, hazardous: bool, context: Context, work: Collected
    ) -> None:
        resource = decode(line)
        if isinstance(resource, Refusal):
            if not line.isspace():
                work.refuse(resource, number)
            return
        kind = type(resource)
        if (
            hazardous
            or resource.implicit_rules is not None
            or (resource.contained is not None and IMPLICIT_RULES in line)
        ):
            refusal = inspect(
                line, nesting=self._nesting, allowed_modifiers=context.catalogue.allowed_modifiers
            )
            if refusal is not None:
                work.refuse(refusal._replace(resource_type=kind.__name__, id=resource.id), number)
                return
        own = resource.id
        if own is None:
            own = id_
            # Something has to name the rows of a resource without an id: the place that it came from.
            resource.id = own or f"{NAMELESS}{work.file}:{number}"
        mapper = MAPPERS_BY_CLASS[kind]
        try:
            mapped = mapper.map(resource, context)
        except Deferred:
            work.deferred.append(Later(work.file, number, line, id_, context.neighbours))
            return
        except Unusable as unusable:
            work.drop(kind.__name__, own, resource, number, unusable.note)
            return
        except FAULTS as fault:
            # One resource that a mapper was not written for must not take a million others with it.
            note = Note(Reason.MAPPING_FAULT, kind.__name__, type(fault).__name__)
            work.drop(kind.__name__, own, resource, number, note)
            return
        if mapper.learn is not None:
            mapper.learn(resource, context)
        work.keep(kind.__name__, own, resource, number, mapped)


def _versions(metas: Sequence[Any]) -> tuple[list[str | None], list[str | None]]:
    """Return the version and the time of the last update of resources."""
    if None not in metas:
        return list(map(_version_id, metas)), list(map(_last_updated, metas))
    known = [meta or NO_META for meta in metas]
    return list(map(_version_id, known)), list(map(_last_updated, known))
