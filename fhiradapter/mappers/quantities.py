"""Quantities: a number and unit as sent to the concept's canonical unit."""

import sys
from math import isfinite
from typing import NamedTuple

import msgspec

from fhiradapter.definitions.catalogue import Catalogue
from fhiradapter.definitions.concepts import Concept
from fhiradapter.definitions.units import Conversion
from fhiradapter.fhir.datatypes import ABSENT, Quantity
from fhiradapter.mappers.codes import Coded
from fhiradapter.mappers.outcome import Note, Unusable
from fhiradapter.reasons import Reason

UCUM = "http://unitsofmeasure.org"
COMPARATORS = frozenset({"<", "<=", ">=", ">", "ad"})
NUMBER_STARTS = frozenset("-0123456789")
MEMORY = 10_000
LARGEST = sys.float_info.max


class Value(NamedTuple):
    """The columns value to absent_reason of a measurement: converted, as words, and as sent."""

    value: float | None = None
    unit: str | None = None
    comparator: str | None = None
    value_text: str | None = None
    value_concept: str | None = None
    source_value: str | None = None
    source_unit: str | None = None
    absent_reason: str | None = None


Limits = tuple[float | None, float | None]
NO_LIMITS: Limits = (None, None)


class UnitUse(NamedTuple):
    """How one unit is used with one concept; remembered, since a hospital has few of them."""

    source_unit: str | None
    unit: str | None
    conversion: Conversion | None
    convertible: bool
    low: float
    high: float
    strict: bool
    integer: bool
    notes: tuple[Reason, ...]
    plain: bool
    """True when a number within the range is taken as it is."""
    values: dict[bytes, Value]
    """Finished values by the bytes of their number; a laboratory reports few digits, so they come again."""
    limits: dict[bytes, Limits]
    """Limits of normal by the bytes of the reference ranges."""


def number_text(raw: msgspec.Raw, path: str) -> str | None:
    """Return a JSON number as it was sent, None when there is none; refuses what is not a number."""
    if raw is ABSENT:
        return None
    text = bytes(raw).decode()
    if text[0] in NUMBER_STARTS:
        return text
    if text == "null":
        return None
    raise Unusable(Reason.WRONG_TYPE, path, "a number was expected")


