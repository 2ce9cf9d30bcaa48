"""Deriving: the rows of endpoints from parts of a cohort, here or by a crew of processes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fhiradapter.analysis.parts import Part, cut, deriving_with, parts_of, subjects_in, together
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class PartTask:
    """What is to be derived of one part."""

    derive: Callable[..., Any]
    part: Part
    given: tuple[Any, ...]

    def run(self) -> Any:
        """Return the rows of the part."""
        with deriving_with(None):
            return self.derive(self.part.cohort, self.part.study, *self.given)


def tasks_of(
    derive: Callable[..., Any], cohort: Cohort, study: Study, given: tuple[Any, ...], *, count: int
) -> list[PartTask]:
    """Return the tasks of at most `count` parts; who has no row in the cohort is in the first one."""
    first, *others = parts_of(cohort, study, count)
    known = first.subjects.union(*(part.subjects for part in others))
    parts = [replace(first, subjects=first.subjects | (subjects_in(given) - known)), *others]
    return [PartTask(derive, part, tuple(cut(value, part.subjects) for value in given)) for part in parts]


@dataclass(frozen=True)
class InParts:
    """Derives the rows of at most `count` parts one after the other, in this process."""

    count: int

    def __call__(self, derive: Callable[..., Rows], cohort: Cohort, study: Study, /, *given: Any) -> Rows:
        """Return the rows of all parts together."""
        return together([task.run() for task in tasks_of(derive, cohort, study, given, count=self.count)])
