"""What the parts of laboratory results mean, remembered by their bytes."""

from dataclasses import dataclass, field
from math import inf, nan
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
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
MOST = 20_000  # codes, units, limits of normal: results with what comes after them are read one by one
UNKNOWN = -1
LARGEST_FACTOR, MOST_DECIMALS = 2**40, 12  # of factors by which whole columns are converted
SUBSETTED = "SUBSETTED"
VALUE = "Observation.value[x]"

Places = npt.NDArray[np.int64]


class Amount(NamedTuple):
    """A quantity that was met before; `use` is the place of its unit's use in the memory."""

    value: float
    source_value: str | None
    use: int


@dataclass
class ResultMemory:
    """Remembers codes, units, quantities and limits of normal, and gives their columns by their places."""

    codes: CodeReader
    quantities: QuantityReader
    tests: dict[bytes, int] = field(default_factory=dict)
    """Codes that are known and of which nothing is to be said, with their places."""
    ranges: dict[bytes, int] = field(default_factory=dict)
    """Reference ranges as bytes; what they mean depends on the unit's use, see `limits_of`."""
    _coded: list[Coded] = field(default_factory=list)
    _uses: list[UnitUse] = field(default_factory=list)
    _range_texts: list[bytes] = field(default_factory=list)
    _use_places: dict[int, int] = field(default_factory=dict)
    _tails: dict[tuple[int, str], int] = field(default_factory=dict)
    _limits: list[Limits] = field(default_factory=list)
    _limit_places: dict[tuple[int, int], int] = field(default_factory=dict)
    _amounts: dict[tuple[int, bytes], Amount] = field(default_factory=dict)
    _converted: dict[tuple[int, str], float] = field(default_factory=dict)
    _scales: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 5)))
    _code_columns: list[pa.Array] = field(default_factory=list)
    _unit_columns: list[pa.Array] = field(default_factory=list)
    _limit_columns: list[pa.Array] = field(default_factory=list)
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

    def learn_test(self, code: bytes) -> int | None:
        """Return the place of a code that the reader of codes knows and has no remarks about."""
        if code in self.tests:  # since a moment ago
            return self.tests[code]
        meaning = self.codes.known.get(code)
        if meaning is None or meaning.remarks or len(self._coded) >= MOST:
            return None
        place = self.tests[code] = len(self._coded)
        self._coded.append(meaning.coded)
        return place

    def learn_range(self, sent: bytes) -> int | None:
        """Return the place of a reference range."""
        if sent in self.ranges:
            return self.ranges[sent]
        if len(self._range_texts) >= MOST:
            return None
        place = self.ranges[sent] = len(self._range_texts)
        self._range_texts.append(sent)
        return place

    def amount(self, test: int, sent: bytes) -> Amount | None:
        """Return what a quantity of a code means, None when there is anything to say about it."""
        known = self._amounts.get((test, sent))
        return known if known is not None else self._learn_amount(test, sent)

    def _learn_amount(self, test: int, sent: bytes) -> Amount | None:
        try:
            quantity = self._decoder.decode(sent)
        except msgspec.MsgspecError:
            return None
        if quantity.comparator is not None:
            return None
        use = self.quantities.use(self._coded[test], quantity.system, quantity.code, quantity.unit)
        notes: list[Note] = []
        try:
            value = self.quantities.read(quantity, use, VALUE, notes)
        except Unusable:
            return None
        if notes or value.value is None or len(self._uses) >= MOST:
            return None
        if len(self._amounts) >= CAPACITY:
            self._amounts.clear()
        place = self._use_place(use)
        amount = self._amounts[test, sent] = Amount(value.value, value.source_value, place)
        return amount

    def use_of(self, test: int, tail: str, number: str, sent: bytes) -> int:
        """Return the place of a unit's use, for quantities of a code that say the same after their number.

        `sent` is one of them, with its number. UNKNOWN when they have to be looked at one by one.
        """
        place = self._tails.get((test, tail))
        if place is not None:
            return place
        # A tail that says nothing of the value says the same of every value.
        if '"value"' in tail or "\\" in tail or len(self._tails) >= MOST:
            return UNKNOWN
        try:
            quantity = self._decoder.decode(sent)
        except msgspec.MsgspecError:
            return UNKNOWN
        if quantity.comparator is not None or b"" + quantity.value != number.encode():
            return UNKNOWN
        use = self.quantities.use(self._coded[test], quantity.system, quantity.code, quantity.unit)
        known = use.plain and len(self._uses) < MOST
        place = self._tails[test, tail] = self._use_place(use) if known else UNKNOWN
        return place

    def scales(self) -> npt.NDArray[np.float64]:
        """Return by use: least and greatest value, factor as a whole number, its decimals, 1 for as sent.

        Numbers of a use with another factor or an offset are converted one by one: there the factor is NaN.
        The last row, which UNKNOWN means, has an empty range.
        """
        if len(self._scales) <= len(self._uses):
            self._scales = np.array([*map(_scale, self._uses), (inf, -inf, 1, 0, 1)], np.float64)
        return self._scales

    def convert(self, use: int, number: str) -> float | None:
        """Return a number in the unit of a use's concept; None where there is anything to say about it."""
        known = self._converted.get((use, number))
        if known is not None:
            return known
        notes: list[Note] = []
        try:
            value = self.quantities.convert(number, None, self._uses[use], VALUE, notes).value
        except Unusable:
            return None
        if notes or value is None:
            return None
        if len(self._converted) >= CAPACITY:
            self._converted.clear()
        self._converted[use, number] = value
        return value

    def limits_of(self, use: int, sent: int) -> int:
        """Return the place of the limits that a range means for a use; UNKNOWN before one was read."""
        if use == UNKNOWN:
            return UNKNOWN
        place = self._limit_places.get((use, sent))
        if place is None:
            limits = self._uses[use].limits.get(self._range_texts[sent])
            if limits is None or len(self._limits) >= MOST:
                return UNKNOWN
            place = self._limit_places[use, sent] = len(self._limits)
            self._limits.append(limits)
        return place

    def _use_place(self, use: UnitUse) -> int:
        place = self._use_places.get(id(use))
        if place is None:
            place = self._use_places[id(use)] = len(self._uses)
            self._uses.append(use)
        return place

    def code_columns(self, places: Places) -> list[pa.Array]:
        """Return concept, kind, code and display of tests."""
        if not self._code_columns or len(self._code_columns[0]) < len(self._coded):
            self._code_columns = [pa.array(column, TEXT) for column in zip(*self._coded, strict=True)]
        return _taken(self._code_columns, places)

    def unit_columns(self, places: Places) -> list[pa.Array]:
        """Return the unit and the unit as sent of amounts."""
        if not self._unit_columns or len(self._unit_columns[0]) < len(self._uses):
            columns: list[list[Any]] = [
                [use.unit for use in self._uses],
                [use.source_unit for use in self._uses],
            ]
            self._unit_columns = [pa.array(column, TEXT) for column in columns]
        return _taken(self._unit_columns, places)

    def limit_columns(self, places: Places) -> list[pa.Array]:
        """Return the lower and upper limits of normal."""
        if not self._limit_columns or len(self._limit_columns[0]) < len(self._limits):
            self._limit_columns = [pa.array(one, pa.float64()) for one in zip(*self._limits, strict=True)]
        return _taken(self._limit_columns, places)


def _scale(use: UnitUse) -> tuple[float, float, float, float, float]:
    conversion = use.conversion
    if conversion is None or conversion.identity:
        return use.low, use.high, 1, 0, 1
    for decimals in range(MOST_DECIMALS):
        whole = conversion.factor.scaleb(decimals)
        if not conversion.offset and 0 < whole < LARGEST_FACTOR and whole == int(whole):
            return use.low, use.high, int(whole), decimals, 0
    return use.low, use.high, nan, 0, 0


def _is_whole(tags: list[Coding] | None) -> bool:
    return all(tag.code != SUBSETTED for tag in tags or ())


def _taken(columns: list[pa.Array], places: Places) -> list[pa.Array]:
    indices = pa.array(places)
    return [pc.call_function("array_take", [column, indices], IN_BOUNDS) for column in columns]
