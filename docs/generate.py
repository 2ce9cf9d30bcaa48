"""Writes the pages of docs/ that come from the code; `--check` says which of them are out of date."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fhiradapter.cohort.model import TABLES
from fhiradapter.cohort.schema import SCHEMAS, json_schema
from fhiradapter.mappers.registry import MAPPERS
from fhiradapter.reasons import MEANINGS
from fhiradapter.settings import Study

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py (`make docs`); changes belong into the code. -->\n"
VERBS = ("run", "map", "analyse", "report", "profile", "check")


def data_dictionary() -> str:
    """Return the page of the cohort's tables."""
    lines = [
        NOTE,
        "# Data dictionary\n",
        "One row per fact. Instants are in UTC; days are local; null is unknown.\n",
    ]
    for table, model in TABLES.items():
        lines += [
            f"## {table}\n",
            f"{model.__doc__}\n",
            "| column | type | null | unit | meaning |",
            "|---|---|---|---|---|",
        ]
        for field in SCHEMAS[table]:
            metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
            meaning = metadata["description"].replace("|", "\\|")
            null = "yes" if field.nullable else "no"
            lines.append(f"| {field.name} | {field.type} | {null} | {metadata.get('unit', '')} | {meaning} |")
        lines.append("")
    rules = [f"| {kind} | `{mapper.rule}` |" for kind, mapper in MAPPERS.items()]
    return "\n".join([*lines, "## Rules\n", "| resource type | `rule` |", "|---|---|", *rules, ""])


def issue_reasons() -> str:
    """Return the page of the reasons that issues have."""
    lines = [
        NOTE,
        "# Issues\n",
        "Every resource or value that could not be used as it was sent is a row of `issues`. *quarantined*:"
        " not in the cohort, and somebody should look; *ignored*: left out by a rule; *flagged*: in the"
        " cohort, with this remark. Two receipts of one version are compared by the rows that they give.\n",
        "| reason | what becomes of it | severity | what it means, and what to do |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {reason} | {means.disposition} | {means.severity} | {means.advice} |"
        for reason, means in MEANINGS.items()
    ]
    return "\n".join([*lines, ""])


def study_file() -> str:
    """Return the page of the study file's settings."""
    lines = [
        NOTE,
        "# The study file\n",
        "TOML; an unknown setting is an error. Paths start from the file's folder.\n",
    ]
    lines += list(_sections(Study.model_json_schema(), Study))
    return "\n".join(lines)


def command_line() -> str:
    """Return the page of the commands."""
    lines = [NOTE, "# Command line\n"]
    for verb in ((), *((verb,) for verb in VERBS)):
        command = [sys.executable, "-m", "fhiradapter", *verb, "--help"]
        environment = {
            "COLUMNS": "100",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "PATH": "",
            "_TYPER_FORCE_DISABLE_TERMINAL": "1",
        }
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        text = "\n".join(
            line.rstrip() for line in shown.replace("python -m fhiradapter", "fhiradapter").splitlines()
        )
        lines += [f"## fhiradapter {' '.join(verb)}".rstrip() + "\n", "```", text.strip("\n"), "```\n"]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return every generated file with its content."""
    found = {
        "data-dictionary.md": data_dictionary(),
        "issues.md": issue_reasons(),
        "study-file.md": study_file(),
        "command-line.md": command_line(),
    }
    for table in TABLES:
        found[f"schemas/{table}.schema.json"] = (
            json.dumps(json_schema(table), indent=2, ensure_ascii=False) + "\n"
        )
    return found


def _sections(schema: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        part = _model_of(field.annotation)
        if name != "folder" and part is not None:
            yield from _section(schema, part, name, field.annotation, depth=2)


def _section(
    schema: dict[str, Any], part: type[BaseModel], place: str, annotation: Any, *, depth: int
) -> Iterator[str]:
    """Yield a section and those inside it; one that may stand several times has double brackets."""
    heading = f"[[{place}]]" if "list[" in str(annotation) else f"[{place}]"
    yield f"{'#' * depth} {heading}\n"
    yield f"{part.__doc__}\n"
    yield from _table(schema["$defs"][part.__name__], part)
    for inner, field in part.model_fields.items():
        nested = _model_of(field.annotation)
        if nested is not None:
            yield from _section(schema, nested, f"{place}.{inner}", field.annotation, depth=depth + 1)


def _table(schema: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    yield "| setting | values | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if _model_of(field.annotation) is not None:
            continue
        property_ = schema["properties"][name]
        default = (
            "required" if field.is_required() else json.dumps(property_.get("default"), ensure_ascii=False)
        )
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| {name} | {_values(property_)} | {default.replace('null', '')} | {meaning} |"
    yield ""


def _values(property_: dict[str, Any]) -> str:
    if "anyOf" in property_:
        return " or ".join(_values(one) for one in property_["anyOf"] if one.get("type") != "null")
    if "enum" in property_:
        return ", ".join(f"`{value}`" for value in property_["enum"])
    if "const" in property_:
        return f"`{property_['const']}`"
    if property_.get("type") == "array":
        return f"list of {_values(property_['items'])}"
    return str(property_.get("format") or property_.get("type") or "")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def main() -> int:
    """Write the pages, or with --check compare them; return the exit code."""
    stale = []
    for name, content in pages().items():
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    for name in stale:
        print(f"docs/{name}: {'out of date; run `make docs`' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
