"""Holdings on Spark: rows are joined where they lie, and only what is exceptional comes to the driver."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa

from fhiradapter.cluster.counted import Counted, counted
from fhiradapter.cluster.keys import DEALT, OF_A_HAND, REPEATED, dealt, repeated
from fhiradapter.cluster.layout import BUCKET, Layout
from fhiradapter.cluster.mapped import KEYS, MAPPED, MEMBERS, Moves
from fhiradapter.cluster.rows import AT, KEY, LANDED, PANELS, Wanted, members, unpacked
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import TIMES
from fhiradapter.cohort.receipts import Place, Receipts, copies
from fhiradapter.cohort.same_facts import FACTS
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import NOT_TO_FIND, Settlement, Translation
from fhiradapter.cohort.weights import BODY_WEIGHT
from fhiradapter.engines.spark import frames, tables
from fhiradapter.engines.spark.frames import Condition, Rows, Session
from fhiradapter.holdings import Copies
from fhiradapter.reasons import Reason
from fhiradapter.store.landing import DISTINCT

WRITTEN_AT_ONCE = 4  # tables; small ones end while a large one is at its last parts
FILES = pa.schema([("source", pa.string()), ("source_file", pa.string())])


@dataclass
class SparkRows:
    """What was mapped, as values of bytes in a folder beside the cohort, and the cohort that is written."""

    spark: Session
    mapped: str
    """The folder of what was mapped."""
    cohort: str
    layout: Layout
    moves: Moves
    sources: tuple[int, ...]
    rows: Counter[str]
    """How many rows each table has, resources that wait and members of panels among them."""
    receipts: Receipts
    _settlement: Settlement = field(default_factory=Settlement)
    _issues: list[pa.RecordBatch] = field(default_factory=list)

    def repeated(self) -> Iterator[Copies]:
        """Yield the receipts of resources that came several times, all at once: each look reads all."""
        hands = -(-self.rows[KEYS] // OF_A_HAND)
        if not hands:
            return
        sent = self._sent(KEYS)
        hand = frames.by_number(frames.mapped(sent, dealt, (self.moves, hands), DEALT), "hand", hands)
        several = frames.mapped(hand, repeated, None, REPEATED).persist()
        try:
            if several.isEmpty():
                return
            whole = self._unpacked("receipts", placed=True, keyed=True)
            found = self._home(whole.join(several, frames.sql(f"{KEY} = key"), "left_semi"), "receipts")
        finally:
            several.unpersist()
        receipts = Receipts()
        for batch in found:
            receipts.add(batch)
        yield copies(found, frozenset(receipts.repeated()), self._files(found))

    def at(self, places: Collection[Place]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield the rows of the resources at some places."""
        if not places:
            return
        sources, files, lines = zip(*places, strict=True)
        wanted = frames.frame(
            self.spark,
            pa.table({"source": sources, "source_file": files, "line": pa.array(lines, pa.int32())}),
        ).selectExpr("source AS s", "source_file AS f", "line AS l")
        same = "source = s AND source_file = f AND coalesce(source_line, 0) = l"
        for table in filter(self.rows.__getitem__, TIMES.keys() | {"subjects"}):
            for batch in self._home(
                self._unpacked(table, placed=True).join(wanted, frames.sql(same), "left_semi"), table
            ):
                yield table, batch

    def replaced(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects that another one replaces."""
        return self._where("subjects", "replaced_by IS NOT NULL")

    def persons(self) -> Iterator[pa.RecordBatch]:
        """Yield the subjects with their identifiers."""
        return self._where("subjects", "true")

    def facts(self, persons: Mapping[str, str]) -> list[tuple[str, Iterable[pa.RecordBatch]]]:
        """Return the rows of resources that share a person and a moment with one of another source."""
        known = self._pairs(persons)
        said, alike = {}, []
        for table in FACTS:
            when = FACTS[table][0]
            rows = self._unpacked(table, placed=True).join(
                known, frames.sql("subject_id = key"), "left_outer"
            )
            said[table] = rows.selectExpr("*", "coalesce(value_, subject_id) AS person", f"{when} AS moment")
            both = (
                said[table]
                .where("moment IS NOT NULL")
                .groupBy("person", "moment")
                .agg(frames.sql("count(DISTINCT source) AS sources"))
                .where("sources > 1")
                .selectExpr("person AS p", "moment AS m")
            )
            alike.append(
                said[table]
                .join(both, frames.sql("person <=> p AND moment = m"), "left_semi")
                .selectExpr("source AS s", "source_file AS f", "source_line AS l")
            )
        places = reduce(lambda one, other: one.union(other), alike).distinct()
        same = frames.sql("source = s AND source_file = f AND source_line <=> l")
        return [(table, self._home(said[table].join(places, same, "left_semi"), table)) for table in FACTS]

    def relative_doses(self) -> Iterator[pa.RecordBatch]:
        """Yield the exposures dosed by body weight."""
        return self._where("exposures", "dose_cells_per_kg IS NOT NULL")

    def weights(
        self, subjects: Collection[str | None], merged: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the body weights of some subjects, or of records that are merged into theirs."""
        wanted = {subject for subject in subjects if subject is not None}
        wanted |= {replaced for replaced, survivor in merged.items() if survivor in wanted}
        persons = frames.frame(self.spark, pa.table({"person": pa.array(sorted(wanted), pa.string())}))
        rows = self._unpacked("measurements", placed=True).where(f"concept = '{BODY_WEIGHT}'")
        yield from self._home(
            rows.join(persons, frames.sql("subject_id = person"), "left_semi"), "measurements"
        )

    def panels(self) -> Translation:
        """Return nothing: members find their panels in a join, however many there are."""
        return Translation.of({})

    def change(self, settlement: Settlement) -> None:
        """Write the tables as settlement leaves them, but for the issues."""
        self._settlement = settlement
        with ThreadPoolExecutor(WRITTEN_AT_ONCE) as beside:
            list(beside.map(self._write, [table for table in LANDED if table != "issues"]))

    def early(self, merged: Mapping[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:  # noqa: ARG002 - the written rows know
        """Yield what happened before its subject was born; mostly nothing, which what is written tells."""
        filled = [table for table in TIMES if self.rows[table]]
        if not filled or not self.rows["subjects"]:
            return
        births = (
            self._unpacked("subjects", settled=True, placed=True)
            .where("birth_at IS NOT NULL AND subject_id IS NOT NULL")
            .groupBy("subject_id")
            .agg(frames.sql(f"max_by(birth_at, {AT}) AS born"))
            .withColumnRenamed("subject_id", "person")
            .persist()
        )
        try:
            for table in self._early_tables(filled, births):
                rows = self._unpacked(table, settled=True, placed=True)
                for batch in self._home(rows.join(births, _before_birth(table), "left_semi"), table):
                    yield table, batch
        finally:
            births.unpersist()

    def unknown_subjects(self, merged: Mapping[str, str]) -> set[str]:
        """Return the subjects of whom there are rows and no Patient, rows that a copy replaced among them."""
        named = [self._named(self._subjects_of_dropped(merged))]
        named += [self._written(table).select("subject_id") for table in TIMES if self.rows[table]]
        return self._unknown_among(reduce(lambda one, other: one.union(other), named))

    def unreceived_encounters(self) -> Iterator[pa.RecordBatch]:
        """Yield the exposures whose Encounter was not received; one that was set aside was received."""
        if not self.rows["exposures"]:
            return
        received = self._written("receipts").where("resource_type = 'Encounter'")
        sent = self._written("exposures").where(
            f"encounter_id IS NOT NULL AND NOT encounter_id RLIKE r'{NOT_TO_FIND}'"
        )
        missing = (
            sent.selectExpr("source AS s", "encounter_id AS e")
            .distinct()
            .join(
                received.selectExpr("source AS rs", "resource_id AS re"),
                frames.sql("s = rs AND e = re"),
                "left_anti",
            )
            .persist()
        )
        try:
            if not missing.isEmpty():
                rows = self._unpacked("exposures", settled=True, placed=True)
                same = frames.sql("source = s AND encounter_id = e")
                yield from self._home(rows.join(missing, same, "left_semi"), "exposures")
        finally:
            missing.unpersist()

    def accounts(self, dropped: Iterable[tuple[str, Reason]]) -> dict[str, TypeAccount]:
        """Return the account of each type."""
        return self.receipts.accounts(dropped)

    def add_issues(self, batches: list[pa.RecordBatch]) -> None:
        """Add rows to the issues, which `close` writes."""
        self._issues += batches

    def close(self) -> None:
        """Write the issues, which everything else could add to."""
        self._write("issues")

    def counted(self) -> Counted:
        """Return what the tables hold."""
        return counted({table: self._written(table) for table in SCHEMAS})

    def _early_tables(self, filled: list[str], births: Rows) -> list[str]:
        """Return the tables with rows from before their subject was born."""
        early = reduce(
            lambda one, other: one.union(other),
            [
                self._written(table)
                .join(births, _before_birth(table), "left_semi")
                .selectExpr(f"'{table}' AS name")
                .distinct()
                for table in filled
            ],
        )
        names = {row["name"] for row in early.collect()}
        return [table for table in filled if table in names]

    def _subjects_of_dropped(self, merged: Mapping[str, str]) -> set[str]:
        """Return the subjects of rows that a copy replaced."""
        return {
            merged.get(subject, subject)
            for table, batch in self.at(self._settlement.dropped)
            if table in TIMES
            for subject in batch.column("subject_id").to_pylist()
            if subject is not None
        }

    def _named(self, subjects: Collection[str]) -> Rows:
        return frames.frame(self.spark, pa.table({"subject_id": pa.array(sorted(subjects), pa.string())}))

    def _unknown_among(self, named: Rows) -> set[str]:
        """Return those of some subjects of whom there is no Patient."""
        known = self._written("subjects").selectExpr("subject_id AS known")
        subjects = named.where("subject_id IS NOT NULL").distinct()
        unknown = subjects.join(known, frames.sql("subject_id = known"), "left_anti")
        return {row["subject_id"] for row in unknown.collect()}

    def _write(self, table: str) -> None:
        rows = self._unpacked(table, settled=True)
        if table == "measurements" and self.rows[MEMBERS]:
            rows = self._with_panels(rows)
        if table == "issues" and self._issues:
            schema = Wanted(table, self.moves, self.sources, tuple(SCHEMAS[table].names)).schema
            added = pa.Table.from_batches(self._issues).cast(schema)
            rows = rows.union(frames.frame(self.spark, added))
        filled = bool(self.rows[table] or (table == "issues" and self._issues))
        tables.write(
            rows,
            f"{self.cohort}/{table}.parquet",
            format=self.layout.format,
            # A table without rows has a file nevertheless, which says what its columns are.
            bucket=BUCKET if table != "receipts" and filled else None,
            buckets=self.layout.buckets or 1,
            distinct=[name for name in LANDED[table].names if DISTINCT.fullmatch(name)],
        )

    def _with_panels(self, rows: Rows) -> Rows:
        names = SCHEMAS["measurements"].names
        chosen = [
            "coalesce(panel, parent_id) AS parent_id" if name == "parent_id" else name for name in names
        ]
        joined = rows.join(self._panels_of_members(), frames.sql("row_id = member"), "left_outer")
        return joined.selectExpr(*chosen)

    def _panels_of_members(self) -> Rows:
        """Return the row of each member with that of its panel, of several that whose name comes first."""
        found = frames.mapped(self._sent(MEMBERS), members, self.moves, PANELS)
        return found.groupBy("member").agg(frames.sql("min(panel) AS panel"))

    def _unpacked(
        self, table: str, *columns: str, settled: bool = False, placed: bool = False, keyed: bool = False
    ) -> Rows:
        """Return the rows of a table, or some of its columns."""
        wanted = Wanted(
            table,
            self.moves,
            self.sources,
            columns or tuple(LANDED[table].names),
            self._settlement if settled else None,
            placed,
            keyed,
        )
        if not self.rows[table]:
            return frames.frame(self.spark, wanted.schema.empty_table())
        return frames.mapped(self._sent(table), unpacked, wanted, wanted.schema)

    def _sent(self, *kinds: str) -> Rows:
        chosen = ", ".join(f"'{kind}'" for kind in kinds)
        return frames.read_payloads(self.spark, self.mapped, MAPPED).where(f"kind IN ({chosen})")

    def _where(self, table: str, condition: str) -> Iterator[pa.RecordBatch]:
        if self.rows[table]:
            yield from self._home(self._unpacked(table, placed=True).where(condition), table)

    def _home(self, rows: Rows, table: str) -> list[pa.RecordBatch]:
        """Bring rows to the driver, in the order in which one process would have written them."""
        schema = pa.schema([*LANDED[table], pa.field(AT, pa.binary())])
        found = frames.home(rows, schema).sort_by(AT).select(LANDED[table].names)
        batches: list[pa.RecordBatch] = found.combine_chunks().to_batches()
        return batches

    def _files(self, found: list[pa.RecordBatch]) -> list[tuple[str, str]]:
        """Return the files of some receipts, in the order in which their first receipts were read."""
        names = pa.Table.from_batches(found).select(FILES.names).group_by(FILES.names).aggregate([])
        if names.num_rows == 1:
            return [(names["source"][0].as_py(), names["source_file"][0].as_py())]
        wanted = frames.frame(self.spark, names).selectExpr("source AS s", "source_file AS f")
        every = self._unpacked("receipts", "source", "source_file", placed=True)
        first = (
            every.join(wanted, frames.sql("source = s AND source_file = f"), "left_semi")
            .groupBy(*FILES.names)
            .agg(frames.sql(f"min({AT}) AS {AT}"))
        )
        rows = frames.home(first, pa.schema([*FILES, pa.field(AT, pa.binary())])).sort_by(AT).to_pylist()
        return [(row["source"], row["source_file"]) for row in rows]

    def _pairs(self, meanings: Mapping[str, str]) -> Rows:
        pairs = {"key": list(meanings), "value_": list(meanings.values())}
        return frames.frame(
            self.spark, pa.table(pairs, pa.schema([("key", pa.string()), ("value_", pa.string())]))
        )

    def _written(self, table: str) -> Rows:
        return tables.read(self.spark, f"{self.cohort}/{table}.parquet", self.layout.format, LANDED[table])


def _before_birth(table: str) -> Condition:
    return frames.sql(f"subject_id = person AND {TIMES[table]} < born")
