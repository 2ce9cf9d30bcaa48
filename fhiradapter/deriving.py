"""Deriving: the rows of endpoints from parts of a cohort, here or by a crew of processes."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa

from fhiradapter.analysis.parts import Cut, Part, cut, deriving_with, subjects_in, together
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
class InParts:
    """Derives the rows of at most `count` parts one after the other, in this process."""

    count: int

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return the rows of all parts together."""
        return together([task.run() for task in tasks_of(derive, cohort, study, given, count=self.count)])


@dataclass(frozen=True)
class ByCrew:
    """Derives the rows of parts in `workers` processes side by side."""

    workers: int

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return the rows of all parts together; raises WorkerError for a part that cannot be done."""
        needed = Cohort(
            {table: _analysed(content) for table, content in cohort.tables.items()}, cohort.accounting
        )
        tasks = tasks_of(derive, needed, study, given, count=PARTS_OF_A_WORKER * self.workers)
        crew = Crew(PartBench, self.workers, read=pickle.loads, pandas=True)
        try:
            return together([rows for _, parts in crew.results(tasks) for rows in parts])
        finally:
            crew.close()


class PartBench:
    """A bench at which parts are derived; what comes of them travels as bytes."""

    def hear(self, news: Any) -> None:
        """Take notice of nothing: a part says all that there is to know."""

    def run(self, task: PartTask) -> Iterator[bytes]:
        """Derive one part."""
        yield pickle.dumps(task.run(), pickle.HIGHEST_PROTOCOL)


def _analysed(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name not in NOT_ANALYSED])
