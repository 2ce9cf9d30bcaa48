"""Transport: the one door to a FHIR server, with its origin rule, retries, deadlines and tokens."""

import random as randomness
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from fhiradapter.connection import Server
from fhiradapter.errors import AuthenticationError, RefusedAnswerError, SettingsError
from fhiradapter.fhir.auth import Anonymous, Authorization, sent_value
from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.fhir.origins import (
    Origin,
    absolute,
    allows,
    foreign,
    label,
    origin_of,
    origin_of_base,
    resolve,
)
from fhiradapter.fhir.patience import Answered, Patience, Tally
from fhiradapter.fhir.retries import Policy
from fhiradapter.fhir.secrets import Vault
from fhiradapter.fhir.transport_files import LARGEST_FILE, Download, download
from fhiradapter.fhir.transport_session import Answer, Session
from fhiradapter.fhir.wire import Pace
from fhiradapter.reasons import Reason

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
UNAUTHORIZED = 401
FRESH = {"Cache-Control": "no-cache"}  # HAPI answers a repeated search from a cache of a minute

A = TypeVar("A", bound=Answered)


def _now() -> datetime:
    return datetime.now(UTC)


class Transport:
    """Asks one server, for all threads; implements `fhir.fetching.Fetcher`.

    `transport_opening.open_transport` makes one from settings with secrets. `auth` gives the headers by which
    the server knows us; they go to its own origin and nowhere else.
    `folder` is where relative paths of the settings start. `sleep` may raise to end all waiting.
    """

    def __init__(
        self,
        base_url: str,
        settings: Server,
        *,
        auth: Authorization | None = None,
        folder: Path = Path(),
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
        now: Callable[[], datetime] = _now,
        session: Session | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.settings = settings
        self.auth: Authorization = auth or Anonymous()
        self.tally = Tally()
        self.origin = origin_of_base(self.base_url)
        if self.origin.scheme == "http" and not self.origin.is_loopback:
            raise SettingsError("base_url: http is for this machine alone; patient data need https")
        self.session = session or Session(settings, vault=Vault(folder, {}), clock=clock)
        policy = Policy(settings.tries, settings.retry_after_seconds)
        self._new_patience = partial(Patience, policy, sleep, clock, random, now, self.tally)
        self._patiences: dict[Origin, Patience] = {}  # file hosts are busy for themselves

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        """Return the final answer for an absolute URL, or one relative to the base.

        Final is every status but 401 and those of `retries.RETRIED`. Raises RefusedOriginError before anybody
        is asked when the URL leads elsewhere, AuthenticationError on a 401 after one refresh,
        TransientServerError when all tries failed, and RefusedAnswerError for a body or redirect that breaks
        a rule.
        """
        return self.send("GET", url, headers={**(FRESH if fresh else {}), **headers})

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        repeat: bool = True,
    ) -> Reply:
        """Return the answer to any request; with `repeat=False` it is sent once and any status is final.

        Starting an export twice would cost the server hours: that one is not repeated, unless a 401 says that
        it was not begun.
        """
        target = resolve(url, at=self.base_url + "/", base=self.origin)
        what = label(target, self.base_url)

        def ask(credentials: Mapping[str, str]) -> Reply:
            pace = self.session.pace(what, most=self.settings.page_bytes)
            answer = self.follow(
                method, target, headers=headers, credentials=credentials, pace=pace, body=body
            )
            try:
                return answer.read()
            finally:
                self.tally.add(received_bytes=pace.received)

        return self.authorized(ask, origin=self.origin, what=what, repeat=repeat)

    def stream(
        self,
        url: str,
        *,
        with_token: bool,
        headers: Mapping[str, str] = NO_HEADERS,
        most: int = LARGEST_FILE,
    ) -> AbstractContextManager[Download]:
        """Open a bulk file for reading in chunks; see `transport_files.download`."""
        return download(self, url, with_token=with_token, headers=headers, most=most)

    def authorized(
        self,
        ask: Callable[[Mapping[str, str]], A],
        *,
        origin: Origin,
        what: str,
        repeat: bool = True,
        renew: bool = True,
    ) -> A:
        """Return the final answer of a request; after a 401 the secret is renewed and it is sent once more.

        With `renew=False`, for requests without the secret, a 401 is final.
        """
        credentials: dict[str, str] = {}

        def renew_early() -> None:
            nonlocal credentials
            credentials = self.auth.headers()

        def attempt() -> A:
            return ask(credentials)

        patience = self._patiences.setdefault(origin, self._new_patience())
        for is_replay in (False, True):
            if repeat:
                answer = patience.answer_to(attempt, what, before=renew_early)
            else:
                answer = patience.single_answer_to(attempt, before=renew_early)
            if answer.status != UNAUTHORIZED or not renew:
                return answer
            if is_replay or not self.auth.refresh(sent_value(credentials)):
                break
            self.tally.add(replays=1)
        raise AuthenticationError(f"{what}: the server does not accept our credentials (status 401)")

    def follow(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        credentials: Mapping[str, str],
        pace: Pace,
        body: bytes | None = None,
        hosts: tuple[str, ...] = (),
    ) -> Answer:
        """Return the open answer behind at most five redirects, all within the origin or to `hosts`.

        Credentials go to the server's own origin, and no further once a redirect has left it.
        """
        seen: set[str] = set()
        at_home = True
        while True:
            at_home = at_home and origin_of(url) == self.origin
            answer = self.session.open(
                method, url, headers={**headers, **(credentials if at_home else {})}, pace=pace, body=body
            )
            if answer.status not in REDIRECTS:
                return answer
            answer.close()
            seen.add(url)
            location = answer.headers.get("Location")
            if method != "GET" or not location:
                raise RefusedAnswerError(
                    f"{pace.what}: a redirect that cannot be followed",
                    reason=Reason.BAD_REDIRECT,
                    status=answer.status,
                )
            url = absolute(location, at=url)
            if not allows(origin_of(url), base=self.origin, hosts=hosts):
                raise foreign(origin_of(url), self.origin)
            if url in seen or len(seen) > MOST_REDIRECTS:
                raise RefusedAnswerError(
                    f"{pace.what}: redirects without an end",
                    reason=Reason.REDIRECT_LOOP,
                    status=answer.status,
                )
            self.tally.add(redirects=1)

    def close(self) -> None:
        """Close all connections."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
