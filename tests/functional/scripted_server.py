"""A ward behind real sockets on 127.0.0.1, whose server breaks off, refuses or lies at chosen requests."""

import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from scripted_ward import Answer, Ward

FAULTS = (
    *("refused", "reset before", "reset after", "time-out", "500", "503", "401"),
    *("truncated body", "truncated gzip", "HTML 200", "410"),
)
HELD_SECONDS = 30.0
LOGIN = b"<!DOCTYPE html><title>Log in</title>"
OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}'

Fault = str | None
Faults = Callable[[int], Fault]


def no_faults(number: int) -> Fault:
    """Answer every request."""
    del number
    return None


class ScriptedServer:
    """Answers from a ward; `faults` says by the number of the request, from 1, what goes wrong with it."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.faults: Faults = no_faults
        self.number = 0
        self.injected: list[int] = []
        self._lock = threading.Lock()
        self._port = _bound(0)  # never listens: nobody else gets the port while connections are refused
        self.origin = f"http://127.0.0.1:{self._port.getsockname()[1]}"
        self.base_url = self.origin + ward.base_path
        self._refusing = False
        self.arrived, self.released = threading.Event(), threading.Event()  # of a request that is "held"
        self._listen()

    def begin(self, faults: Faults = no_faults) -> None:
        """Count anew, and let other things go wrong."""
        self.reopen()
        with self._lock:
            self.faults, self.number, self.injected = faults, 0, []
            self._refuse_next()

    def change(self, write: Callable[[Ward], None]) -> None:
        """Change the ward between two requests."""
        with self._lock:
            write(self.ward)

    def reopen(self, _seconds: float = 0) -> None:
        """Accept connections again; to be called where a client would wait."""
        with self._lock:
            if self._refusing:
                self._refusing = False
                self._note()
                self._listen()

    def close(self) -> None:
        """End."""
        self._shut()
        self._port.close()

    def _note(self) -> None:
        self.number += 1
        self.injected.append(self.number)

    def _listen(self) -> None:
        self._socket = _bound(self._port.getsockname()[1])
        self._socket.listen(16)
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def _shut(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _refuse_next(self) -> bool:
        """Close the door when the next request is to be refused."""
        if self.faults(self.number + 1) == "refused" and not self._refusing:
            self._refusing = True
            self._shut()
        return self._refusing

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting = b""
            while True:
                while b"\r\n\r\n" not in waiting:
                    received = connection.recv(1 << 16)
                    if not received:
                        return
                    waiting += received
                request, _, waiting = waiting.partition(b"\r\n\r\n")
                if not self._respond(connection, request.split(b" ", 2)[1].decode()):
                    return

    def _respond(self, connection: socket.socket, target: str) -> bool:
        """Answer one request, or do what goes wrong with it; return whether the connection goes on."""
        with self._lock:
            fault = self.faults(self.number + 1)
            if fault is None:
                self.number += 1
                answer = self.ward.answer(target, self.origin)
            else:
                self._note()
            last = self._refuse_next()
        if fault is None:
            return _send(connection, answer, last=last)
        answer = self.ward.answer(target, self.origin)
        if fault == "held":
            self.arrived.set()
            self.released.wait(HELD_SECONDS)
            return _send(connection, answer, last=last)
        _BROKEN[fault](connection, answer)
        return False


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    return found


def _head(status: int, headers: dict[str, str], length: int, *, last: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _send(connection: socket.socket, answer: Answer, *, last: bool = True) -> bool:
    connection.sendall(_head(answer.status, answer.headers, len(answer.body), last=last) + answer.body)
    return not last


def _reset(connection: socket.socket, answer: Answer, *, sent: bool) -> None:
    if sent:
        whole = _head(answer.status, answer.headers, len(answer.body), last=True) + answer.body
        connection.sendall(whole[: len(whole) - len(answer.body) // 2 - 1])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _hold(connection: socket.socket, answer: Answer) -> None:
    """Send the beginning of an answer and nothing more until the client has gone."""
    connection.sendall(_head(answer.status, answer.headers, len(answer.body), last=True))
    connection.settimeout(HELD_SECONDS)
    connection.recv(1)


def _cut(connection: socket.socket, answer: Answer) -> None:
    head = _head(answer.status, answer.headers, len(answer.body), last=True)
    connection.sendall(head + answer.body[: len(answer.body) // 2])


def _cut_gzip(connection: socket.socket, answer: Answer) -> None:
    body = gzip.compress(answer.body)
    _send(connection, Answer(answer.status, body[:-10], answer.headers | {"Content-Encoding": "gzip"}))


def _status(status: int, body: bytes = OUTCOME, **headers: str) -> Callable[[socket.socket, Answer], None]:
    def send(connection: socket.socket, answer: Answer) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        _send(connection, Answer(status, body, answer.headers | named))

    return send


_BROKEN: dict[str, Callable[[socket.socket, Answer], None]] = {
    "reset before": lambda connection, answer: _reset(connection, answer, sent=False),
    "reset after": lambda connection, answer: _reset(connection, answer, sent=True),
    "time-out": _hold,
    "500": _status(500),
    "503": _status(503, Retry_After="30"),
    "401": _status(401),
    "truncated body": _cut,
    "truncated gzip": _cut_gzip,
    "HTML 200": _status(200, LOGIN, Content_Type="text/html"),
    "410": _status(410),
}


@contextmanager
def scripted_server(ward: Ward) -> Iterator[ScriptedServer]:
    """Start a server and stop it."""
    server = ScriptedServer(ward)
    try:
        yield server
    finally:
        server.close()
