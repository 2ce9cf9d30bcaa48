"""The checker of the definitions: what is wrong, in which file, on which line."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fhiradapter.definitions import codelists, concepts, units
from fhiradapter.definitions.location import mappings_folder
from fhiradapter.definitions.site import Site, read_site
from fhiradapter.definitions.spellings import changes_prefix, normal_form
from fhiradapter.definitions.tables import Finding, Row, decimal_or_none, read_table


@dataclass(frozen=True)
class Tables:
    """Every row of the definitions and of a site's overlay, as read."""

    concepts: list[Row]
    codes: list[Row]
    units: list[Row]
    never_map: list[Row]
    site: Site
    digest: str


def check_definitions(folder: Path | None = None, site: Path | None = None) -> list[Finding]:
    """Find all that is wrong with the definitions and a site's overlay, in the order of files and lines."""
    return read_and_check(folder, site)[1]


def read_and_check(folder: Path | None, site: Path | None) -> tuple[Tables, list[Finding]]:
    """Read the rows of all files, with the findings; what cannot be read is left out."""
    folder = folder or mappings_folder()
    findings: list[Finding] = []

    def read(path: Path, columns: Iterable[str]) -> list[Row]:
        rows, problems = read_table(path, columns=columns, folder=folder)
        findings.extend(problems)
        return rows

    code_files = sorted((folder / "codelists").glob("*.csv"))
    if not code_files:
        findings.append(Finding("codelists", 1, "the folder holds no code list (*.csv)"))
    tables = Tables(
        concepts=read(folder / "concepts.csv", concepts.COLUMNS),
        codes=[row for path in code_files for row in read(path, codelists.COLUMNS)],
        units=read(folder / "units.csv", units.COLUMNS),
        never_map=read(folder / "never_map.csv", codelists.NEVER_MAP_COLUMNS),
        site=Site(),
        digest=_digest([*sorted(folder.rglob("*.csv")), *([site] if site else [])]),
    )
    if site is not None:
        overlay, problems = read_site(site)
        findings.extend(problems)
        tables = Tables(**{**vars(tables), "site": overlay})
    return tables, sorted([*findings, *_check(tables)])


def products(site: Site) -> dict[str, str]:
    """Collect the products that a site's overlay names, with what to show for each."""
    named: dict[str, str] = {}
    for row in site.rows("products"):
        name = row["concept"]
        named[name] = named.get(name) or row.cells.get("display", "") or name
    return named


def site_codes(site: Site) -> list[Row]:
    """Write a site's own codes, texts, products and questionnaire items as code list rows."""
    rows: list[Row] = []
    for row in (*site.rows("codes"), *site.rows("products"), *site.rows("specimens")):
        concept = row.cells.get("concept") or row.cells["matrix"]
        system = row.cells.get("system", codelists.TEXT)
        code = row.cells.get("code") or row.cells["text"]
        rows.append(Row(row.file, row.line, {"system": system, "code": code, "concept": concept}))
    for row in site.rows("questionnaire"):
        # One linkId may mean different things in two questionnaires.
        system = f"{codelists.LINK_ID} {row.cells.get('questionnaire', '')}".strip()
        rows.append(
            Row(row.file, row.line, {"system": system, "code": row["link_id"], "concept": row["concept"]})
        )
    return rows


def systems(site: Site) -> dict[str, str]:
    """Map every name of a code system, those that a site adds among them, to the name used here."""
    aliases = codelists.system_aliases()
    added = {row["alias"]: aliases.get(row["system"], row["system"]) for row in site.rows("systems")}
    return {**aliases, **added}


def _check(tables: Tables) -> list[Finding]:
    site = tables.site
    kinds = {row["concept"]: row["kind"] for row in tables.concepts}
    known = frozenset(kinds) | frozenset(products(site))
    codes = frozenset(row["unit"] for row in tables.units if row["kind"] == "ucum")
    aliases = systems(site)
    never_map = {
        (aliases.get(row["system"], row["system"]), row["code"]): row["reason"] for row in tables.never_map
    }
    findings = concepts.check_concepts(tables.concepts, units=codes)
    findings += codelists.check_never_map(tables.never_map)
    findings += codelists.check_codes(
        [*tables.codes, *site_codes(site)], concepts=known, never_map=never_map, systems=aliases
    )
    findings += _check_units(tables.units, concepts=frozenset(kinds), codes=codes)
    findings += _check_site(site, kinds=kinds, tables=tables)
    return findings


