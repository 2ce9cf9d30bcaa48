"""Mapping on Spark: files of any file system to a cohort in folders, with its account."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from uuid import uuid4

from fhiradapter.cluster.here import RowsHere
from fhiradapter.cluster.holdings import SparkRows
from fhiradapter.cluster.inputs import Form, Input, inputs_of
from fhiradapter.cluster.layout import Layout
from fhiradapter.cluster.mapped import (
    AGAIN,
    LATER,
    MAPPED,
    PLANNED,
    TOLD,
    WAITED,
    WAITED_AGAIN,
    Moves,
    Split,
    Told,
    unpacked,
)
from fhiradapter.cluster.order import Order, in_order, latest, lookups_of
from fhiradapter.cluster.rows import LANDED
from fhiradapter.cluster.tasks import Range, Work, map_here, map_later, map_lines, map_whole
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.receipts import Receipts
from fhiradapter.engines.spark import frames, tables
from fhiradapter.engines.spark.faults import without_content
from fhiradapter.engines.spark.frames import Rows, Session
from fhiradapter.engines.spark.session import spark_session
from fhiradapter.engines.spark.storage import Storage
from fhiradapter.errors import UsageError, WorkerError
from fhiradapter.fhir.files import is_url
from fhiradapter.settling import Settling
from fhiradapter.workbench import Plan

Say = Callable[[str], None]
UNFINISHED, BESIDE, OLDER = ".cohort.partial", ".cohort.mapped", ".cohort.older"
INCOMPLETE = "_incomplete"  # in `BESIDE`; Spark takes no notice of such a name
SMALL_FILE = 1 << 18  # bytes that could be read while a file is opened


@dataclass(frozen=True)
class Made:
    """What a cohort on Spark holds, counted where it lies."""

    accounting: dict[str, TypeAccount]
    issues: dict[str, dict[str, int]]
    unmapped: dict[str, tuple[int, int]]
    tables: dict[str, int]
    inputs: list[dict[str, Any]]
    layout: Layout
    versions: dict[str, str]


def map_on_spark(
    plans: tuple[Plan, ...],
    out: str,
    *,
    layout: Layout,
    workers: int | None = None,
    say: Say,
    outdated: Collection[str] = (),
    record: Callable[[Made], bytes] | None = None,
) -> Made:
    """Map the files of plans to `out`/cohort, a folder of a file system that Spark knows.

    The folder appears when everything is written and replaces an older cohort; what is `outdated` beside
    it is gone before that. `record` makes the content of run.json. Raises UsageError when it cannot begin,
    and WorkerError when an input ends Spark's workers.
    """
    paths = [out, *(path for plan in plans if plan.files is not None for path in plan.files.paths)]
    here = all(not is_url(path) or str(path).startswith("file:") for path in paths)
    brief = here and layout.format == "parquet"
    with without_content(), spark_session(workers, brief=brief) as spark:
        tables.need(spark, layout.format)
        storage = Storage(spark)
        try:
            return _Mapping(spark, storage, plans, out, layout, say).run(outdated, record)
        except OSError as error:
            raise UsageError(f"{out}: {error}") from error


class _Mapping:
    """One run, stage by stage."""

    def __init__(
        self,
        spark: Session,
        storage: Storage,
        plans: tuple[Plan, ...],
        out: str,
        layout: Layout,
        say: Say,
    ) -> None:
        self._spark, self._storage, self._out, self._say = spark, storage, out.rstrip("/"), say
        self._plans, self._layout = plans, layout
        self._beside, self._cohort = f"{self._out}/{BESIDE}", f"{self._out}/{UNFINISHED}"

    def run(self, outdated: Collection[str], record: Callable[[Made], bytes] | None) -> Made:
        """Do everything."""
        self._refuse_strangers()
        sources = [plan.files for plan in self._plans if plan.files is not None]
        if len(sources) < len(self._plans):
            raise UsageError("the Spark engine reads files: give paths")
        inputs = tuple(inputs_of(self._storage, sources))
        total = sum(max(one.size, 0) for one in inputs)
        self._say(f"found {len(inputs):,} files of {total / 1e6:,.0f} MB")
        self._total = total
        self._layout = self._layout.of(total)
        self._remove_unfinished()
        for name in outdated:
            self._storage.remove(f"{self._out}/{name}")
        try:
            made = self._made(inputs)
            self._publish()
            if record is not None:
                self._storage.write(f"{self._out}/run.json", record(made))
        finally:
            self._remove_unfinished()
        return made

    def _publish(self) -> None:
        """Put the finished cohort in place of an older one, which comes back when that fails."""
        place, older = f"{self._out}/cohort", f"{self._out}/{OLDER}"
        replaced = self._storage.entry(place) is not None
        if replaced:
            self._storage.remove(older)
            self._storage.rename(place, older)
        try:
            self._storage.rename(self._cohort, place)
        except BaseException:
            if replaced:
                self._storage.rename(older, place)
            raise
        self._storage.remove(older)

    def _made(self, inputs: tuple[Input, ...]) -> Made:
        homes = {number: plan.home for number, plan in enumerate(self._plans)}
        work = Work(
            uuid4().hex,
            tuple(replace(plan, files=None, site=None) for plan in self._plans),
            {
                number: (plan.site.name, plan.site.read_bytes())
                for number, plan in enumerate(self._plans)
                if plan.site is not None
            },
            tuple(plan.files.reader for plan in self._plans if plan.files is not None),
            inputs,
            PLANNED,
            homes,
        )
        work = replace(work, ranges=self._ranges(inputs))
        with frames.cut_fairly(self._spark, self._total):
            told, moves, order = self._mapped(work)
        waited, stale = self._waited(work, told, moves, order)
        moves = replace(moves, stale=moves.stale | {WAITED: stale})
        told += waited
        self._say(f"mapped {sum(sum(one.counts.values()) for one in told):,} resources; settling them")
        return self._settled(inputs, told, moves)

    def _mapped(self, work: Work) -> tuple[list[Told], Moves, Order]:
        """Map all files, and once more the splits that supposed something wrong."""
        first = self._wave(work, self._read(work))
        seen = {one.split.file for one in first}
        for number, one in enumerate(work.inputs):
            if number not in seen:
                raise WorkerError(f"{one.name}: Spark gave nothing of this file")
        order = in_order(first, work.inputs, work.homes)
        moves = Moves(order.lines, {PLANNED: frozenset(order.again)})
        if not order.again:
            return latest(first), moves, order
        self._say(f"mapping {len(order.again):,} parts of files again, in the light of those before them")
        again = replace(work, wave=AGAIN, homes=order.homes, firsts=order.again)
        return latest(first, self._wave(again, self._read(again))), moves, order

    def _waited(
        self, work: Work, told: list[Told], moves: Moves, order: Order
    ) -> tuple[list[Told], frozenset[Split]]:
        """Map what waited for what it refers to, now that all is known."""
        waiting = sum(one.rows.get(LATER, 0) for one in told)
        if not waiting:
            return [], frozenset()
        self._say(f"mapping {waiting:,} resources that waited for others")
        later = replace(
            work,
            wave=WAITED,
            homes=order.homes,
            lookups=lookups_of(told, work.inputs),
            moves=moves,
        )
        sent = self._sent(LATER, PLANNED, AGAIN)
        first = self._wave(later, frames.mapped(sent, map_later, later, MAPPED))
        found = in_order(first, work.inputs, order.homes)
        if not found.again:
            return latest(first), frozenset()
        again = replace(later, wave=WAITED_AGAIN, homes=found.homes, firsts=found.again)
        second = self._wave(again, frames.mapped(sent, map_later, again, MAPPED))
        return latest(first, second), frozenset(found.again)

    def _wave(self, work: Work, rows: Rows) -> list[Told]:
        """Write what comes of a wave, and return what its parts told."""
        path = f"{self._beside}/wave={work.wave}"
        frames.write_payloads(rows, path, "kind")
        sent = self._sent(TOLD, work.wave).select("content")
        return [unpacked(row["content"]) for row in sent.toLocalIterator()]

    def _read(self, work: Work) -> Rows:
        """Return what comes of the files of a wave, by the way in which each is read."""
        numbers = {split.file for split in work.firsts} if work.firsts is not None else None
        wanted = [one for number, one in enumerate(work.inputs) if numbers is None or number in numbers]
        through = [one for one in wanted if not one.place]
        by_form = {form: [one for one in through if one.form is form] for form in Form}
        found = []
        if len(through) < len(wanted):
            tasks = frames.tasks(self._spark, len(work.ranges))
            found.append(frames.mapped(tasks, map_here, work, MAPPED))
        if by_form[Form.LINES]:
            lines = frames.lines(self._spark, [one.path for one in by_form[Form.LINES]])
            found.append(frames.mapped(lines, map_lines, work, MAPPED))
        if by_form[Form.WHOLE]:
            whole = frames.files(self._spark, [one.path for one in by_form[Form.WHOLE]])
            found.append(frames.mapped(whole, map_whole, work, MAPPED))
        if by_form[Form.CARRIED]:
            carried = frames.named(self._spark, [one.url for one in by_form[Form.CARRIED]])
            found.append(frames.mapped(carried, map_whole, work, MAPPED))
        if not found:
            return frames.frame(self._spark, MAPPED.empty_table())
        return reduce(lambda one, other: one.union(other), found)

    def _ranges(self, inputs: tuple[Input, ...]) -> tuple[tuple[Range, ...], ...]:
        """Return by task what workers read by themselves: parts of large files, many small ones together."""
        fair = frames.fair_split(self._spark, self._total)
        tasks: list[list[Range]] = []
        full = fair
        for number, one in enumerate(inputs):
            if not one.place:
                continue
            starts = range(0, one.size, fair) if one.form is Form.LINES and one.size > fair else (0,)
            for start in starts:
                stop = start + fair if start + fair < one.size and len(starts) > 1 else None
                size = (stop or one.size) - start + SMALL_FILE
                if full + size > fair + SMALL_FILE:
                    tasks.append([])
                    full = 0
                tasks[-1].append(Range(number, start, stop))
                full += size
        return tuple(map(tuple, tasks))

    def _sent(self, kind: str, *waves: int) -> Rows:
        sent = frames.read_payloads(self._spark, self._beside, MAPPED)
        return sent.where(f"kind = '{kind}' AND wave IN ({', '.join(map(str, waves))})")

    def _settled(self, inputs: tuple[Input, ...], told: list[Told], moves: Moves) -> Made:
        counts: Counter[str] = Counter()
        receipts = Receipts()
        for one in told:
            counts.update(one.rows)
            receipts.count(one.counts)
        rows = self._holdings(moves, tuple(one.source for one in inputs), counts, receipts)
        sources = tuple(plan.source for plan in self._plans)
        accounts = Settling(rows, self._plans[0].run_id, sources).settle()
        rows.close()
        counted = rows.counted()
        return Made(
            accounts,
            counted.issues,
            counted.unmapped,
            counted.tables,
            inputs=[{"file": one.name, "bytes": one.size} for one in inputs if one.size >= 0],
            layout=self._layout,
            versions={"spark": str(self._spark.version)},
        )

    def _holdings(
        self, moves: Moves, sources: tuple[int, ...], counts: Counter[str], receipts: Receipts
    ) -> SparkRows:
        """Return the rows, which workers write themselves where they can."""
        given = (self._spark, self._beside, self._cohort, self._layout, moves, sources, counts, receipts)
        place, beside = (self._storage.place_here(path) for path in (self._cohort, self._beside))
        if place is None or beside is None or self._layout.format != "parquet":
            return SparkRows(*given)
        return RowsHere(*given, place=place, beside=beside / INCOMPLETE)

    def _refuse_strangers(self) -> None:
        """Raise UsageError when `cohort` is no folder, or holds files that no cohort has."""
        old = self._storage.entry(f"{self._out}/cohort")
        if old is None:
            return
        known = {f"{table}.parquet" for table in LANDED}
        inside = self._storage.children(old) if old.folder else None
        if inside is None or any(name.rpartition("/")[2] not in known for name, *_ in inside):
            raise UsageError(f"{old.path}: is no cohort's, or holds other files; choose another folder")

    def _remove_unfinished(self) -> None:
        for path in (self._beside, self._cohort):
            self._storage.remove(path)