def finite(text: str) -> float | None:
    """Return the number, or None for one that no double can hold, such as 1e999."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


class QuantityReader:
    """Reads quantities against one catalogue's units."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.uses: dict[tuple[str | None, ...], UnitUse] = {}

    def read(self, quantity: Quantity, use: UnitUse, path: str, notes: list[Note]) -> Value:
        """Return the quantity in the concept's unit."""
        raw, comparator = quantity.value, quantity.comparator
        if comparator is not None:
            comparator = comparator.strip()
            if comparator not in COMPARATORS:
                raise Unusable(Reason.UNKNOWN_CODE, f"{path}.comparator")
        text = number_text(raw, path)
        if text is None:
            return Value(None, None, comparator, None, None, None, use.source_unit)
        before = len(notes)
        value = self.convert(text, comparator, use, path, notes)
        if comparator is None and use.plain and len(notes) == before:
            if len(use.values) >= MEMORY:
                use.values.clear()
            use.values[b"" + raw] = value
        return value

    def read_number(self, text: str, coded: Coded, path: str, notes: list[Note]) -> Value:
        """Return a number that came without a unit, as integers and ordinals do."""
        return self.convert(text, None, self.use(coded, None, None, None), path, notes)

    def limit(self, quantity: Quantity, coded: Coded, path: str) -> float | None:
        """Return a limit of normal, which may be implausible as a value."""
        use = self.use(coded, quantity.system, quantity.code, quantity.unit)
        text = number_text(quantity.value, path)
        return self._converted(text, use) if text is not None and use.convertible else None

    def convert(
        self,
        text: str,
        comparator: str | None,
        use: UnitUse,
        path: str,
        notes: list[Note],
    ) -> Value:
        """Convert a decimal text by a unit's use and judge it by the concept's range."""
        if use.notes:
            notes.extend(Note(reason, path) for reason in use.notes)
        if not use.convertible:
            return Value(None, None, comparator, None, None, text, use.source_unit)
        value = self._converted(text, use)
        if value is None:
            notes.append(Note(Reason.NOT_A_NUMBER, path))
            return Value(None, None, comparator, None, None, text, use.source_unit)
        if not use.low <= value <= use.high or (use.integer and not value.is_integer()):
            if use.strict:
                raise Unusable(Reason.INVALID_SCORE, path)
            notes.append(Note(Reason.IMPLAUSIBLE_VALUE, path))
        return Value(value, use.unit, comparator, None, None, text, use.source_unit)

    def use(self, coded: Coded, system: str | None, code: str | None, unit: str | None) -> UnitUse:
        """Return how a unit is used with a concept, from memory when it was seen before."""
        key = (coded[0], coded[2], code, unit, system)
        use = self.uses.get(key)
        if use is None:
            if len(self.uses) > MEMORY:
                self.uses.clear()
            use = self.uses[key] = self._find(coded.concept, coded.source_code, system, code, unit)
        return use

    def _find(
        self,
        name: str | None,
        source_code: str | None,
        system: str | None,
        code: str | None,
        unit: str | None,
    ) -> UnitUse:
        units = self._catalogue.units
        # A code counts as UCUM when its system says so, or when no system was sent and UCUM has it.
        is_ucum = self._catalogue.systems.get(system, system) == UCUM if system else False
        coded = code.strip() if code and (is_ucum or (not system and units.canonical(code))) else ""
        text = (unit or "").strip()
        # The code of another system may look like UCUM's and mean something else: kept, never converted.
        foreign = code.strip() if code and not coded and not text else ""
        sent = coded or text or foreign or None
        notes: list[Reason] = []
        if coded and text and units.canonical(text) not in {None, units.canonical(coded)}:
            notes.append(Reason.UNIT_CONFLICT)
        if name is None:
            known = units.canonical(coded or text)
            return UnitUse(
                sent,
                known or sent,
                None,
                True,
                -LARGEST,
                LARGEST,
                False,
                False,
                tuple(notes),
                not notes,
                {},
                {},
            )
        concept = self._catalogue.concepts[name]
        conversion = self._conversion(concept, coded, text) if not foreign else None
        if conversion is None and sent is None:
            assigned = self._catalogue.unit_assignments
            unit_assigned = assigned.get(source_code or "") or assigned.get(name)
            if unit_assigned:
                conversion = units.conversion(concept, unit_assigned)
                notes.append(Reason.ASSIGNED_UNIT if conversion is not None else Reason.UNKNOWN_UNIT)
        if conversion is None and concept.canonical_unit is not None and not notes:
            notes.append(Reason.UNKNOWN_UNIT if sent else Reason.MISSING_UNIT)
        low, high = concept.low, concept.high
        return UnitUse(
            source_unit=sent,
            unit=conversion.canonical_unit if conversion else None,
            conversion=conversion,
            convertible=conversion is not None or concept.canonical_unit is None,
            low=-LARGEST if low is None else float(low),
            high=LARGEST if high is None else float(high),
            strict=concept.strict,
            integer=concept.integer,
            notes=tuple(notes),
            plain=(conversion is not None or concept.canonical_unit is None)
            and not notes
            and not concept.integer,
            values={},
            limits={b"": NO_LIMITS},
        )

    def _conversion(self, concept: Concept, coded: str, text: str) -> Conversion | None:
        """Take the code; the text speaks only when there is no code that UCUM knows."""
        units = self._catalogue.units
        return units.conversion(concept, coded if units.canonical(coded) else text or coded)

    def _converted(self, text: str, use: UnitUse) -> float | None:
        if use.conversion is None or use.conversion.identity:
            return finite(text)
        return self._exact(text, use.conversion)

    def _exact(self, text: str, conversion: Conversion) -> float | None:
        try:
            return self._catalogue.units.convert(text, conversion)
        except (ValueError, OverflowError):
            return None
