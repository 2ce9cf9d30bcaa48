"""Remembered parts: what a resource repeats from its neighbours is decoded and read once."""

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from fhiradapter.mappers.outcome import Unusable
from fhiradapter.reasons import Reason

CAPACITY = 20_000  # distinct texts of a part; beyond it the memory starts afresh
PLACE = re.compile(r" - at `\$([\w.\[\]]*)`")

Made = TypeVar("Made")


class Remembered(Generic[Made]):
    """Reads one kind of part from its bytes.

    A laboratory writes the same code and the same limits of normal into a million results. Their bytes are
    the key: hashing two hundred bytes costs less than decoding them. `known` is public for the loop that
    cannot afford a call to find out that nothing is new.
    """

    def __init__(self, kind: Any, make: Callable[[Any], Made]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._make = make
        self.known: dict[bytes, Made] = {}

    def read(self, raw: msgspec.Raw, path: str) -> Made:
        """Return what the part says; raises Unusable when something in it has the wrong JSON type."""
        key = b"" + raw  # half the cost of bytes(raw)
        known = self.known.get(key)
        if known is not None:
            return known
        try:
            sent = self._decoder.decode(key)
        except msgspec.ValidationError as error:
            match = PLACE.search(str(error))
            raise Unusable(Reason.WRONG_TYPE, path + (match[1] if match else "")) from None
        if len(self.known) >= CAPACITY:
            self.known.clear()
        made = self.known[key] = self._make(sent)
        return made
