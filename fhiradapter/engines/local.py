"""The local engine: tasks one after the other, in this process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

AT_ONCE = 2_000  # resources that waited for others, in one task


class Bench(Protocol):
    """What tasks are done at."""

    def hear(self, news: Any, /) -> None:
        """Take notice of what holds for the tasks that follow."""
        ...

    def run(self, task: Any, /) -> Iterator[Any]:
        """Do a task and yield its parts."""
        ...


class Engine(Protocol):
    """Where tasks are done; `results` come in the order of the tasks, whoever does them."""

    def tell(self, news: Any, /) -> None:
        """Say what holds for the tasks that follow."""
        ...

    def results(self, tasks: Iterable[Any], /) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Yield each task with its parts; they are read before the next task is asked for."""
        ...

    def close(self) -> None:
        """End what was begun."""
        ...


class Local:
    """Does a task when its parts are asked for."""

    def __init__(self, make: Callable[[], Bench]) -> None:
        self._bench = make()

    def tell(self, news: Any) -> None:
        """Say what holds for the tasks that follow."""
        self._bench.hear(news)

    def results(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Yield each task with its parts."""
        for task in tasks:
            yield task, self._bench.run(task)

    def close(self) -> None:
        """End; there is nothing to end here."""
