"""Code counts: which codes and units the data use, how often, and which of them no code list knows."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.api import sources_of
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.mappers.context import Context, Readers
from fhiradapter.mappers.kernel import Kernel
from fhiradapter.settings import Study

TABLES = ("measurements", "exposures", "events")


class CodeCount(NamedTuple):
    """One code with one unit, as sent."""

    table: str
    code: str | None
    display: str | None
    unit: str | None
    concept: str | None
    converted: bool
    rows: int


def count_codes(source: Any, study: Study) -> list[CodeCount]:
    """Return every code and unit of the sources with its count, the unmapped ones first, by count."""
    counts: Counter[tuple[str, str | None, str | None, str | None, str | None, bool]] = Counter()
    for settings, one in sources_of(study, source):
        catalogue = load_catalogue(site=study.folder / settings.site if settings.site else None)
        kernel = Kernel(Context.of(Readers.of(catalogue, settings.time_zone), now=2**62), run_id="profile")
        kernel.finish()
        for batch in one.batches():
            for table, rows in kernel.map_batch(batch).tables.items():
                if table in TABLES:
                    counts.update(_keys(table, rows))
    found = [CodeCount(*key, count) for key, count in counts.items()]
    return sorted(found, key=lambda row: (row.concept is not None, -row.rows, str(row.code), str(row.unit)))


def site_entries(counts: list[CodeCount]) -> str:
    """Return the unmapped codes as entries for a site file, to be completed by hand."""
    entries = []
    for row in counts:
        if row.concept is not None or row.code is None:
            continue
        system, bar, code = row.code.rpartition("|")
        name = f"# {row.rows:,} rows in {row.table}" + (f", unit {row.unit}" if row.unit else "")
        if bar:
            lines = [f"system = {_quoted(system)}", f"code = {_quoted(code)}"]
        else:
            lines = [f"text = {_quoted(row.code)}"]
        shown = f"  # {row.display}" if row.display and row.display != row.code else ""
        part = "products" if row.table == "exposures" else "codes"
        entries.append(
            "\n".join([name, f"# [[{part}]]", *(f"# {line}" for line in lines), f'# concept = ""{shown}'])
        )
    return "\n\n".join(entries)


def _keys(table: str, rows: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    if table == "events":
        rows = rows.filter(pc.not_equal(rows.column("kind"), "enrolment"))  # an arm has a name and no code
    columns = [rows.column(name).to_pylist() for name in ("source_code", "source_display")]
    nothing: list[Any] = [None] * rows.num_rows
    if table == "measurements":
        units, values = rows.column("source_unit").to_pylist(), rows.column("value").to_pylist()
        sent = rows.column("source_value").to_pylist()
    else:
        units = rows.column("dose_unit").to_pylist() if table == "exposures" else nothing
        values = sent = nothing
    concepts = rows.column("concept").to_pylist()
    for code, display, unit, concept, value, text in zip(
        *columns, units, concepts, values, sent, strict=True
    ):
        yield table, code, display, unit, concept, value is not None or text is None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else " " for letter in escaped) + '"'
