"""A site overlay: what one hospital's data need beyond the shipped definitions."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fhiradapter.definitions.tables import Finding, Row

# The lists of an overlay: an entry has exactly one of these sets of keys, and perhaps a display and a note.
ENTRIES: Mapping[str, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "systems": (frozenset({"alias", "system"}),),
        "codes": (frozenset({"system", "code", "concept"}), frozenset({"text", "concept"})),
        "products": (frozenset({"system", "code", "concept"}), frozenset({"text", "concept"})),
        "units": (frozenset({"concept", "unit"}), frozenset({"system", "code", "unit"})),
        "unit_spellings": (frozenset({"text", "unit"}),),
        "specimens": (frozenset({"system", "code", "matrix"}), frozenset({"text", "matrix"})),
        "questionnaire": (
            frozenset({"questionnaire", "link_id", "concept"}),
            frozenset({"link_id", "concept"}),
        ),
    }
)
REMARKS = frozenset({"display", "note"})
SITE_KEYS = frozenset({"name", "time_zone", "allowed_modifier_extensions"})

_AT_LINE = re.compile(r"at line (\d+)")


@dataclass(frozen=True)
class Site:
    """One overlay: its settings, and its entries by list with the line each begins on."""

    file: str = ""
    name: str | None = None
    time_zone: str | None = None
    allowed_modifiers: frozenset[str] = frozenset()
    entries: Mapping[str, list[Row]] = field(default_factory=dict)

    def rows(self, table: str) -> list[Row]:
        """Return the entries of one list, in the order of the file."""
        return list(self.entries.get(table, ()))


def read_site(path: Path) -> tuple[Site, list[Finding]]:
    """Read the overlay in one TOML file, and find whatever in it cannot be understood."""
    file = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        return Site(file), [Finding(file, 1, f"the file cannot be read ({error.strerror})")]
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        return Site(file), [Finding(file, line, "the file is not UTF-8 here; save it as UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return Site(file), [Finding(file, _line_of(error, text), f"not valid TOML: {error}")]
    findings = [
        Finding(file, _line_where(text, rf"\[*\s*{re.escape(table)}\b"), f"unknown part {table!r}")
        for table in content
        if table not in ENTRIES and table != "site"
    ]
    entries: dict[str, list[Row]] = {}
    for table in ENTRIES:
        entries[table] = []
        for row, problems in _entries(content.get(table, []), table=table, file=file, text=text):
            findings.extend(problems)
            if not problems:
                entries[table].append(row)
    site, problems = _site(content.get("site", {}), file=file, text=text, entries=entries)
    return site, findings + problems


def _entries(listed: object, *, table: str, file: str, text: str) -> Iterator[tuple[Row, list[Finding]]]:
    lines = [number for number, _ in _lines_where(text, rf"\[\[\s*{table}\s*\]\]")]
    if not isinstance(listed, list):
        line = _line_where(text, rf"\[*\s*{table}\b")
        yield Row(file, line, {}), [Finding(file, line, f"write [[{table}]] in front of each entry")]
        return
    for position, entry in enumerate(listed):
        line = lines[position] if position < len(lines) else _line_where(text, rf"{table}\b")
        message = _entry_message(entry, table=table)
        cells = {} if message else {key: value.strip() for key, value in entry.items()}
        yield Row(file, line, cells), [Finding(file, line, message)] if message else []


def _entry_message(entry: object, *, table: str) -> str | None:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        return f"every value of [[{table}]] is a text in quotes"
    if frozenset(entry) - REMARKS not in ENTRIES[table]:
        choices = " or ".join(", ".join(sorted(keys)) for keys in ENTRIES[table])
        return f"[[{table}]] has {', '.join(sorted(entry)) or 'nothing'}; it needs {choices}"
    empty = [key for key, value in entry.items() if key not in REMARKS and not value.strip()]
    # An empty questionnaire means any questionnaire.
    empty = [key for key in empty if key != "questionnaire"]
    return f"{', '.join(empty)} is empty in [[{table}]]" if empty else None


def _site(
    settings: object, *, file: str, text: str, entries: Mapping[str, list[Row]]
) -> tuple[Site, list[Finding]]:
    findings: list[Finding] = []

    def finding(key: str, message: str) -> None:
        findings.append(Finding(file, _line_where(text, rf"{re.escape(key)}\b"), message))

    if not isinstance(settings, dict):
        return Site(file, entries=entries), [Finding(file, _line_where(text, "site"), "write [site] once")]
    for key in settings:
        if key not in SITE_KEYS:
            finding(key, f"unknown key {key!r} in [site]; known: {', '.join(sorted(SITE_KEYS))}")
    name, zone = settings.get("name"), settings.get("time_zone")
    if name is not None and not isinstance(name, str):
        finding("name", "name is a text in quotes")
        name = None
    if zone is not None and not is_time_zone(zone):
        finding("time_zone", f"unknown time zone {zone!r}; write a name such as Europe/Berlin")
        zone = None
    allowed = settings.get("allowed_modifier_extensions", [])
    if not isinstance(allowed, list) or not all(isinstance(url, str) and url for url in allowed):
        finding("allowed_modifier_extensions", "allowed_modifier_extensions is a list of URLs in quotes")
        allowed = []
    return Site(file, name, zone, frozenset(allowed), entries), findings


def is_time_zone(name: object) -> bool:
    """Tell whether a name stands in the IANA time zone database."""
    if not isinstance(name, str) or not name:
        return False
    try:
        ZoneInfo(name)
    # ZoneInfo opens a file of that name: a folder (Europe) or an odd name fails in the file system's own way.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = _AT_LINE.search(str(error))
    return int(found.group(1)) if found else text.count("\n") + 1


def _lines_where(text: str, pattern: str) -> Iterator[tuple[int, str]]:
    begins = re.compile(rf"\s*{pattern}")
    for number, line in enumerate(text.splitlines(), start=1):
        if begins.match(line):
            yield number, line


def _line_where(text: str, pattern: str) -> int:
    return next((number for number, _ in _lines_where(text, pattern)), 1)
