"""Codes: a CodeableConcept to the concept that it stands for, and to what was sent."""

from typing import NamedTuple

from fhiradapter.definitions.catalogue import Catalogue
from fhiradapter.fhir.datatypes import CodeableConcept, Coding
from fhiradapter.mappers.outcome import Note
from fhiradapter.reasons import Reason

MEMORY = 50_000  # distinct codings that are remembered; a hospital uses some thousands


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


class CodeReader:
    """Reads CodeableConcepts against one catalogue, each distinct one once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._known: dict[tuple[str | None, ...], tuple[Coded, tuple[Note, ...]]] = {}

    def read(self, concept: CodeableConcept | None, path: str, notes: list[Note]) -> Coded:
        """Return the concept and the code as sent; the first code that a code list knows decides."""
        if concept is None:
            return UNCODED
        codings = concept.coding
        if codings and len(codings) == 1:
            coding = codings[0]
            key = (coding.system, coding.code, coding.display, concept.text, path)
            known = self._known.get(key)
            if known is None:
                if len(self._known) > MEMORY:
                    self._known.clear()
                known = self._known[key] = self._read(concept, path)
        else:
            known = self._read(concept, path)
        if known[1]:
            notes.extend(known[1])
        return known[0]

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

    def _read(self, concept: CodeableConcept, path: str) -> tuple[Coded, tuple[Note, ...]]:
        notes: list[Note] = []
        found: list[str] = []
        for coding in sorted(concept.coding or (), key=lambda coding: not coding.user_selected):
            if not coding.code:
                continue
            code = coding.code.strip()
            system = self.catalogue.systems.get(coding.system or "", coding.system or "")
            if (system, code) in self.catalogue.never_map:
                notes.append(Note(Reason.MISLEADING_CODE, path, f"{system}|{code}"))
                continue
            name = self.catalogue.codes.get((system, code))
            if name is not None and name not in found:
                found.append(name)
        if not found and concept.text:
            by_text = self.catalogue.concept_of_text(concept.text)
            found = [by_text] if by_text else []
        if len(found) > 1:
            notes.append(Note(Reason.CONFLICTING_CODES, path, ", ".join(found)))
        name = found[0] if found else None
        kind = self.catalogue.concepts[name].kind if name else None
        return Coded(name, kind, concept_text(concept), display_of(concept)), tuple(notes)
