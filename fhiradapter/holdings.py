"""Holdings: the rows that settling asks for, wherever they lie; here those of a landing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import TIMES, Horizon, rows_before
from fhiradapter.cohort.receipts import Copy, Place, Receipts, copies, corrected
from fhiradapter.cohort.same_facts import FACTS
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import NOT_TO_FIND, Settlement, Translation
from fhiradapter.cohort.weights import BODY_WEIGHT
from fhiradapter.reasons import Reason
from fhiradapter.store.landing import Landing

PLACE = ("source", "source_file", "source_line")
ENCOUNTERED = [*PLACE, "encounter_id"]
REPLACED = [*PLACE, "subject_id", "replaced_by"]
RARE = {"subjects": "replaced_by", "exposures": "dose_cells_per_kg"}
DOSED = [*PLACE, "row_id", "subject_id", "started_on", "dose_cells_per_kg"]
COPIES_AT_ONCE = 10_000  # resources that came several times, whose rows are compared in one pass
Copies = dict[tuple[str, str, str], list[Copy]]
"""(source, type, id) to its receipts, in the order of the input."""


class Holdings(Protocol):
    """What was mapped. Rows come in the order in which they were read; more than asked for may come."""

    def repeated(self) -> Iterator[Copies]:
        """Yield the receipts of resources that came several times, some thousands of resources at a time."""
        ...

    def at(self, places: Collection[Place]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the rows of the resources at some places, table by table."""
        ...

    def replaced(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects that another one replaces."""
        ...

    def persons(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects with their identifiers."""
        ...

    def facts(self, persons: Mapping[str, str]) -> list[tuple[str, Iterable[pa.RecordBatch]]]:
        """Return by table the rows that two sources may both have sent; `persons` are known by other ids."""
        ...

    def relative_doses(self) -> Iterator[pa.RecordBatch]:
        """Yield the exposures dosed by body weight."""
        ...

    def weights(
        self, subjects: Collection[str | None], merged: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the body weights of some subjects, or of records that are merged into theirs."""
        ...

    def panels(self) -> Translation:
        """Return the rows of members with the rows of their panels, as far as `change` needs to be told."""
        ...

    def change(self, settlement: Settlement) -> None:
        """Change the rows; from now on they are asked for as they are then."""
        ...

    def early(self, merged: Mapping[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield, table by table, what happened before its subject was born."""
        ...

    def unknown_subjects(self, merged: Mapping[str, str]) -> set[str]:
        """Return the subjects of whom there are rows and no Patient."""
        ...

    def unreceived_encounters(self) -> Iterator[pa.RecordBatch]:
        """Yield the exposures whose Encounter was not received."""
        ...

    def accounts(self, dropped: Iterable[tuple[str, Reason]]) -> dict[str, TypeAccount]:
        """Return the account of each type; `dropped` are types of resources that a copy replaced."""
        ...

    def add_issues(self, batches: list[pa.RecordBatch]) -> None:
        """Add rows to the issues."""
        ...


@dataclass
class LandedRows:
    """The rows in a landing, and what was counted while they were put there."""

    landing: Landing
    receipts: Receipts = field(default_factory=Receipts)
    horizon: Horizon = field(default_factory=Horizon)
    _valued: set[str] = field(default_factory=set)
    """The rare columns that have a value in some row."""
    _members: list[pa.Array] = field(default_factory=list)
    _panels: list[pa.Array] = field(default_factory=list)

    def take(
        self, tables: Mapping[str, pa.RecordBatch], receipts: pa.RecordBatch, members: list[tuple[str, str]]
    ) -> None:
        """Put rows down."""
        for table, batch in tables.items():
            self.landing.write(table, batch)
            self.horizon.add(table, batch)
            rare = RARE.get(table)
            if rare is not None and batch.column(rare).null_count < batch.num_rows:
                self._valued.add(rare)
        self.landing.write("receipts", receipts)
        self.receipts.add(receipts)
        if members:
            of_panels, panels = zip(*members, strict=True)
            self._members.append(pa.array(of_panels, pa.string()))
            self._panels.append(pa.array(panels, pa.string()))

    def repeated(self) -> Iterator[Copies]:
        """Yield the receipts of resources that came several times; looked for only when there are any."""
        repeated = self.receipts.repeated()
        for start in range(0, len(repeated), COPIES_AT_ONCE):
            wanted = frozenset(repeated[start : start + COPIES_AT_ONCE])
            yield copies(self.landing.batches("receipts"), wanted)

    def at(self, places: Collection[Place]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the rows of the resources at some places."""
        files = pa.array({place.file for place in places}, pa.string())
        lines = pa.array({place.line for place in places}, pa.int32())
        for table in TIMES.keys() | {"subjects"}:
            for batch in self.landing.batches(table):
                yield (
                    table,
                    batch.filter(
                        pc.and_(
                            pc.is_in(batch.column("source_file"), files),
                            pc.is_in(batch.column("source_line"), lines),
                        )
                    ),
                )

    def replaced(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects that another one replaces."""
        return self._with(RARE["subjects"], "subjects", REPLACED)

    def persons(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects with their identifiers."""
        return self.landing.batches("subjects")

    def facts(self, persons: Mapping[str, str]) -> list[tuple[str, Iterable[pa.RecordBatch]]]:  # noqa: ARG002 - all are looked at
        """Return all rows that may be facts."""
        return [(table, self.landing.batches(table)) for table in FACTS]

    def relative_doses(self) -> Iterator[pa.RecordBatch]:
        """Yield the exposures dosed by body weight."""
        return self._with(RARE["exposures"], "exposures", DOSED)

    def weights(
        self,
        subjects: Collection[str | None],  # noqa: ARG002 - all are looked at
        merged: Mapping[str, str],  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        """Yield all body weights."""
        for batch in self.landing.batches("measurements"):
            yield batch.filter(pc.fill_null(pc.equal(batch.column("concept"), BODY_WEIGHT), False))

    def panels(self) -> Translation:
        """Return the rows of members with the rows of their panels."""
        if not self._members:
            return Translation.of({})
        return panels_of(pa.concat_arrays(self._members), pa.concat_arrays(self._panels))

    def change(self, settlement: Settlement) -> None:
        """Change the rows that have to change."""
        for table in SCHEMAS:
            if settlement.touches(table):
                batches = self.landing.batches(table)
                self.landing.replace(table, (settlement.apply(table, batch) for batch in batches))
        if settlement.dropped:
            self.landing.replace("receipts", corrected(self.landing.batches("receipts"), settlement.dropped))

    def early(self, merged: Mapping[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield what happened before its subject was born."""
        births: dict[str, int] = {}
        for batch in self._persons_of_rows(merged, "subject_id", "birth_at"):
            at = batch.column("birth_at").cast(pa.int64()).to_pylist()
            births |= {
                subject: born
                for subject, born in zip(batch.column("subject_id").to_pylist(), at, strict=True)
                if born is not None
            }
        for table in TIMES:
            early = self.horizon.before(table, births, merged)
            if not early:
                continue
            limits = {subject: births[subject] for subject in early}
            for batch in self.landing.batches(table):
                yield table, rows_before(batch, table, limits)

    def unknown_subjects(self, merged: Mapping[str, str]) -> set[str]:
        """Return the subjects of whom there are rows and no Patient."""
        known: set[str] = set()
        for batch in self._persons_of_rows(merged, "subject_id"):
            known.update(batch.column("subject_id").to_pylist())
        return {merged.get(subject, subject) for subject in self.horizon.subjects} - known

    def _persons_of_rows(self, merged: Mapping[str, str], *columns: str) -> Iterator[pa.RecordBatch]:
        """Yield columns of the subjects that rows of other tables are about."""
        subjects = {merged.get(subject, subject) for subject in self.horizon.subjects}
        if not subjects:
            return
        wanted = pa.array(subjects, pa.string())
        for batch in self.landing.batches("subjects", columns):
            yield batch.filter(pc.is_in(batch.column("subject_id"), wanted))

    def unreceived_encounters(self) -> Iterator[pa.RecordBatch]:
        """Yield an exposure of each Encounter that was not received; one that was set aside was received."""
        known: set[str] | None = None
        for batch in self.landing.batches("exposures", ENCOUNTERED):
            rows = batch
            if batch.column("encounter_id").null_count:
                rows = batch.filter(pc.is_valid(batch.column("encounter_id")))
            if not rows.num_rows:
                continue
            if known is None:
                known = self._received_encounters()
            # One look for each Encounter of the batch: an infusion's visit has many administrations.
            keys = _encounter_keys(rows.column("source"), rows.column("encounter_id")).dictionary_encode()
            names = keys.dictionary.to_pylist()
            firsts = np.searchsorted(np.maximum.accumulate(keys.indices.to_numpy()), np.arange(len(names)))
            new = [place for place, name in zip(firsts.tolist(), names, strict=True) if name not in known]
            known.update(names)
            if new:
                rows = rows.take(pa.array(new))
                lost = pc.match_substring_regex(rows.column("encounter_id"), NOT_TO_FIND)
                yield rows.filter(pc.invert(lost))

    def _received_encounters(self) -> set[str]:
        known: set[str] = set()
        if "Encounter" not in self.receipts.accounts():
            return known
        for batch in self.landing.batches("receipts", ["resource_type", "source", "resource_id"]):
            rows = batch.filter(pc.equal(batch.column("resource_type"), "Encounter"))
            keys = _encounter_keys(rows.column("source"), rows.column("resource_id"))
            known.update(keys.drop_null().to_pylist())
        return known

    def accounts(self, dropped: Iterable[tuple[str, Reason]]) -> dict[str, TypeAccount]:
        """Return the account of each type."""
        return self.receipts.accounts(dropped)

    def add_issues(self, batches: list[pa.RecordBatch]) -> None:
        """Add rows to the issues."""
        self.landing.replace("issues", chain(self.landing.batches("issues"), batches))

    def _with(self, column: str, table: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that have a value in a column."""
        if column not in self._valued:
            return
        for batch in self.landing.batches(table, columns):
            yield batch.filter(pc.is_valid(batch.column(column)))


def panels_of(members: pa.Array, panels: pa.Array) -> Translation:
    """Return the rows of members with the rows of their panels, which are of the same source.

    >>> found = panels_of(pa.array(["Observation/8"] * 2), pa.array(["b/Observation/7", "b/Observation/1"]))
    >>> found.keys[0].as_py(), found.values[0].as_py()
    ('b/Observation/8', 'b/Observation/1')
    """
    # A member of several panels is one of that whose name comes first, in whatever order they were read.
    order = pc.sort_indices(panels)
    names = panels.take(order)
    # 'hospital/Observation/7' names the panel; 'Observation/8' its member.
    sources = pc.list_element(pc.split_pattern(names, "/", max_splits=1), 0)
    return Translation(pc.binary_join_element_wise(sources, members.take(order), "/"), names)


def _encounter_keys(source: pa.Array, encounter_id: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(source, encounter_id, "/")
