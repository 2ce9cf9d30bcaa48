"""Servers on this machine that do what they should not, byte by byte, and a clock that nobody waits for."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fhiradapter.connection import Server

TOKEN = "very-secret-token"
PATIENCE = 0.01  # seconds between looks at whether the test is over
ENOUGH = 20.0  # seconds after which a server gives up on a client that never goes


@dataclass
class FakeTime:
    """A monotonic clock that only sleeping moves."""

    moment: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += seconds


Script = Callable[[socket.socket, str], None]


@dataclass
class RawServer:
    """Answers each request on a socket with whatever a function sends."""

    script: Script = field(repr=False)
    listener: socket.socket = field(repr=False)
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event, repr=False)
    threads: list[threading.Thread] = field(default_factory=list, repr=False)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def tokens(self) -> int:
        return sum(TOKEN in request or "authorization" in request.lower() for request in self.requests)

    def accept(self) -> None:
        """Take connections until the end."""
        while not self.ended.is_set():
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self.threads.append(threading.Thread(target=self.talk, args=(connection,)))
            self.threads[-1].start()

    def talk(self, connection: socket.socket) -> None:
        """Answer the requests of one connection."""
        pending, begun = b"", time.monotonic()
        with connection, suppress(OSError):
            while not self.ended.is_set() and time.monotonic() - begun < ENOUGH:
                connection.settimeout(PATIENCE)
                try:
                    received = connection.recv(65536)
                except TimeoutError:
                    continue
                if not received:
                    return
                pending += received
                connection.settimeout(ENOUGH)
                while b"\r\n\r\n" in pending:
                    head, _, pending = pending.partition(b"\r\n\r\n")
                    self.requests.append(head.decode("latin-1"))
                    self.script(connection, self.requests[-1])


@contextmanager
def serving(script: Script) -> Iterator[RawServer]:
    """Run a server whose script gets the connection and the request's text, until it closes or returns."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        server = RawServer(script, listener)
        acceptor = threading.Thread(target=server.accept)
        acceptor.start()
        try:
            yield server
        finally:
            server.ended.set()
            for thread in (acceptor, *server.threads):
                thread.join()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return a whole answer; `length` to say another Content-Length than the true one."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(*answers: bytes, then_close: bool = False) -> Script:
    """Return a script that gives one answer after the other, the last one for ever."""
    left = list(answers)

    def script(connection: socket.socket, _request: str) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])
        if then_close:
            connection.shutdown(socket.SHUT_RDWR)

    return script


def bundle(*resources: dict[str, Any], next: str | None = None) -> bytes:  # noqa: A002 - the relation's name
    """Return a page of search results."""
    links = [{"relation": "next", "url": next}] if next is not None else []
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}
    ).encode()


def bomb(gibibytes: int) -> bytes:
    """Return gzip that begins to stand for some GiB of blanks; made from one MiB, as blocks repeat."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    mebibyte = b" " * (1 << 20)
    start = packer.compress(mebibyte) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(mebibyte) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (1024 * gibibytes - 1)


def gzipped(content: bytes) -> bytes:
    """Return content as gzip."""
    return gzip.compress(content, mtime=0)


def settings(**changes: Any) -> Server:
    """Return settings of a server."""
    return Server.model_validate(changes)
