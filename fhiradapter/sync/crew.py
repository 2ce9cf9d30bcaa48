"""A crew: threads that fetch units and hand on their parts, a bounded number of which wait."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from fhiradapter.fhir.units import Fetched, Unit

WAITING = 2  # parts; with those in four threads' hands some 50 MB at most
Fetch = Callable[[Unit], Iterator[Fetched]]


class Crew:
    """Fetches units in their order, several at once; the parts of each one stay in order.

    `stopping` is watched between parts: what is in hand then is still handed on, and nothing is begun.
    """

    def __init__(self, fetch: Fetch, *, workers: int, stopping: threading.Event) -> None:
        self._fetch = fetch
        self._workers = workers
        self._stopping = stopping

    def work(self, units: Sequence[Unit]) -> Iterator[Fetched]:
        """Yield the parts of units as they come; raises what a fetch raises, after all threads have ended."""
        hands = _Hands(units)
        threads = [
            threading.Thread(target=self._fetch_all, args=(hands,), name=f"fetch-{number}", daemon=True)
            for number in range(min(self._workers, len(units)))
        ]
        for thread in threads:
            thread.start()
        ended = 0
        try:
            while ended < len(threads):
                part = hands.done.get()
                if part is None:
                    ended += 1
                elif hands.failure is None:
                    yield part
        finally:
            hands.given_up.set()
            while ended < len(threads):  # threads that wait to hand something on are let go
                ended += hands.done.get() is None
            for thread in threads:
                thread.join()
        if hands.failure is not None:
            raise hands.failure

    def _fetch_all(self, hands: "_Hands") -> None:
        try:
            while not hands.given_up.is_set() and not self._stopping.is_set():
                unit = hands.todo.get_nowait()
                for part in self._whole(unit):
                    hands.done.put(part)
                    if hands.given_up.is_set():
                        break
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the parts are read
            hands.failure = hands.failure or error
            hands.given_up.set()
        finally:
            hands.done.put(None)

    def _whole(self, unit: Unit) -> Iterator[Fetched]:
        """Yield the parts of a unit; one that was read in smaller units is done when these are."""
        named = False
        for part in self._fetch(unit):
            named = named or part.unit.name == unit.name
            yield part
            if self._stopping.is_set() and part.unit.name != unit.name:
                return
        if not named:
            yield Fetched(unit)


class _Hands:
    """What goes through the threads' hands."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.todo: queue.SimpleQueue[Unit] = queue.SimpleQueue()
        for unit in units:
            self.todo.put(unit)
        self.done: queue.Queue[Fetched | None] = queue.Queue(WAITING)
        self.given_up = threading.Event()
        self.failure: BaseException | None = None
