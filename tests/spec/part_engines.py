"""Engines for claims: parts one after the other in this process, and parts on Spark's workers."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhiradapter.analysis.together import together
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.deriving import run_packed, tasks_of
from fhiradapter.settings import Study


@dataclass(frozen=True)
class InParts:
    """Derives the rows of at most `count` parts one after the other, in this process."""

    count: int

    def __call__(self, derive: Callable[..., Any], cohort: Cohort, study: Study, /, *given: Any) -> Any:
        return together([task.run() for task in tasks_of(derive, cohort, study, given, count=self.count)])


@dataclass(frozen=True)
class OnSpark:
    """Derives the rows of at most `count` parts on Spark's workers.

    A claim has a handful of rows: as a job of packed parts it takes a tenth of a second, where the tables of
    a cohort in files would take several. Those are for `test_spark_run.py`.
    """

    session: Any
    count: int

    def __call__(self, derive: Callable[..., Any], cohort: Cohort, study: Study, /, *given: Any) -> Any:
        tasks = [task.packed() for task in tasks_of(derive, cohort, study, given, count=self.count)]
        context = self.session.sparkContext
        spread = context.parallelize(tasks, min(len(tasks), context.defaultParallelism))
        return together([pickle.loads(rows) for rows in spread.map(run_packed).collect()])
