"""Code lists: check digits, names of systems, and the codes that must never be mapped."""

import pytest

from fhiradapter.definitions import load_catalogue, loinc_check_digit
from fhiradapter.definitions.codelists import LOINC, exact_text

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        # 1742: 2x2 + 4 + 2x7 -> 1+4 + 1 = 4 + 4 + 5 + 1 = 14, to 20 it lacks 6.
        ("1742-6", True),
        # 101281: 1x2 + 8 + 2x2 + 1 + 0x2 + 1 = 2 + 8 + 4 + 1 + 0 + 1 = 16, to 20 it lacks 4.
        ("101281-4", True),
        ("101281-5", False),
        # Two of the wrong codes for neurofilament light are codes of something else, two are no codes at all.
        ("94505-5", True),  # 5x2 -> 1, 0, 5x2 -> 1, 4, 9x2 -> 9: 15, lacks 5
        ("94677-2", True),  # 7x2 -> 5, 7, 6x2 -> 3, 4, 9x2 -> 9: 28, lacks 2
        ("82293-6", False),  # 3x2 = 6, 9, 2x2 = 4, 2, 8x2 -> 7: 28, lacks 2 and has 6
        ("99771-2", False),  # 1x2 = 2, 7, 7x2 -> 5, 9, 9x2 -> 9: 32, lacks 8 and has 2
        ("17426", False),
        ("1742-", False),
        ("1742-66", False),
        ("-6", False),
        ("LP1234-5", False),
        ("١٧٤٢-6", False),  # digits of another script
        ("", False),
    ],
)
def test_check_digit(code: str, *, valid: bool) -> None:
    """A LOINC code ends in the digit that its own number gives."""
    assert loinc_check_digit(code) is valid


def test_every_shipped_loinc_code_has_its_check_digit() -> None:
    """No shipped LOINC code is mistyped."""
    codes = [code for system, code in CATALOGUE.codes if system == LOINC]
    assert len(codes) > 60
    assert [code for code in codes if not loinc_check_digit(code)] == []


@pytest.mark.parametrize(
    ("system", "code", "concept"),
    [
        ("http://loinc.org", "718-7", "hemoglobin"),
        ("http://loinc.org/", "718-7", "hemoglobin"),
        ("https://loinc.org", "718-7", "hemoglobin"),
        ("urn:oid:2.16.840.1.113883.6.1", "718-7", "hemoglobin"),
        ("2.16.840.1.113883.6.1", "718-7", "hemoglobin"),
        ("http://snomed.info/sct", "86044005", "als"),
        ("urn:oid:2.16.840.1.113883.6.96", "86044005", "als"),
        ("urn:oid:2.16.840.1.113883.6.90", "G12.21", "als"),
        ("urn:oid:2.16.840.1.113883.6.88", "35623", "riluzole"),
        ("http://snomed.info/sct", "718-7", None),
        ("", "718-7", None),
        (None, "718-7", None),
        ("http://loinc.org", "0000-0", None),
    ],
)
def test_a_code_means_its_concept_under_every_name_of_its_system(
    system: str | None, code: str, concept: str | None
) -> None:
    """A system is known under its address and its OID; a code without its system means nothing."""
    assert CATALOGUE.concept(system, code) == concept


@pytest.mark.parametrize("code", ["94505-5", "94677-2", "82293-6", "99771-2"])
def test_wrong_neurofilament_codes_are_not_mapped(code: str) -> None:
    """The codes that circulate for neurofilament light lead to no concept, and the reason is at hand."""
    assert CATALOGUE.concept(LOINC, code) is None
    assert "101281-4" in CATALOGUE.never_map[LOINC, code]


@pytest.mark.parametrize(
    ("system", "code", "matrix"),
    [
        ("http://snomed.info/sct", "119364003", "serum"),
        ("http://snomed.info/sct", "119361006", "plasma"),
        ("http://snomed.info/sct", "258450006", "csf"),
        ("http://snomed.info/sct", "119297000", "whole_blood"),
        ("http://terminology.hl7.org/CodeSystem/v2-0487", "SER", "serum"),
        ("http://hl7.org/fhir/v2/0487", "PLAS", "plasma"),
        ("http://terminology.hl7.org/CodeSystem/v2-0487", "CSF", "csf"),
        ("http://terminology.hl7.org/CodeSystem/v2-0487", "BLD", "whole_blood"),
        (None, "SER", None),
    ],
)
def test_a_specimen_code_means_its_matrix(system: str | None, code: str, matrix: str | None) -> None:
    """Serum, plasma, CSF and blood are told apart by the specimen's code."""
    assert CATALOGUE.matrix(system, code) == matrix


def test_a_text_is_compared_as_a_whole() -> None:
    """Case and blanks do not count, a part of a text never matches."""
    assert exact_text("  Cerebrospinal\n Fluid ") == "cerebrospinal fluid"
    assert CATALOGUE.specimen_texts["cerebrospinal fluid"] == "csf"
    assert exact_text("serum tube") not in CATALOGUE.specimen_texts
    assert CATALOGUE.concept_of_text(" Proleukin ") == "aldesleukin"
    assert CATALOGUE.concept_of_text("Proleukin 22 MIU") is None
    assert CATALOGUE.concept_of_text("ALT") is None
