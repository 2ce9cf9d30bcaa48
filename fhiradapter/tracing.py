"""Tracing: from a row of the cohort to its resource, version, rule and decisions."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.errors import UsageError
from fhiradapter.fhir.compression import portions
from fhiradapter.fhir.files import list_files
from fhiradapter.settings import Study
from fhiradapter.store.directory import read_cohort
from fhiradapter.store.place import Place, is_store
from fhiradapter.store.raw import read_places
from fhiradapter.store.snapshot import open_snapshot
from fhiradapter.store.snapshot import read_cohort as read_stored

PROVENANCE = ("source", "source_file", "source_line", "resource_type", "resource_id", "version_id", "rule")


class Decision(msgspec.Struct, frozen=True):
    """One thing that was said about the row's resource."""

    reason: str
    disposition: str
    path: str | None
    detail: str


class Explanation(msgspec.Struct, frozen=True):
    """Where a row comes from. `row` holds its cells that are not null."""

    table: str
    row: dict[str, Any]
    older_versions: tuple[str | None, ...]
    issues: tuple[Decision, ...]
    raw: str | None = None

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what to print: the table, every cell, and the versions before this one."""
        yield "table", self.table
        yield from ((name, str(value)) for name, value in self.row.items())
        if self.older_versions:
            yield "older versions", ", ".join(str(version or "?") for version in self.older_versions)


def explain_row(study: Study, row_id: str, *, cohort: Path | None = None, raw: bool = False) -> Explanation:
    """Return where a row comes from; its cells and, with `raw`, its resource are patient content.

    The row is looked for in `cohort`, else in the study's store, else in what `run` wrote by default.
    Raises UsageError when no table has it, or its resource cannot be found any more.
    """
    store = study.folder / study.store.path
    if cohort is None and is_store(store):
        return _from_store(store, row_id, raw=raw)
    folder = cohort or Path("out") / study.study.id
    found = _found(read_cohort(folder), row_id)
    return msgspec.structs.replace(found, raw=_sent(study, found.row)) if raw else found


def _from_store(folder: Path, row_id: str, *, raw: bool) -> Explanation:
    with closing(open_snapshot(folder)) as database:
        found = _found(read_stored(database), row_id)
        key = [found.row.get(name) for name in ("source", "resource_type", "resource_id")]
        versions = database.rows(
            "SELECT version_id FROM base.versions WHERE source = ? AND resource_type = ? AND resource_id = ?"
            " ORDER BY last_updated, version_id",
            key,
        )
    text = None
    if raw:
        place = (found.row["source_file"], found.row["source_line"])
        text = read_places(Place(folder).raw, [place])[place].decode("utf-8", "replace")
    return msgspec.structs.replace(found, older_versions=tuple(row[0] for row in versions), raw=text)


def _found(cohort: Cohort, row_id: str) -> Explanation:
    for table in SCHEMAS:
        rows = cohort.arrow(table)
        found = rows.filter(pc.equal(rows["row_id"], row_id)).to_pylist()
        if found:
            cells = {name: value for name, value in found[0].items() if value is not None}
            return Explanation(table, cells, (), tuple(_decisions(cohort.arrow("issues"), cells)))
    raise UsageError("no row of the cohort has this row_id; copy it from the column row_id of a table")


def _decisions(issues: pa.Table, cells: dict[str, Any]) -> Iterator[Decision]:
    """Yield the issues of the same resource, of whichever of its versions the row is."""
    mask = None
    for name in ("source", "resource_type", "resource_id"):
        equal = pc.equal(issues[name], pa.scalar(cells.get(name), pa.string()))
        mask = equal if mask is None else pc.and_(mask, equal)
    for row in issues.filter(pc.fill_null(mask, False)).to_pylist():
        yield Decision(row["reason"], row["disposition"], row["path"], row["detail"])


def _sent(study: Study, cells: dict[str, Any]) -> str:
    """Return the line of the file that a row was read from."""
    source = next((one for one in study.sources if one.name == cells["source"]), None)
    paths = tuple(study.folder / path for path in source.path) if source else ()
    for found in list_files(paths):
        if found.name == cells["source_file"] and found.path.is_file():
            return _line(found.path, cells["source_line"])
    raise UsageError(f"{cells['source_file']}: is not among the study's files any more")


def _line(path: Path, number: int) -> str:
    """Return one line of NDJSON, else the whole document that the entry stands in."""
    content = b"".join(portion.content for portion in portions(path))
    lines = content.split(b"\n")
    is_lines = (
        len(lines) >= number
        and lines[number - 1].lstrip().startswith(b"{")
        and lines[0].rstrip().endswith(b"}")
    )
    return (lines[number - 1] if is_lines else content).decode("utf-8", "replace")
