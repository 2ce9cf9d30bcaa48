"""A spool: things that wait on disk until everything else was read, without a name in the file system."""

import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

import msgspec

IN_MEMORY = 16 << 20  # bytes kept in memory before a file is begun
LENGTH = 8

Thing = TypeVar("Thing")


class Spool(Generic[Thing]):
    """Keeps things of one type in order; the file is gone with the process, whatever happens to it."""

    def __init__(self, kind: type[Thing]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        self._count = 0

    def __enter__(self) -> "Spool[Thing]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def extend(self, things: Iterable[Thing]) -> None:
        """Add things."""
        for thing in things:
            content = self._encoder.encode(thing)
            self._file.write(len(content).to_bytes(LENGTH, "little"))
            self._file.write(content)
            self._count += 1

    def portions(self, count: int) -> Iterator[list[Thing]]:
        """Yield everything in order, at most `count` at a time."""
        self._file.seek(0)
        portion: list[Thing] = []
        while head := self._file.read(LENGTH):
            portion.append(self._decoder.decode(self._file.read(int.from_bytes(head, "little"))))
            if len(portion) == count:
                yield portion
                portion = []
        if portion:
            yield portion
