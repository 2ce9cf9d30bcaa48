"""Patience: one request repeated until its answer is final, beside others that the server holds back too."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from fhiradapter.errors import TransientServerError
from fhiradapter.fhir.bodies import final
from fhiradapter.fhir.retries import RETRIED, Policy, TooLong, Wait
from fhiradapter.reasons import Reason


@dataclass
class Tally:
    """What the requests of one server cost so far."""

    requests: int = 0
    waits: int = 0
    seconds_waited: float = 0.0
    redirects: int = 0
    replays: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(
        self,
        *,
        requests: int = 0,
        waits: int = 0,
        seconds_waited: float = 0.0,
        redirects: int = 0,
        replays: int = 0,
        received_bytes: int = 0,
    ) -> None:
        """Count; from any thread."""
        with self._lock:
            self.requests += requests
            self.waits += waits
            self.seconds_waited += seconds_waited
            self.redirects += redirects
            self.replays += replays
            self.received_bytes += received_bytes


class Answered(Protocol):
    """What a decision needs of an answer."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whatever their case."""


A = TypeVar("A", bound=Answered)


def _nothing() -> None:
    """Prepare nothing."""


@dataclass
class Patience:
    """Repeats requests to one server by a policy; one for all threads that ask it."""

    policy: Policy
    sleep: Callable[[float], object]
    clock: Callable[[], float]
    random: Callable[[], float]
    now: Callable[[], datetime]
    tally: Tally
    _opens_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer_to(self, ask: Callable[[], A], what: str, *, before: Callable[[], None] = _nothing) -> A:
        """Return the first final answer of `ask`; `before` each try, an error of `before` is the end.

        Raises TransientServerError when no try gave one or the server wants a longer wait than allowed, and
        RefusedAnswerError when no body was whole.
        """
        for attempt in range(1, self.policy.tries + 1):
            self._pass_gate()
            before()
            self.tally.add(requests=1)
            wait: Wait | TooLong | None
            error: TransientServerError
            try:
                answer = ask()
            except TransientServerError as failure:
                error, wait = failure, self.policy.after_failure(attempt, random=self.random)
            else:
                if answer.status not in RETRIED:
                    return answer
                wait = self.policy.after_answer(
                    attempt, answer.status, answer.headers, random=self.random, now=self.now()
                )
                error = TransientServerError(
                    f"{what}: answered with status {answer.status} in {attempt} tries",
                    reason=Reason.SERVER_FAILED,
                    status=answer.status,
                )
            if isinstance(wait, TooLong):
                raise TransientServerError(
                    f"{what}: busy, and wants us to wait longer than retry_after_seconds",
                    reason=Reason.RETRY_LATER,
                    status=error.status,
                )
            if wait is None:
                break
            self._wait(wait)
        raise final(error)

    def single_answer_to(self, ask: Callable[[], A], *, before: Callable[[], None] = _nothing) -> A:
        """Return the answer of one try, whatever its status; errors are the caller's."""
        self._pass_gate()
        before()
        self.tally.add(requests=1)
        return ask()

    def _pass_gate(self) -> None:
        """Wait until the server lets anybody ask again."""
        while True:
            with self._lock:
                left = self._opens_at - self.clock()
            if left <= 0:
                return
            self._sleep(left)

    def _wait(self, wait: Wait) -> None:
        if wait.shared:
            with self._lock:
                self._opens_at = max(self._opens_at, self.clock() + wait.seconds)
        else:
            self._sleep(wait.seconds)

    def _sleep(self, seconds: float) -> None:
        self.tally.add(waits=1, seconds_waited=seconds)
        self.sleep(seconds)
