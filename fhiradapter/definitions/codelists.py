"""Code lists: which code of which system means which concept."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from fhiradapter.definitions.tables import Finding, Row

COLUMNS = ("concept", "system", "code", "display", "note")
NEVER_MAP_COLUMNS = ("system", "code", "reason")

LOINC = "http://loinc.org"
SNOMED_CT = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
SPECIMEN_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0487"

# No systems of FHIR, but marks of this folder: a questionnaire item's linkId, and an exact text.
LINK_ID = "questionnaire:linkId"
TEXT = "text"

# The other names of each system: CDA and older interfaces send the HL7 OID, STU3 the older HL7 address.
# https://terminology.hl7.org/external_terminologies.html
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        LOINC: ("urn:oid:2.16.840.1.113883.6.1", "http://www.loinc.org"),
        SNOMED_CT: ("urn:oid:2.16.840.1.113883.6.96", "http://www.snomed.info/sct"),
        RXNORM: ("urn:oid:2.16.840.1.113883.6.88", "http://nlm.nih.gov/research/umls/rxnorm"),
        ICD_10_CM: ("urn:oid:2.16.840.1.113883.6.90",),
        UCUM: ("urn:oid:2.16.840.1.113883.6.8", "http://www.unitsofmeasure.org"),
        SPECIMEN_TYPE: ("http://hl7.org/fhir/v2/0487",),
    }
)


def system_aliases() -> dict[str, str]:
    """Map every name of a known system, secure or not, with or without a last slash, to the name used here.

    >>> system_aliases()["urn:oid:2.16.840.1.113883.6.1"]
    'http://loinc.org'
    """
    aliases: dict[str, str] = {}
    for system, others in _OTHER_NAMES.items():
        for name in (system, *others):
            aliases[name] = system
            aliases[name.removeprefix("urn:oid:")] = system
            if name.startswith("http://"):
                secure = "https://" + name.removeprefix("http://")
                aliases.update(dict.fromkeys((f"{name}/", secure, f"{secure}/"), system))
    return aliases


def exact_text(text: str) -> str:
    """Fold a text's case and collapse its blanks, the form in which texts are compared."""
    return " ".join(text.split()).casefold()


def loinc_check_digit(code: str) -> bool:
    """Tell whether a LOINC code ends in its own check digit (modulus 10, LOINC Users' Guide).

    From the right, every second digit counts double, a double of ten or more as the sum of its digits; the
    check digit fills the sum up to a multiple of ten.

    >>> loinc_check_digit("1742-6"), loinc_check_digit("1742-5")
    (True, False)
    """
    number, hyphen, check = code.partition("-")
    if not (hyphen and number.isascii() and number.isdigit() and check.isascii() and check.isdigit()):
        return False
    if len(check) != 1:
        return False
    doubled = (int(digit) * (2 - position % 2) for position, digit in enumerate(reversed(number)))
    total = sum(value // 10 + value % 10 for value in doubled)
    return (10 - total % 10) % 10 == int(check)


def check_never_map(rows: Iterable[Row]) -> list[Finding]:
    """Find what is wrong with rows of `never_map.csv`."""
    findings: list[Finding] = []
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row["system"], row["code"])
        if not all(row[column] for column in NEVER_MAP_COLUMNS):
            findings.append(row.finding("system, code and reason must be filled in"))
        if key in first:
            findings.append(row.finding(f"{row['code']} stands already on line {first[key].line}"))
        first.setdefault(key, row)
    return findings


def check_codes(
    rows: Iterable[Row],
    *,
    concepts: frozenset[str],
    never_map: Mapping[tuple[str, str], str],
    systems: Mapping[str, str],
) -> list[Finding]:
    """Find what is wrong with code list rows of all files together: one code has one meaning."""
    findings: list[Finding] = []
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        system, code, concept = systems.get(row["system"], row["system"]), row["code"], row["concept"]
        if not (system and code and concept):
            findings.append(row.finding("concept, system and code must be filled in"))
            continue
        if concept not in concepts:
            findings.append(row.finding(f"unknown concept {concept!r}: concepts.csv does not declare it"))
        if system == LOINC and not loinc_check_digit(code):
            findings.append(row.finding(f"LOINC {code} fails its check digit: a digit is mistyped"))
        if (system, code) in never_map:
            findings.append(row.finding(f"{code} must never be mapped: {never_map[system, code]}"))
        key = (system, exact_text(code) if system == TEXT else code)
        earlier = first.setdefault(key, row)
        if earlier is not row:
            findings.append(row.finding(_duplicate(row, earlier)))
    return findings


def _duplicate(row: Row, earlier: Row) -> str:
    place = f"{earlier.file}:{earlier.line}"
    if earlier["concept"] == row["concept"]:
        return f"{row['code']} is mapped to {row['concept']} already at {place}"
    return f"{row['code']} is mapped to {row['concept']} here and to {earlier['concept']} at {place}"
