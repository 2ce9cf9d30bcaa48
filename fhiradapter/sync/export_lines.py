"""Export lines: NDJSON checked as it arrives, each line one JSON object of the declared type."""

from collections import Counter
from typing import Any, Literal, NoReturn

import msgspec
import numpy as np
import numpy.typing as npt

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.datatypes import Element
from fhiradapter.fhir.decoding import BOM
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Slice

SLICE = 32 << 20  # bytes of lines that are committed together
LINE_BREAK, BEGIN, END = b"\n{}"

Signs = npt.NDArray[np.uint8]


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
        self._room = np.empty(0, np.bool_)

    def take(self, piece: memoryview) -> None:
        """Check the next lines of the file where they lie; only its last line may lack an end.

        Raises RefusedAnswerError for a line that breaks a rule.
        """
        size = len(piece)
        if not self._size and piece[: len(BOM)] == BOM:
            piece = piece[len(BOM) :]
        try:
            self.count += self._counted(piece)
        except RecursionError:
            _refuse(Reason.TOO_DEEP)
        except msgspec.ValidationError:
            _refuse(Reason.NOT_FHIR)
        except msgspec.MsgspecError as error:
            is_cut = piece[-1] != LINE_BREAK and "truncated" in str(error)
            _refuse(Reason.TRUNCATED_JSON if is_cut else Reason.MALFORMED_JSON)
        self._size += size
        if self._size - self._begun >= SLICE:
            self._close_slice()

    def finish(self) -> None:
        """Note the end of the file."""
        self._close_slice()

    def _counted(self, piece: memoryview) -> int:
        """Return the number of lines, each of which is one object of the declared type."""
        if not len(piece):
            return 0
        signs = np.frombuffer(piece, np.uint8)
        if signs.view(np.int8).min() < 0:  # the decoder looks at no encoding
            _refuse_what_is_no_text(piece)
        try:
            found = self._typed.decode_lines(piece)
        except msgspec.ValidationError:
            _heads.decode_lines(piece)  # raises for what is no resource of any type
            _refuse(Reason.NOT_ASKED_FOR)
        if found and not self._is_line_by_line(signs, len(found)):
            for line in bytes(piece).split(b"\n"):
                if line.strip():
                    _heads.decode(line)
        if self.kind is None:
            self.types.update([head.resource_type for head in found])
        elif found:
            self.types[self.kind] += len(found)
        return len(found)

    def _is_line_by_line(self, signs: Signs, count: int) -> bool:
        """Return True when each line is surely one object, which is so for what servers write.

        The decoder reads objects, wherever the lines end. No line break can stand between } and { inside of
        one, so when all of them do, there is an object on each line; as many objects as lines then is one on
        each.
        """
        if len(self._room) < len(signs):
            self._room = np.empty(2 * len(signs), np.bool_)
        breaks = self._room[: len(signs)]
        ends = np.flatnonzero(np.equal(signs, LINE_BREAK, out=breaks))
        if len(ends) != count or ends[-1] != len(signs) - 1 or signs[0] != BEGIN:
            return False
        return bool((signs[ends - 1] == END).all() and (signs[ends[:-1] + 1] == BEGIN).all())

    def _close_slice(self) -> None:
        if self._size > self._begun:
            self.slices.append(Slice(self._begun, self._size))
            self._begun = self._size


def _refuse_what_is_no_text(piece: memoryview) -> None:
    try:
        str(piece, "utf-8")
    except UnicodeDecodeError:
        _refuse(Reason.INVALID_ENCODING)


def _refuse(reason: Reason) -> NoReturn:
    raise RefusedAnswerError(f"$export file: breaks a rule: {reason}", reason=reason)
