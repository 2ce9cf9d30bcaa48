"""Severity: mild, moderate or severe, from the codes and words that resources use."""

from fhiradapter.fhir.datatypes import CodeableConcept

# SNOMED CT qualifiers; a value between two counts as the graver one.
CODES = {
    "255604002": "mild",
    "6736007": "moderate",
    "371923003": "moderate",  # mild to moderate
    "24484000": "severe",
    "371924009": "severe",  # moderate to severe
    "mild": "mild",
    "moderate": "moderate",
    "severe": "severe",
}


def severity_of(concept: CodeableConcept | None) -> str | None:
    """Return the severity, or None when the codes and the text name none of the three."""
    if concept is None:
        return None
    words = [coding.code for coding in concept.coding or ()]
    words += [coding.display for coding in concept.coding or ()] + [concept.text]
    return next((CODES[word] for sent in words if sent and (word := sent.strip().casefold()) in CODES), None)
