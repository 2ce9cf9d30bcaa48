"""The wire: connections whose answers must arrive in time and within a number of bytes."""

import http.client
import io
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fhiradapter.errors import TransientServerError
from fhiradapter.fhir.bodies import too_large
from fhiradapter.reasons import Reason

BUFFER = 1 << 16  # bytes
HEADERS = 1 << 20  # bytes beside the body: status line, headers, chunk lengths


@dataclass
class Pace:
    """How fast and how much one answer may come.

    Without `least`, the last byte must be there after `seconds`. With it, `seconds` of waiting must bring so
    many bytes: a file of any size may come, a drip ends, and a slow disk behind us is not the server's fault.
    """

    clock: Callable[[], float]
    seconds: float
    most: int
    what: str
    least: int | None = None
    received: int = 0
    answer: http.client.HTTPResponse | None = None
    """The last answer that began under it."""
    _begun: float = field(init=False)
    _waited: float = 0.0
    _since: int = 0

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def left(self) -> float:
        """Return the seconds that the next bytes may take; TransientServerError when none are left."""
        spent = self._waited if self.least is not None else self.clock() - self._begun
        if spent >= self.seconds:
            raise self.late()
        return self.seconds - spent

    def count(self, size: int, *, waited: float) -> None:
        """Count bytes that arrived after some seconds; RefusedAnswerError when they are too many."""
        self.received += size
        self._since += size
        self._waited += waited
        if self.least is not None and self._since >= self.least:
            self._waited, self._since = 0.0, 0
        if self.received > self.most + HEADERS + self.most // 8:  # small chunks have as much around them
            raise too_large(self.what, self.most)

    def late(self) -> TransientServerError:
        """Return the error for an answer that did not come in time."""
        return TransientServerError(
            f"{self.what}: no complete answer within {self.seconds:g} seconds", reason=Reason.DEADLINE
        )


_pace: ContextVar[Pace | None] = ContextVar("pace", default=None)


@contextmanager
def paced(pace: Pace) -> Iterator[None]:
    """Let every answer that begins in this context keep to a pace, to its end."""
    token = _pace.set(pace)
    try:
        yield
    finally:
        _pace.reset(token)


class _Measured(io.RawIOBase):
    """A socket's incoming bytes, each read of which is given the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._raw, self._sock, self._pace = raw, sock, pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._pace.left())
        begun, late = self._pace.clock(), False
        size: int | None = 0
        try:
            size = self._raw.readinto(buffer)
        except TimeoutError:
            late = True
        if late:
            raise self._pace.late()
        self._pace.count(size or 0, waited=self._pace.clock() - begun)
        return size or 0

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer read through `_Measured`, from its first byte: headers may drip as well."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        pace = _pace.get()
        if pace is not None:
            raw: Any = self.fp.detach()
            self.fp = io.BufferedReader(_Measured(raw, sock, pace), BUFFER)
            pace.answer = self


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return _pace.get() is None


# urllib3 writes whole URLs into its log: ids and search values. Its records about our requests are dropped,
# those about anybody else's are not.
for _name in ("connectionpool", "connection", "response", "poolmanager", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_is_not_ours)
