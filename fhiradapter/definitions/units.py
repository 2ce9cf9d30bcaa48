"""Units: from any spelling of a unit to its UCUM code, and from there to a concept's canonical unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import NamedTuple

from fhiradapter.definitions.concepts import Concept
from fhiradapter.definitions.spellings import folded, normal_form
from fhiradapter.definitions.tables import EXACT, Row, decimal_or_none

COLUMNS = ("unit", "kind", "dimension_or_concept", "to_unit", "factor", "offset", "note")
KINDS = ("ucum", "spelling")

# A score has no unit; senders write {score}, 1, a blank or nothing.
SCORE = "{score}"
CELL_COUNT = "cell_count"
CELL_COUNT_PER_MASS = "cell_count_per_mass"

# A hospital sends some hundred pairs of test and unit; beyond this many, pairs are worked out anew each time.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Conversion:
    """canonical value = factor x value + offset; `identity` where that leaves every value as it is."""

    factor: Decimal
    offset: Decimal
    canonical_unit: str
    identity: bool


class _Line(NamedTuple):
    """y = factor x + offset."""

    factor: Decimal
    offset: Decimal

    def then(self, following: "_Line") -> "_Line":
        offset = EXACT.add(EXACT.multiply(following.factor, self.offset), following.offset)
        return _Line(EXACT.multiply(following.factor, self.factor), offset)

    def inverse(self) -> "_Line":
        return _Line(EXACT.divide(1, self.factor), EXACT.divide(-self.offset, self.factor))


class _Bridge(NamedTuple):
    """What one analyte adds to the dimensions: 1 mg/dL of bilirubin is 17.104 umol/L."""

    unit: str
    to_unit: str
    line: _Line


_SAME = _Line(Decimal(1), Decimal(0))


class Units:
    """The units that are known, read from checked rows of `units.csv` and a site's own spellings."""

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        concepts: frozenset[str],
        site_spellings: Mapping[str, str] | None = None,
    ) -> None:
        self._scales: dict[str, dict[str, _Line]] = {}  # dimension -> UCUM code -> line to the base unit
        self._bridges: dict[str, list[_Bridge]] = {}  # concept -> bridges
        self._spellings: dict[str, str] = {}
        self._conversions: dict[tuple[str, str], Conversion | None] = {}
        for row in rows:
            if row["kind"] == "spelling":
                self._spellings[normal_form(row["unit"])] = row["to_unit"]
                continue
            line = _Line(
                decimal_or_none(row["factor"]) or Decimal(1), decimal_or_none(row["offset"]) or Decimal(0)
            )
            place = row["dimension_or_concept"]
            if place in concepts:
                self._bridges.setdefault(place, []).append(_Bridge(row["unit"], row["to_unit"], line))
            else:
                self._scales.setdefault(place, {})[row["unit"]] = line
        for text, unit in (site_spellings or {}).items():
            self._spellings[normal_form(text)] = unit
        self.codes = frozenset(code for scale in self._scales.values() for code in scale)
        self._cells: dict[str, tuple[_Line, bool] | None] = {}
        self._folded = _unambiguous({**{code: code for code in self.codes}, **self._spellings})

    def canonical(self, text: str) -> str | None:
        """Return the UCUM code that a unit's text means; None when it is blank or unknown.

        An exact UCUM code wins, then a spelling of the table, then either in another case where the case
        cannot change the meaning.
        """
        trimmed = text.strip()
        if not trimmed:
            return None
        if trimmed in self.codes:
            return trimmed
        normal = normal_form(trimmed)
        if normal in self.codes:
            return normal
        if normal in self._spellings:
            return self._spellings[normal]
        key = folded(normal)
        return self._folded.get(key) if key else None

    def conversion(self, concept: Concept, unit: str) -> Conversion | None:
        """Return how a concept's values in this unit become values in its canonical unit; None where unknown.

        The unit's size is never guessed: without a unit only a score converts.
        """
        key = (concept.name, unit)
        try:
            return self._conversions[key]
        except KeyError:
            pass
        found = self._find(concept, unit)
        if len(self._conversions) < _REMEMBERED:
            self._conversions[key] = found
        return found

    @staticmethod
    def convert(text: str, conversion: Conversion) -> float:
        """Convert a decimal text to its canonical value: exact decimal arithmetic, then one rounding.

        Raises ValueError when the text is not a finite decimal number.
        """
        if conversion.identity:
            value = float(text)
        else:
            try:
                exact = EXACT.fma(EXACT.create_decimal(text), conversion.factor, conversion.offset)
            except InvalidOperation:
                raise ValueError("not a decimal number") from None
            value = float(exact)
        if not isfinite(value):
            raise ValueError("not a finite number")
        return value

    def dose_cells(self, text_value: str, unit: str) -> tuple[float, bool] | None:
        """Return (cells, False), or (cells per kg of body weight, True); None when it is no dose of cells.

        A bare number is not a dose: without a unit, 100 may be cells, millions of cells or millilitres.
        """
        if unit not in self._cells:
            if len(self._cells) >= _REMEMBERED:
                self._cells.clear()
            self._cells[unit] = self._cell_line(unit)
        found = self._cells[unit]
        if found is None:
            return None
        line, per_kg = found
        try:
            value = EXACT.create_decimal(text_value)
        except InvalidOperation:
            return None
        return (float(EXACT.multiply(value, line.factor)), per_kg) if isfinite(float(value)) else None

    def _cell_line(self, unit: str) -> tuple[_Line, bool] | None:
        """Return the scale of a unit that counts cells, and whether it does so per kg of body weight."""
        code = self.canonical(unit)
        if code is None:
            return None
        for dimension, per_kg in ((CELL_COUNT, False), (CELL_COUNT_PER_MASS, True)):
            line = self._scales.get(dimension, {}).get(code)
            if line is not None:
                return line, per_kg
        return None

    def _find(self, concept: Concept, unit: str) -> Conversion | None:
        target = concept.canonical_unit
        if target is None:
            return None
        code = self.canonical(unit)
        if code is None and target == SCORE and not unit.strip():
            code = SCORE
        if code is None:
            return None
        line = self._line(code, target) or self._bridged(concept, code, target)
        if line is None:
            return None
        return Conversion(line.factor, line.offset, target, identity=line == _SAME)

    def _line(self, unit: str, to_unit: str) -> _Line | None:
        if unit == to_unit:
            return _SAME
        for scale in self._scales.values():
            if unit in scale and to_unit in scale:
                return scale[unit].then(scale[to_unit].inverse())
        return None

    def _bridged(self, concept: Concept, code: str, target: str) -> _Line | None:
        for bridge in self._bridges.get(concept.name, ()):
            before, after = self._line(code, bridge.unit), self._line(bridge.to_unit, target)
            if before is not None and after is not None:
                return before.then(bridge.line).then(after)
        return None


def _unambiguous(meanings: Mapping[str, str]) -> dict[str, str]:
    """Case-folded text -> unit, without those texts that would stand for two units (g/L and G/L)."""
    found: dict[str, set[str]] = {}
    for text, unit in meanings.items():
        key = folded(text)
        if key:
            found.setdefault(key, set()).add(unit)
    return {key: units.pop() for key, units in found.items() if len(units) == 1}
