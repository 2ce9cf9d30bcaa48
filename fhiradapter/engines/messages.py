"""Messages between a process and its workers: a kind, a length and bytes, over a socket."""

import socket
from enum import IntEnum

HEAD = 9  # a byte for the kind, eight for the length


class Kind(IntEnum):
    """What a message is."""

    MAKE = 0  # to a worker: what makes its bench
    NEWS = 1  # to a worker: what holds for the tasks that follow
    TASK = 2  # to a worker
    PART = 3  # from a worker: some of what it made of a task
    DONE = 4  # from a worker: there are no more parts
    FAULT = 5  # from a worker: the task failed


def send(connection: socket.socket, kind: Kind, content: bytes | memoryview = b"") -> None:
    """Send one message."""
    connection.sendall(bytes([kind]) + len(content).to_bytes(HEAD - 1, "little"))
    if content:
        connection.sendall(content)


def receive(connection: socket.socket) -> tuple[Kind, bytearray]:
    """Return the next message; raises EOFError when the other side is gone."""
    head = _exactly(connection, HEAD)
    return Kind(head[0]), _exactly(connection, int.from_bytes(head[1:], "little"))


def _exactly(connection: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return content
