"""Definitions: `mappings/` read and checked, so that a code, a text or a unit has one meaning.

`load_catalogue` gives the look-ups, `check_definitions` what is wrong with the files.
"""

from fhiradapter.definitions.catalogue import Catalogue, load_catalogue
from fhiradapter.definitions.checker import check_definitions
from fhiradapter.definitions.codelists import loinc_check_digit
from fhiradapter.definitions.concepts import Concept
from fhiradapter.definitions.location import mappings_folder
from fhiradapter.definitions.tables import Finding
from fhiradapter.definitions.units import Conversion, Units

__all__ = [
    "Catalogue",
    "Concept",
    "Conversion",
    "Finding",
    "Units",
    "check_definitions",
    "load_catalogue",
    "loinc_check_digit",
    "mappings_folder",
]
