"""Quantities: a number and unit as sent to the concept's canonical unit."""

from math import inf, isfinite
from typing import NamedTuple

import msgspec

from fhiradapter.definitions.catalogue import Catalogue
from fhiradapter.definitions.concepts import Concept
from fhiradapter.definitions.units import Conversion
from fhiradapter.fhir.datatypes import ABSENT, Quantity
from fhiradapter.mappers.outcome import Note, Unusable
from fhiradapter.reasons import Reason

UCUM = "http://unitsofmeasure.org"
COMPARATORS = frozenset({"<", "<=", ">=", ">", "ad"})
NUMBER_STARTS = frozenset("-0123456789")
MEMORY = 50_000


class Number(NamedTuple):
    """A quantity, converted and as sent."""

    value: float | None
    unit: str | None
    comparator: str | None
    source_value: str | None
    source_unit: str | None


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


NONE = Number(None, None, None, None, None)


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
        self._uses: dict[tuple[str | None, ...], UnitUse] = {}

    def read(
        self,
        quantity: Quantity,
        concept: str | None,
        source_code: str | None,
        path: str,
        notes: list[Note],
        *,
        judge: bool = True,
    ) -> Number:
        """Return the quantity in the concept's unit; a limit of normal is read with `judge` False."""
        use = self.use(concept, source_code, quantity.system, quantity.code, quantity.unit)
        comparator = quantity.comparator
        if comparator is not None:
            comparator = comparator.strip()
            if comparator not in COMPARATORS:
                raise Unusable(Reason.UNKNOWN_CODE, f"{path}.comparator")
        text = number_text(quantity.value, path)
        if text is None:
            return Number(None, None, comparator, None, use.source_unit)
        return self.convert(text, comparator, use, path, notes, judge=judge)

    def read_number(
        self, text: str, concept: str | None, source_code: str | None, path: str, notes: list[Note]
    ) -> Number:
        """Return a number that came without a unit, as integers and ordinals do."""
        return self.convert(text, None, self.use(concept, source_code, None, None, None), path, notes)

    def convert(
        self,
        text: str,
        comparator: str | None,
        use: UnitUse,
        path: str,
        notes: list[Note],
        *,
        judge: bool = True,
    ) -> Number:
        """Convert a decimal text by a unit's use and judge it by the concept's range."""
        if judge:
            notes.extend(Note(reason, path) for reason in use.notes)
        if not use.convertible:
            return Number(None, None, comparator, text, use.source_unit)
        value = (
            finite(text)
            if use.conversion is None or use.conversion.identity
            else self._exact(text, use.conversion)
        )
        if value is None:
            notes.append(Note(Reason.NOT_A_NUMBER, path))
            return Number(None, None, comparator, text, use.source_unit)
        if judge and (not use.low <= value <= use.high or (use.integer and not value.is_integer())):
            if use.strict:
                raise Unusable(Reason.INVALID_SCORE, path)
            notes.append(Note(Reason.IMPLAUSIBLE_VALUE, path))
        return Number(value, use.unit, comparator, text, use.source_unit)

    def use(
        self,
        concept: str | None,
        source_code: str | None,
        system: str | None,
        code: str | None,
        unit: str | None,
    ) -> UnitUse:
        """Return how a unit is used with a concept, from memory when it was seen before."""
        key = (concept, system, code, unit, source_code)
        use = self._uses.get(key)
        if use is None:
            if len(self._uses) > MEMORY:
                self._uses.clear()
            use = self._uses[key] = self._find(concept, source_code, system, code, unit)
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
            return UnitUse(sent, known or sent, None, True, -inf, inf, False, False, tuple(notes))
        concept = self._catalogue.concepts[name]
        conversion = self._conversion(concept, coded, text) if not foreign else None
        if conversion is None and sent is None:
            assigned = self._catalogue.unit_assignments
            unit_assigned = assigned.get(source_code or "") or assigned.get(name)
            if unit_assigned:
                conversion = units.conversion(concept, unit_assigned)
                notes.append(Reason.ASSIGNED_UNIT)
        if conversion is None and concept.canonical_unit is not None:
            notes.append(Reason.UNKNOWN_UNIT if sent else Reason.MISSING_UNIT)
        low, high = concept.low, concept.high
        return UnitUse(
            source_unit=sent,
            unit=conversion.canonical_unit if conversion else None,
            conversion=conversion,
            convertible=conversion is not None or concept.canonical_unit is None,
            low=-inf if low is None else float(low),
            high=inf if high is None else float(high),
            strict=concept.strict,
            integer=concept.integer,
            notes=tuple(notes),
        )

    def _conversion(self, concept: Concept, coded: str, text: str) -> Conversion | None:
        """Take the code; the text speaks only when there is no code that UCUM knows."""
        units = self._catalogue.units
        return units.conversion(concept, coded if units.canonical(coded) else text or coded)

    def _exact(self, text: str, conversion: Conversion) -> float | None:
        try:
            return self._catalogue.units.convert(text, conversion)
        except (ValueError, OverflowError):
            return None
