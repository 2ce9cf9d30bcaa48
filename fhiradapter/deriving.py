"""Deriving: the rows of endpoints from parts of a cohort, by a crew of processes."""

import pickle
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from fhiradapter.analysis.parts import Cut, Part, cut, deriving_with, subjects_in
from fhiradapter.analysis.together import together
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.packing import packed_table, unpacked_table
from fhiradapter.engines.crew import Crew
from fhiradapter.engines.worker import described
from fhiradapter.errors import FhirAdapterError, WorkerError
from fhiradapter.settings import Study

# A part costs half a second of a processor whatever is in it, and a million rows some 400 MB of memory.
ROWS_OF_A_PART = 1_200_000
# Where a row came from, and what was written before it was understood; no endpoint looks at these.
NOT_ANALYSED = frozenset(
    {
        "source_file",
        "source_line",
        "resource_type",
        "resource_id",
        "version_id",
        "rule",
        "run_id",
        "identifiers",
        "path",
        "detail",
        "measured_end_at",
        "source_value",
        "value_concept",
        "absent_reason",
        *(f"{time}_text" for time in ("birth", "death", "started", "ended", "measured", "dose")),
    }
)

Rows = TypeVar("Rows")


@dataclass(frozen=True, eq=False)
class PartTask:
    """What is to be derived of one part; the part is cut out when it is asked for, or sent."""

    number: int
    derive: Callable[..., Any]
    parts: Cut
    given: tuple[Any, ...]
    others: frozenset[str]

    def part(self) -> tuple[Part, tuple[Any, ...]]:
        """Return the part, and what is given of its subjects; who has no row at all is in the first one."""
        part = self.parts.part(self.number - 1)
        whole = replace(part, subjects=part.subjects | self.others) if self.number == 1 else part
        return whole, tuple(cut(value, whole.subjects) for value in self.given)

    def run(self) -> Any:
        """Return the rows of the part; raises WorkerError, which tells nothing of what it holds."""
        try:
            part, given = self.part()
            return derived(self.derive, part, given)
        except FhirAdapterError:
            raise
        except Exception as error:  # noqa: BLE001 - told without its message, as of another process
            failure = described(error)
        raise WorkerError(f"{self}: {failure}")

    def __str__(self) -> str:
        """Return what a person needs to find it; ids of subjects are not for logs."""
        return f"part {self.number} of the analysis"

    def __reduce__(self) -> tuple[type["SentTask"], tuple[str, bytes]]:
        """Cut the part out on its way to a worker, so that none waits in memory for its turn."""
        return SentTask, (str(self), self.packed())

    def packed(self) -> bytes:
        """Return it as bytes; of a table's rows no others travel, whatever memory they share."""
        part, given = self.part()
        tables = {name: packed_table(table) for name, table in part.cohort.tables.items()}
        rest = replace(part, cohort=Cohort({}, part.cohort.accounting))
        pa.default_memory_pool().release_unused()  # what packing took, and the pool would keep
        return pickle.dumps((self.derive, rest, given, tables), pickle.HIGHEST_PROTOCOL)


class SentTask:
    """A task that came to a worker."""

    def __init__(self, name: str, content: bytes) -> None:
        self._name = name
        self._content = content

    def __str__(self) -> str:
        return self._name

    def run(self) -> bytes:
        """Derive the part, once: its bytes are given up for that."""
        content, self._content = self._content, b""
        return run_packed(content)


def tasks_of(
    derive: Callable[..., Any], cohort: Cohort, study: Study, given: tuple[Any, ...], *, count: int
) -> Iterator[PartTask]:
    """Yield the tasks of at most `count` parts; who has no row in the cohort is in the first one."""
    parts = Cut(cohort, study, count)
    others = subjects_in(given) - parts.subjects if given else frozenset()
    for number in range(len(parts)):
        yield PartTask(number + 1, derive, parts, given, others)


@dataclass(frozen=True)
class ByCrew:
    """Derives the rows of parts in `workers` processes side by side, of which this one is one."""

    workers: int

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return the rows of all parts together; raises WorkerError for a part that cannot be done."""
        needed = Cohort(
            {table: _analysed(content) for table, content in cohort.tables.items()}, cohort.accounting
        )
        rows = sum(len(table) for table in needed.tables.values())
        # As many for each process, so that none waits for another in the end.
        count = self.workers * max(1, -(-rows // (self.workers * ROWS_OF_A_PART)))
        others = Crew(partial(PartBench, derive), self.workers - 1, read=pickle.loads, pandas=True, ahead=1)
        try:
            found = _side_by_side(others, deque(tasks_of(derive, needed, study, given, count=count)))
        finally:
            others.close()
        rows_of_all: Rows = together(found)
        found.clear()
        pa.default_memory_pool().release_unused()
        return rows_of_all


def _side_by_side(others: Crew, waiting: deque[PartTask]) -> list[Any]:
    """Return what comes of tasks, in order: a crew does the first of them, and this process the last."""
    done: dict[int, Any] = {}

    def given_away() -> Iterator[PartTask]:
        with suppress(IndexError):
            while True:
                yield waiting.popleft()

    def take() -> None:
        for task, parts in others.results(given_away()):
            done.update((task.number, part) for part in parts)

    with ThreadPoolExecutor(1) as beside:
        taking = beside.submit(take)
        try:
            with suppress(IndexError):
                while not (taking.done() and taking.exception()):
                    task = waiting.pop()
                    done[task.number] = task.run()
            taking.result()
        except BaseException:
            others.close()  # which ends the waiting of the thread beside
            raise
    return [done[number] for number in sorted(done)]


class PartBench:
    """A bench at which parts are derived; what comes of them travels as bytes."""

    def __init__(self, derive: Callable[..., Any]) -> None:
        """Take what is going to be asked for: its modules are loaded while the first part is cut out."""
        self.derive = derive
        # Arrow's own pool keeps what it once had; a worker's memory is wanted by the part that comes next.
        pa.set_memory_pool(pa.system_memory_pool())

    def hear(self, news: Any) -> None:
        """Take notice of nothing: a part says all that there is to know."""

    def run(self, task: SentTask) -> Iterator[bytes]:
        """Derive one part."""
        yield task.run()


def derived(derive: Callable[..., Any], part: Part, given: tuple[Any, ...]) -> Any:
    """Return what `derive` gives of a part."""
    with deriving_with(None):
        return derive(part.cohort, part.study, *given)


def run_packed(content: bytes) -> bytes:
    """Do a packed task, and return what comes of it as bytes."""
    derive, rest, given, tables = pickle.loads(content)  # noqa: S301 - from the process that started this one
    del content
    # One after the other: a table's bytes go as soon as it is read.
    read = {name: unpacked_table(tables.pop(name)) for name in list(tables)}
    part = replace(rest, cohort=Cohort(read, rest.cohort.accounting))
    return pickle.dumps(derived(derive, part, given), pickle.HIGHEST_PROTOCOL)


def _analysed(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name not in NOT_ANALYSED])