def _check_units(rows: list[Row], *, concepts: frozenset[str], codes: frozenset[str]) -> list[Finding]:
    findings: list[Finding] = []
    first: dict[tuple[str, ...], Row] = {}
    bases: dict[str, str] = {}
    for row in rows:
        kind, place = row["kind"], row["dimension_or_concept"]
        if kind == "spelling":
            messages = _spelling_messages(row["unit"], row["to_unit"], codes=codes)
            key: tuple[str, ...] = (kind, normal_form(row["unit"]))
        else:
            base = row["to_unit"] if place in concepts else bases.setdefault(place, row["to_unit"])
            messages = _ucum_messages(row, codes=codes, base=base)
            key = (kind, row["unit"], place)
        earlier = first.setdefault(key, row)
        if earlier is not row:
            messages.append(f"{row['unit']} stands already on line {earlier.line}")
        findings.extend(row.finding(message) for message in messages)
    return findings


def _ucum_messages(row: Row, *, codes: frozenset[str], base: str) -> list[str]:
    if row["kind"] not in units.KINDS:
        return [f"unknown kind {row['kind']!r}; known: {', '.join(units.KINDS)}"]
    messages = [f"{column} is empty" for column in ("unit", "dimension_or_concept") if not row[column]]
    if row["to_unit"] not in codes:
        messages.append(f"unknown unit {row['to_unit']!r}: it needs a row of its own of kind ucum")
    elif row["to_unit"] != base:
        messages.append(f"to_unit is {row['to_unit']}, but {row['dimension_or_concept']} is kept in {base}")
    factor = decimal_or_none(row["factor"])
    if factor is None or factor <= 0:
        messages.append(f"factor {row['factor']!r} is not a decimal number above zero")
    if row["offset"] and decimal_or_none(row["offset"]) is None:
        messages.append(f"offset {row['offset']!r} is not a decimal number")
    return messages


def _spelling_messages(text: str, unit: str, *, codes: frozenset[str]) -> list[str]:
    messages: list[str] = []
    if not text:
        messages.append("the spelling is empty: a value without unit is assigned one in [[units]]")
    if unit not in codes:
        messages.append(f"unknown unit {unit!r}: units.csv has no such UCUM code")
    if text in codes or normal_form(text) in codes:
        messages.append(f"{text} is read as the UCUM code {normal_form(text)} already")
    if changes_prefix(text, unit):
        messages.append(f"{text} is another unit than {unit}: capital M and P are mega and peta")
    return messages


def _check_site(site: Site, *, kinds: Mapping[str, str], tables: Tables) -> list[Finding]:
    findings: list[Finding] = []
    codes = frozenset(row["unit"] for row in tables.units if row["kind"] == "ucum")
    for row in site.rows("unit_spellings"):
        findings.extend(
            row.finding(message) for message in _spelling_messages(row["text"], row["unit"], codes=codes)
        )
    for row in site.rows("units"):
        if row["unit"] not in codes:
            findings.append(row.finding(f"unknown unit {row['unit']!r}: write a UCUM code of units.csv"))
        if "concept" in row.cells and row["concept"] not in kinds:
            findings.append(row.finding(f"unknown concept {row['concept']!r}"))
    for row in site.rows("specimens"):
        findings.extend(_other_kind(row, "matrix", expected="specimen", kinds=kinds))
    for row in site.rows("products"):
        findings.extend(_other_kind(row, "concept", expected="product", kinds=kinds))
    return findings


def _other_kind(row: Row, column: str, *, expected: str, kinds: Mapping[str, str]) -> list[Finding]:
    """Find an entry that uses a concept of another kind; unknown concepts are found with the codes."""
    kind = kinds.get(row[column], expected)
    return [] if kind == expected else [row.finding(f"{row[column]} is a {kind}, not a {expected}")]


def _digest(paths: Iterable[Path]) -> str:
    """Hash the files' content, so that a run can say which definitions it used."""
    total = hashlib.sha256()
    for path in paths:
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
