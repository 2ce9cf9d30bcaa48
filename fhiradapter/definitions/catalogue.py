"""The catalogue: every definition of `mappings/` and of a site's overlay, ready to look up."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from fhiradapter.definitions.checker import Tables, products, read_and_check, site_codes, systems
from fhiradapter.definitions.codelists import LINK_ID, TEXT, exact_text
from fhiradapter.definitions.concepts import Concept, concept_of
from fhiradapter.definitions.units import Units
from fhiradapter.errors import DefinitionsError

_SHOWN_FINDINGS = 5


@dataclass(frozen=True)
class Catalogue:
    """What codes, texts and units mean, in plain dicts; each code system goes by its one canonical name.

    * `codes`: (system, code) to concept; `systems`: any name of a system to its canonical name
    * `texts`: a whole text, as `exact_text` writes it, to concept; from the site only
    * `never_map`: codes that circulate with a wrong meaning, and why not to map them
    * `unit_assignments`: concept or `system|code` to the unit of a value without one; from the site only
    * `specimens`, `specimen_texts`: to the matrix, which is serum, plasma, csf or whole_blood
    * `questionnaire_items`: (questionnaire, linkId) to concept; "" is any questionnaire
    * `digest`: the hash of all files read
    """

    concepts: dict[str, Concept]
    codes: dict[tuple[str, str], str]
    systems: dict[str, str]
    texts: dict[str, str]
    never_map: dict[tuple[str, str], str]
    unit_assignments: dict[str, str]
    allowed_modifiers: frozenset[str]
    time_zone: str | None
    specimens: dict[tuple[str, str], str]
    specimen_texts: dict[str, str]
    questionnaire_items: dict[tuple[str, str], str]
    units: Units
    site: str | None
    digest: str

    def concept(self, system: str | None, code: str) -> str | None:
        """Return the concept that a code stands for; None where unmapped, or without a system.

        >>> load_catalogue().concept("urn:oid:2.16.840.1.113883.6.1", "718-7")
        'hemoglobin'
        """
        if not system:
            return None
        return self.codes.get((self.systems.get(system, system), code))

    def concept_of_text(self, text: str) -> str | None:
        """Return the concept that the site gave to this whole text; a part of a text never matches."""
        return self.texts.get(exact_text(text))

    def matrix(self, system: str | None, code: str) -> str | None:
        """Return the specimen's matrix that a code stands for."""
        return self.specimens.get((self.systems.get(system or "", system or ""), code))


def load_catalogue(*, folder: Path | None = None, site: Path | None = None) -> Catalogue:
    """Read the shipped definitions, or those in `folder`, with a site's overlay on top; once per process.

    Raises DefinitionsError naming file and line when anything in them is wrong.
    """
    return _load(folder, site)


@lru_cache(maxsize=32)
def _load(folder: Path | None, site: Path | None) -> Catalogue:
    tables, findings = read_and_check(folder, site)
    if findings:
        lines = [str(finding) for finding in findings[:_SHOWN_FINDINGS]]
        if len(findings) > _SHOWN_FINDINGS:
            lines.append(f"and {len(findings) - _SHOWN_FINDINGS} more")
        raise DefinitionsError("\n".join(lines))
    return _catalogue(tables)


def _catalogue(tables: Tables) -> Catalogue:
    site, canonical = tables.site, systems(tables.site)
    declared = {row["concept"]: concept_of(row) for row in tables.concepts}
    for name, display in products(site).items():
        declared.setdefault(name, Concept(name, "product", display=display))
    units = Units(
        tables.units,
        concepts=frozenset(declared),
        site_spellings={row["text"]: row["unit"] for row in site.rows("unit_spellings")},
    )
    codes: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    specimens: dict[tuple[str, str], str] = {}
    specimen_texts: dict[str, str] = {}
    items: dict[tuple[str, str], str] = {}
    for row in (*tables.codes, *site_codes(site)):
        system, code, concept = canonical.get(row["system"], row["system"]), row["code"], row["concept"]
        is_specimen = declared[concept].kind == "specimen"
        if system == TEXT:
            (specimen_texts if is_specimen else texts)[exact_text(code)] = concept
        elif system.startswith(LINK_ID):
            items[system.removeprefix(LINK_ID).strip(), code] = concept
        else:
            (specimens if is_specimen else codes)[system, code] = concept
    return Catalogue(
        concepts={name: _with_molar(concept, units) for name, concept in declared.items()},
        codes=codes,
        systems=canonical,
        texts=texts,
        never_map={
            (canonical.get(row["system"], row["system"]), row["code"]): row["reason"]
            for row in tables.never_map
        },
        unit_assignments=_unit_assignments(tables, canonical),
        allowed_modifiers=site.allowed_modifiers,
        time_zone=site.time_zone,
        specimens=specimens,
        specimen_texts=specimen_texts,
        questionnaire_items=items,
        units=units,
        site=site.name,
        digest=tables.digest,
    )


def _unit_assignments(tables: Tables, canonical: dict[str, str]) -> dict[str, str]:
    assigned: dict[str, str] = {}
    for row in tables.site.rows("units"):
        system = canonical.get(row.cells.get("system", ""), row.cells.get("system", ""))
        assigned[row.cells.get("concept") or f"{system}|{row['code']}"] = row["unit"]
    return assigned


def _with_molar(concept: Concept, units: Units) -> Concept:
    """Add to a concept whose unit counts moles its factor from mg/dL."""
    if "mol/" not in (concept.canonical_unit or ""):
        return concept
    conversion = units.conversion(concept, "mg/dL")
    return replace(concept, molar=conversion.factor) if conversion else concept
