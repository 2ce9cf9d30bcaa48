"""What the parts of laboratory results mean, remembered by their bytes."""

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.datatypes import ABSENT, Coding, Quantity
from fhiradapter.mappers.codes import Coded, CodeReader
from fhiradapter.mappers.outcome import Note, Unusable
from fhiradapter.mappers.quantities import Limits, QuantityReader, UnitUse
from fhiradapter.mappers.remembered import Remembered

TEXT = pa.string()
IN_BOUNDS = pc.TakeOptions(boundscheck=False)
CAPACITY = 200_000  # quantities of all codes, some 60 MB; beyond it the memory starts afresh
MOST_TESTS = 20_000  # codes, and units: what comes after them is read one by one
SUBSETTED = "SUBSETTED"
VALUE = "Observation.value[x]"


class Amount(NamedTuple):
    """A quantity that was met before; `unit` is the place of its use in the memory."""

    value: float | None
    source_value: str | None
    unit: int
    limits: dict[bytes, Limits]
    """Limits of normal in this unit, by the bytes of the reference ranges."""


class Test(NamedTuple):
    """A code that was met before; `place` is its own in the memory."""

    place: int
    coded: Coded
    amounts: dict[bytes, Amount]


place_of, amounts_of = itemgetter(0), itemgetter(2)  # of a Test
value_of, source_value_of, unit_of, limits_of = map(itemgetter, range(4))  # of an Amount


@dataclass
class ResultMemory:
    """Remembers codes and quantities, and gives their columns by their places."""

    codes: CodeReader
    quantities: QuantityReader
    tests: dict[bytes, Test] = field(default_factory=dict)
    _coded: list[Coded] = field(default_factory=list)
    _uses: list[UnitUse] = field(default_factory=list)
    _unit_places: dict[int, int] = field(default_factory=dict)
    _code_columns: list[pa.Array] = field(default_factory=list)
    _unit_columns: list[pa.Array] = field(default_factory=list)
    _amounts: int = 0
    _tags: Remembered[bool] = field(default_factory=lambda: Remembered(list[Coding] | None, _is_whole))
    _decoder: msgspec.json.Decoder[Quantity] = field(default_factory=lambda: msgspec.json.Decoder(Quantity))

    def is_whole(self, tag: msgspec.Raw) -> bool:
        """Return True when no tag says that elements were left out."""
        if tag is ABSENT:
            return True
        try:
            return self._tags.read(tag, "meta.tag")
        except Unusable:
            return False

    def learn_test(self, code: bytes) -> Test | None:
        """Return a code that the reader of codes knows and has no remarks about."""
        meaning = self.codes.known.get(code)
        if meaning is None or meaning.remarks:
            return None
        if len(self.tests) >= MOST_TESTS:
            return None
        test = self.tests[code] = Test(len(self._coded), meaning.coded, {})
        self._coded.append(meaning.coded)
        return test

    def learn_amount(self, test: Test, sent: bytes) -> Amount | None:
        """Return what a quantity means, None when there is anything to say about it."""
        try:
            quantity = self._decoder.decode(sent)
        except msgspec.MsgspecError:
            return None
        if quantity.comparator is not None:
            return None
        use = self.quantities.use(test.coded, quantity.system, quantity.code, quantity.unit)
        notes: list[Note] = []
        try:
            value = self.quantities.read(quantity, use, VALUE, notes)
        except Unusable:
            return None
        if notes or value.value is None or len(self._uses) >= MOST_TESTS:
            return None
        if self._amounts >= CAPACITY:
            self._forget()
        self._amounts += 1
        amount = Amount(value.value, value.source_value, self._unit_place(use), use.limits)
        test.amounts[sent] = amount
        return amount

    def _unit_place(self, use: UnitUse) -> int:
        place = self._unit_places.get(id(use))
        if place is None:
            place = self._unit_places[id(use)] = len(self._uses)
            self._uses.append(use)
        return place

    def _forget(self) -> None:
        """Empty the memory of amounts; who holds one of them still finds its unit."""
        for test in self.tests.values():
            test.amounts.clear()
        self._amounts = 0

    def code_columns(self, places: list[int]) -> list[pa.Array]:
        """Return concept, kind, code and display of tests."""
        if not self._code_columns or len(self._code_columns[0]) < len(self._coded):
            self._code_columns = [pa.array(column, TEXT) for column in zip(*self._coded, strict=True)]
        return _taken(self._code_columns, places)

    def unit_columns(self, places: list[int]) -> list[pa.Array]:
        """Return the unit and the unit as sent of amounts."""
        if not self._unit_columns or len(self._unit_columns[0]) < len(self._uses):
            columns: list[list[Any]] = [
                [use.unit for use in self._uses],
                [use.source_unit for use in self._uses],
            ]
            self._unit_columns = [pa.array(column, TEXT) for column in columns]
        return _taken(self._unit_columns, places)


def _is_whole(tags: list[Coding] | None) -> bool:
    return all(tag.code != SUBSETTED for tag in tags or ())


def _taken(columns: list[pa.Array], places: list[int]) -> list[pa.Array]:
    indices = pa.array(np.array(places, np.int32))
    return [pc.call_function("array_take", [column, indices], IN_BOUNDS) for column in columns]
