"""The crew: worker processes that do tasks side by side, and give their parts in the order of the tasks."""

import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any

from fhiradapter.engines.local import Bench
from fhiradapter.engines.messages import Kind, receive, send
from fhiradapter.errors import FhirAdapterError, WorkerError

IN_FLIGHT = 2  # tasks of each worker: the one it is at, and one that is done or waits
WAITING_PARTS = 8  # of one task; a worker that is further ahead waits until some are taken
TRIES = 2  # what ends two workers would end a third
START = (
    "import sys; sys.path[:] = {path!r}; from fhiradapter.engines.worker import main; "
    "main({descriptor}, pandas={pandas})"
)
_Process = tuple[subprocess.Popen[bytes], socket.socket]
_begun: deque[_Process] = deque()


@contextmanager
def begun(count: int) -> Iterator[None]:
    """Start processes that load what mapping needs while this one still loads what it needs itself.

    A crew without pandas takes them for its workers; those that no crew took are ended.
    """
    try:
        for _ in range(count):
            _begun.append(_process(pandas=False))
        yield
    finally:
        while _begun:
            process, connection = _begun.pop()
            process.kill()
            process.wait()
            connection.close()


def _process(*, pandas: bool) -> _Process:
    """Start a worker; return it with the socket that leads to it."""
    # Not multiprocessing: its way to start a process runs the caller's script once more, and a notebook
    # or a script without `if __name__ == "__main__"` would start itself without end.
    connection, other = socket.socketpair()
    with other:
        command = START.format(path=sys.path, descriptor=other.fileno(), pandas=pandas)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-c", command], pass_fds=(other.fileno(),), stdin=subprocess.DEVNULL
        )
    return process, connection


class Crew:
    """Does tasks in processes of its own, which are gone when it is closed or its process ends.

    A worker that dies, such as one that the system kills for its memory, loses nothing: another one does the
    task again, and parts that came already are passed over. Whatever cannot be done is a WorkerError that
    names the task.
    """

    def __init__(
        self,
        make: Callable[[], Bench],
        count: int,
        *,
        read: Callable[[bytearray], Any] = bytes,
        pandas: bool = False,
        ahead: int = IN_FLIGHT,
    ) -> None:
        """Start `count` workers, each with a bench that `make` makes; its parts are bytes, to `read` here.

        A bench that needs `pandas` has to say so. Of tasks, `ahead` are taken for each worker.
        """
        self._make = pickle.dumps(make)
        self._read = read
        self._news: list[bytes] = []
        self._waiting: deque[_Order] = deque()
        self._changed = Condition()
        self._closed = False
        self._limit = ahead * count
        self._hands = [_Hand(self._make, self._news, pandas=pandas) for _ in range(count)]
        self._threads = [Thread(target=self._drive, args=(hand,), daemon=True) for hand in self._hands]
        for thread in self._threads:
            thread.start()

    def tell(self, news: Any) -> None:
        """Say what holds for the tasks that follow; every worker hears it before its next task."""
        self._news.append(pickle.dumps(news))

    def results(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Yield each task with its parts; raises WorkerError for a task that cannot be done.

        A crew of nobody takes no task.
        """
        coming = iter(tasks)
        orders: deque[_Order] = deque()
        more = self._limit > 0
        while more or orders:
            while more and len(orders) < self._limit:
                task = next(coming, None)
                if task is None:
                    more = False
                    break
                orders.append(_Order(task, self._changed))
                with self._changed:
                    if self._closed:
                        return
                    self._waiting.append(orders[-1])
                    self._changed.notify_all()
            if orders:
                order = orders.popleft()
                yield order.task, map(self._read, order.parts())
                order.drop()

    def close(self) -> None:
        """End the workers, whatever they are at; who still waits for parts gets none."""
        with self._changed:
            self._closed = True
            for order in self._waiting:
                order.end(None)
            self._changed.notify_all()
        for hand in self._hands:
            hand.end()
        for thread, hand in zip(self._threads, self._hands, strict=True):
            thread.join()
            hand.end()  # once more, when it had just ended and begun anew

    def _drive(self, hand: "_Hand") -> None:
        """Give orders to one worker until there are no more."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                order = self._waiting.popleft()
            try:
                self._carry_out(order, hand)
            except FhirAdapterError as error:
                order.end(error)
            except Exception as error:  # noqa: BLE001 - raised again where the results are read
                order.end(WorkerError(f"{order.task}: {type(error).__name__} in a crew"))

    def _carry_out(self, order: "_Order", hand: "_Hand") -> None:
        for attempt in range(1, TRIES + 1):
            try:
                for received, content in enumerate(hand.run(order.task), 1):
                    if received > order.received and not order.put(content, lambda: self._closed):
                        order.end(None)
                        return
            except (EOFError, OSError) as error:
                if self._closed:
                    order.end(None)
                    return
                ending = hand.ending()
                if attempt == TRIES:
                    raise WorkerError(
                        f"{order.task}: {TRIES} workers ended before they were done ({ending})"
                    ) from error
            else:
                order.end(None)
                return


class _Order:
    """A task on its way: what came of it and was not taken yet."""

    def __init__(self, task: Any, changed: Condition) -> None:
        self.task = task
        self.received = 0
        self._parts: deque[bytearray] = deque()
        self._changed = changed
        self._ended = self._dropped = False
        self._error: FhirAdapterError | None = None

    def put(self, part: bytearray, closed: Callable[[], bool]) -> bool:
        """Add a part, as soon as there is room for it; return False when the crew was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._parts) < WAITING_PARTS or self._dropped or closed())
            if not self._dropped:
                self._parts.append(part)
            self.received += 1
            self._changed.notify_all()
        return not closed()

    def end(self, error: FhirAdapterError | None) -> None:
        """Say that no part follows."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def drop(self) -> None:
        """Take no more parts."""
        with self._changed:
            self._dropped = True
            self._parts.clear()
            self._changed.notify_all()

    def parts(self) -> Iterator[bytearray]:
        """Yield the parts as they come."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parts or self._ended)
                if not self._parts:
                    break
                part = self._parts.popleft()
                self._changed.notify_all()
            yield part
        if self._error is not None:
            raise self._error


class _Hand:
    """One worker process, and the next one when it ended."""

    def __init__(self, make: bytes, news: list[bytes], *, pandas: bool) -> None:
        self._make = make
        self._news = news
        self._pandas = pandas
        self._start()

    def run(self, task: Any) -> Iterator[bytearray]:
        """Have a task done; raises EOFError or OSError when the worker ends."""
        while self._told < len(self._news):
            send(self._connection, Kind.NEWS, self._news[self._told])
            self._told += 1
        send(self._connection, Kind.TASK, pickle.dumps(task))
        while True:
            kind, content = receive(self._connection)
            if kind is Kind.DONE:
                return
            if kind is Kind.FAULT:
                error = pickle.loads(content)  # noqa: S301 - from a process that this one started
                raise error if isinstance(error, FhirAdapterError) else WorkerError(f"{task}: {error}")
            yield content

    def ending(self) -> str:
        """Say how the worker ended, and start another one."""
        self._connection.close()
        code = self._process.wait()
        self._start()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def end(self) -> None:
        """End the worker."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _start(self) -> None:
        early = _begun and not self._pandas
        self._process, self._connection = _begun.popleft() if early else _process(pandas=self._pandas)
        self._told = 0
        send(self._connection, Kind.MAKE, self._make)
