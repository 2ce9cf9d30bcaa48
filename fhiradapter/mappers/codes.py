"""Codes: a CodeableConcept to the concept that it stands for, and to what was sent."""

from typing import NamedTuple

import msgspec

from fhiradapter.definitions.catalogue import Catalogue
from fhiradapter.fhir.datatypes import CodeableConcept, Coding
from fhiradapter.mappers.outcome import Note
from fhiradapter.mappers.remembered import CAPACITY, Remembered
from fhiradapter.reasons import Reason


class Coded(NamedTuple):
    """The first four columns of a measurement."""

    concept: str | None
    kind: str | None
    source_code: str | None
    source_display: str | None


UNCODED = Coded(None, None, None, None)


def code_text(coding: Coding) -> str | None:
    """Return 'system|code', or the code alone when no system was sent."""
    if coding.code is None:
        return None
    code = coding.code.strip()
    return f"{coding.system}|{code}" if coding.system else code


def concept_text(concept: CodeableConcept | None) -> str | None:
    """Return 'system|code' of the first code, else the text."""
    if concept is None:
        return None
    for coding in concept.coding or ():
        if coding.code:
            return code_text(coding)
    return display_of(concept)


def display_of(concept: CodeableConcept | None) -> str | None:
    """Return what a person would read: the text, else the first display."""
    if concept is None:
        return None
    if concept.text:
        return concept.text
    return next((coding.display for coding in concept.coding or () if coding.display), None)


def first_code(concept: CodeableConcept | str | None) -> str | None:
    """Return the first code alone, for elements with one required system; STU3 sends a bare code."""
    if isinstance(concept, str):
        return concept.strip()
    if concept is None:
        return None
    return next((coding.code.strip() for coding in concept.coding or () if coding.code), None)


class Meaning(NamedTuple):
    """A code with what is to be said about it."""

    coded: Coded
    remarks: tuple[tuple[Reason, str], ...]


NO_MEANING = Meaning(UNCODED, ())


class CodeReader:
    """Reads CodeableConcepts against one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._remembered = Remembered(CodeableConcept | None, self._meaning)
        self.known = self._remembered.known
        self._by_parts: dict[tuple[object, ...], Meaning] = {}

    def read(self, concept: CodeableConcept | None, path: str, notes: list[Note]) -> Coded:
        """Return the concept and the code as sent; the first code that a code list knows decides."""
        if concept is None:
            return UNCODED
        key = (
            concept.text,
            *[(one.system, one.code, one.display, one.user_selected) for one in concept.coding or ()],
        )
        known = self._by_parts.get(key)
        if known is None:
            if len(self._by_parts) >= CAPACITY:
                self._by_parts.clear()
            known = self._by_parts[key] = self._meaning(concept)
        coded, remarks = known
        if remarks:
            notes.extend(Note(reason, path, detail) for reason, detail in remarks)
        return coded

    def read_bytes(self, raw: msgspec.Raw, path: str, notes: list[Note]) -> Coded:
        """Return the same for a required CodeableConcept that is still bytes."""
        coded, remarks = self._remembered.read(raw, path)
        if remarks:
            notes.extend(Note(reason, path, detail) for reason, detail in remarks)
        return coded

    def matrix(self, concept: CodeableConcept | None) -> str | None:
        """Return a specimen's matrix, else its type as sent."""
        if concept is None:
            return None
        for coding in concept.coding or ():
            found = self.catalogue.matrix(coding.system, coding.code) if coding.code else None
            if found:
                return found
        text = self.catalogue.specimen_texts.get((concept.text or "").strip().casefold())
        return text or concept_text(concept)

    def _meaning(self, concept: CodeableConcept | None) -> Meaning:
        if concept is None:
            return NO_MEANING
        remarks: list[tuple[Reason, str]] = []
        found: dict[str, str | None] = {}  # concept -> the code that says it
        for coding in sorted(concept.coding or (), key=lambda coding: not coding.user_selected):
            if not coding.code:
                continue
            code = coding.code.strip()
            system = self.catalogue.systems.get(coding.system or "", coding.system or "")
            if (system, code) in self.catalogue.never_map:
                remarks.append((Reason.MISLEADING_CODE, f"{system}|{code}"))
                continue
            name = self.catalogue.codes.get((system, code))
            if name is not None:
                found.setdefault(name, code_text(coding))
        if not found and concept.text:
            by_text = self.catalogue.concept_of_text(concept.text)
            found = {by_text: concept_text(concept)} if by_text else {}
        if len(found) > 1:
            remarks.append((Reason.CONFLICTING_CODES, ", ".join(found)))
        name = next(iter(found), None)
        kind = self.catalogue.concepts[name].kind if name else None
        sent = found[name] if name else concept_text(concept)
        return Meaning(Coded(name, kind, sent, display_of(concept)), tuple(remarks))
