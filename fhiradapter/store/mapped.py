"""Mapped rows: what the mapping makes of resources, with what became of each and what it refers to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

import pyarrow as pa

from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.fhir.decoding import is_hazardous
from fhiradapter.fhir.regular import decode_regular
from fhiradapter.fhir.source import Batch
from fhiradapter.store.database import Database
from fhiradapter.store.dependents import Key, dependency_table, references
from fhiradapter.store.mapping import Mapped, Mapper, StoredTexts
from fhiradapter.store.rows import key_table

LINES_AT_ONCE = 1_000  # about a megabyte, which a core's cache holds
FIRST_LINES = 50  # from these the kernel learns what it then maps column by column

Location = tuple[str, int]
"""A raw file and a line of it."""


class Line(NamedTuple):
    """A resource among the raw files."""

    source: str
    file: str
    line: int
    content: bytes


@dataclass
class MappedRows:
    """Rows by table, what became of each resource, members of panels, and what had to wait for what."""

    tables: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    _fates: list[pa.RecordBatch] = field(default_factory=list)
    _members: list[tuple[Key, str, str]] = field(default_factory=list)
    _waited: list[tuple[Location, set[tuple[str, str]]]] = field(default_factory=list)

    @property
    def fates(self) -> pa.Table:
        """Receipts: what became of each resource."""
        return pa.Table.from_batches(self._fates, RECEIPTS)

    def add(self, mapped: Mapped, source: str) -> None:
        """Add what was mapped of a source."""
        for table, batch in mapped.tables.items():
            if batch.num_rows:
                self.tables.setdefault(table, []).append(batch)
        self._fates.append(mapped.receipts)
        for member, panel in mapped.members:
            kind, _, id_ = panel.removeprefix(f"{source}/").partition("/")
            self._members.append(((source, kind, id_), member, panel))
        self._waited.extend(((one.file, one.line), references(one)) for one in mapped.deferred)

    def connect(self, database: Database, keys: dict[Location, Key]) -> None:
        """Write which resources are members of panels, and which of `keys` refer to look-ups."""
        if self._members:
            owners, members, panels = zip(*self._members, strict=True)
            table = key_table(owners).append_column("member", pa.array(members, pa.string()))
            with database.given(members=table.append_column("panel", pa.array(panels, pa.string()))):
                database.execute("INSERT INTO base.members FROM members")
        found = [
            (keys[place], target) for place, targets in self._waited if place in keys for target in targets
        ]
        if found:
            with database.given(dependencies=dependency_table(found)):
                database.execute("INSERT INTO base.dependencies FROM dependencies")


@dataclass(frozen=True)
class Mapping:
    """How the resources of one commit are mapped."""

    database: Database
    mapper: Mapper
    run_id: str
    now: int

    def map(self, lines: Iterable[Line]) -> MappedRows:
        """Map resources; what others look up has to come first, and is shared within a source."""
        rows = MappedRows()
        by_source: dict[str, list[Line]] = {}
        for line in lines:
            by_source.setdefault(line.source, []).append(line)
        for source, some in by_source.items():
            stored = StoredTexts(self.database, source)
            for mapped in self.mapper.map(source, _batches(some), stored, run_id=self.run_id, now=self.now):
                rows.add(mapped, source)
        return rows


def _batches(lines: Iterable[Line]) -> Iterator[Batch]:
    """Yield resources in batches of one file each."""
    for file, group in groupby(lines, key=lambda line: line.file):
        whole = list(group)
        first = min(FIRST_LINES, len(whole))
        for start, end in pairwise([0, *range(first, len(whole), LINES_AT_ONCE), len(whole)]):
            part = whole[start:end]
            contents = [line.content for line in part]
            text = b"\n".join(contents)
            numbers = [line.line for line in part]
            hazardous = is_hazardous(text)
            regular = None if hazardous else decode_regular(text, len(part))
            yield Batch(file, contents, numbers, hazardous, bytes_read=len(text), regular=regular)
