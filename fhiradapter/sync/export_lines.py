"""Export lines: NDJSON checked as it arrives, each line one JSON object of the declared type."""

from collections import Counter
from typing import Any, Literal, NoReturn

import msgspec
import numpy as np

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.datatypes import Element
from fhiradapter.fhir.decoding import BOM
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Slice

LONGEST_LINE = 32 << 20  # bytes; past it a file is no NDJSON, or its resource none that a study can use
SLICE = 32 << 20  # bytes of lines that are committed together
WORTH_CHECKING = 1 << 18  # bytes gathered before they are checked: each check has a cost of its own
LINE_BREAK, BEGIN, END = b"\n{}"


class Head(Element, gc=False):
    """All that is read of a line; the rest is only looked through."""

    resource_type: str


_heads = msgspec.json.Decoder(Head)


def _decoder_of(kind: str | None) -> "msgspec.json.Decoder[Any]":
    """Return a decoder that accepts one type alone, which costs less than to look at each type."""
    if kind is None:
        return _heads
    element = ("resource_type", Literal[kind])
    return msgspec.json.Decoder(msgspec.defstruct("TypedHead", [element], rename="camel", gc=False))


class Lines:
    """Checks the lines of one file, and notes where they may be parted."""

    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        self._typed = _decoder_of(kind)
        self.count = 0
        self.types: Counter[str] = Counter()
        self.slices: list[Slice] = []
        self._size = 0
        self._begun = 0
        self._gathered: list[bytes] = []
        self._waiting = 0
        self._rest: list[bytes] = []
        self._scratch = _Scratch()

    def take(self, chunk: bytes) -> None:
        """Check the next bytes of the file. Raises RefusedAnswerError for a line that breaks a rule."""
        self._gathered.append(chunk)
        self._waiting += len(chunk)
        if self._waiting >= WORTH_CHECKING:
            self._check_gathered()

    def finish(self) -> None:
        """Check what is left; a last line needs no line break."""
        self._check_gathered()
        self._check(b"".join(self._rest), is_last=True)
        self._close_slice()

    def _check_gathered(self) -> None:
        """Check whole lines where they lie: copies of every byte would take as long as the rest."""
        content = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered, self._waiting = [], 0
        start = content.find(b"\n") + 1
        if not start:
            self._rest.append(content)
        else:
            if self._rest:
                self._check(b"".join((*self._rest, content[:start])))
            else:
                start = 0
            cut = content.rfind(b"\n") + 1
            if start < cut:
                self._check(memoryview(content)[start:cut], is_ascii=content.isascii())
            self._rest = [content[cut:]]
        if sum(map(len, self._rest)) > LONGEST_LINE:
            _refuse(Reason.BODY_TOO_LARGE)

    def _check(self, content: bytes | memoryview, *, is_ascii: bool = False, is_last: bool = False) -> None:
        if not self._size and content[: len(BOM)] == BOM:
            content = b" " * len(BOM) + bytes(content[len(BOM) :])
        if not is_ascii:
            _refuse_what_is_no_text(content)
        try:
            count = self._counted(content)
        except RecursionError:
            _refuse(Reason.TOO_DEEP)
        except msgspec.ValidationError:
            _refuse(Reason.NOT_FHIR)
        except msgspec.MsgspecError as error:
            is_cut = is_last and "truncated" in str(error)
            _refuse(Reason.TRUNCATED_JSON if is_cut else Reason.MALFORMED_JSON)
        self.count += count
        self._size += len(content)
        if self._size - self._begun >= SLICE:
            self._close_slice()

    def _counted(self, content: bytes | memoryview) -> int:
        """Return the number of lines, each of which is one object of the declared type."""
        try:
            found = self._typed.decode_lines(content)
        except msgspec.ValidationError:
            _heads.decode_lines(content)  # raises for what is no resource of any type
            _refuse(Reason.NOT_ASKED_FOR)
        if found and not self._scratch.is_line_by_line(content, len(found)):
            for line in bytes(content).split(b"\n"):
                if line.strip():
                    _heads.decode(line)
        if self.kind is None:
            self.types.update([head.resource_type for head in found])
        elif found:
            self.types[self.kind] += len(found)
        return len(found)

    def _close_slice(self) -> None:
        if self._size > self._begun:
            self.slices.append(Slice(self._begun, self._size))
            self._begun = self._size


def _refuse_what_is_no_text(content: bytes | memoryview) -> None:
    try:
        str(content, "utf-8")
    except UnicodeDecodeError:
        _refuse(Reason.INVALID_ENCODING)


class _Scratch:
    """Room for comparisons, used again and again: new memory each time takes longer than they do."""

    def __init__(self) -> None:
        self._room = np.empty((3, 0), np.bool_)

    def is_line_by_line(self, content: bytes | memoryview, count: int) -> bool:
        """Return True when each line is surely one object, which is so for what servers write.

        The decoder reads objects, wherever the lines end. No line break can stand between } and { inside of
        one, so when all of them do, there is an object on each line; as many objects as lines then is one on
        each.
        """
        signs = np.frombuffer(content, np.uint8)
        size = len(signs)
        if self._room.shape[1] < size:
            self._room = np.empty((3, 2 * size), np.bool_)
        breaks, ends, begins = self._room[0, :size], self._room[1, : size - 2], self._room[2, : size - 2]
        np.equal(signs, LINE_BREAK, out=breaks)
        if signs[0] != BEGIN or signs[-2] != END or not breaks[-1] or np.count_nonzero(breaks) != count:
            return False
        np.equal(signs[:-2], END, out=ends)
        np.equal(signs[2:], BEGIN, out=begins)
        np.logical_and(ends, begins, out=ends)
        np.logical_and(ends, breaks[1:-1], out=ends)
        return int(np.count_nonzero(ends)) == count - 1


def _refuse(reason: Reason) -> NoReturn:
    raise RefusedAnswerError(f"$export file: breaks a rule: {reason}", reason=reason)
