"""Deriving: the rows of endpoints from parts of a cohort, by a crew of processes."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa

from fhiradapter.analysis.parts import Cut, Part, cut, deriving_with, subjects_in
from fhiradapter.analysis.together import together
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.engines.crew import Crew
from fhiradapter.settings import Study

PARTS_OF_A_WORKER = 4  # so that the last one to finish does not keep the others waiting for long
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


@dataclass(frozen=True)
class PartTask:
    """What is to be derived of one part."""

    number: int
    derive: Callable[..., Any]
    part: Part
    given: tuple[Any, ...]

    def run(self) -> Any:
        """Return the rows of the part."""
        with deriving_with(None):
            return self.derive(self.part.cohort, self.part.study, *self.given)

    def __str__(self) -> str:
        """Return what a person needs to find it; ids of subjects are not for logs."""
        return f"part {self.number} of the analysis"

    def packed(self) -> bytes:
        """Return it as bytes; of a table's rows no others travel, whatever memory they share."""
        cohort = self.part.cohort
        tables = {name: packed_table(table) for name, table in cohort.tables.items()}
        rest = replace(self, part=replace(self.part, cohort=Cohort({}, cohort.accounting)))
        return pickle.dumps((rest, tables), pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def unpacked(content: bytes) -> "PartTask":
        """Return what was packed."""
        rest, tables = pickle.loads(content)  # noqa: S301 - from the process that started this one
        read = {name: unpacked_table(table) for name, table in tables.items()}
        cohort = Cohort(read, rest.part.cohort.accounting)
        task: PartTask = replace(rest, part=replace(rest.part, cohort=cohort))
        return task


def tasks_of(
    derive: Callable[..., Any], cohort: Cohort, study: Study, given: tuple[Any, ...], *, count: int
) -> Iterator[PartTask]:
    """Yield the tasks of at most `count` parts; who has no row in the cohort is in the first one."""
    parts = Cut(cohort, study, count)
    others = subjects_in(given) - parts.subjects if given else frozenset()
    for number, part in enumerate(parts):
        whole = replace(part, subjects=part.subjects | others) if number == 0 else part
        yield PartTask(number + 1, derive, whole, tuple(cut(value, whole.subjects) for value in given))


@dataclass(frozen=True)
class ByCrew:
    """Derives the rows of parts in `workers` processes side by side."""

    workers: int

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return the rows of all parts together; raises WorkerError for a part that cannot be done."""
        needed = Cohort(
            {table: _analysed(content) for table, content in cohort.tables.items()}, cohort.accounting
        )
        count = PARTS_OF_A_WORKER * self.workers
        tasks = (Packed(task) for task in tasks_of(derive, needed, study, given, count=count))
        crew = Crew(PartBench, self.workers, read=pickle.loads, pandas=True)
        try:
            rows: Rows = together([part for _, parts in crew.results(tasks) for part in parts])
            return rows
        finally:
            crew.close()


class Packed:
    """A task on its way to a worker."""

    def __init__(self, task: PartTask) -> None:
        self.content = task.packed()
        self._name = str(task)

    def __str__(self) -> str:
        return self._name


class PartBench:
    """A bench at which parts are derived; what comes of them travels as bytes."""

    def hear(self, news: Any) -> None:
        """Take notice of nothing: a part says all that there is to know."""

    def run(self, task: Packed) -> Iterator[bytes]:
        """Derive one part."""
        yield run_packed(task.content)


def packed_table(table: pa.Table) -> bytes:
    """Return a table as bytes."""
    sink = pa.BufferOutputStream()
    # Packed to a third, a part is quicker at the other end of a socket.
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpacked_table(content: bytes) -> pa.Table:
    """Return what was packed."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


def _analysed(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name not in NOT_ANALYSED])


def run_packed(content: bytes) -> bytes:
    """Do a packed task, and return what comes of it as bytes."""
    return pickle.dumps(PartTask.unpacked(content).run(), pickle.HIGHEST_PROTOCOL)
