"""Assembly: sources through the mapping kernel into a landing, and the settlement of what came of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import TIMES, Horizon, rows_before
from fhiradapter.cohort.issues import IssueRows
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.receipts import SCHEMA as RECEIPTS
from fhiradapter.cohort.receipts import Place, Receipts, copies
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import Settlement, Translation
from fhiradapter.cohort.versions import Verdict, judge
from fhiradapter.cohort.weights import RelativeDose, Weight, absolute_doses
from fhiradapter.engines.local import map_locally
from fhiradapter.errors import AccountingError
from fhiradapter.fhir.source import Source
from fhiradapter.mappers.collected import Later, MappedBatch
from fhiradapter.mappers.kernel import Kernel
from fhiradapter.reasons import Reason
from fhiradapter.store.landing import Landing
from fhiradapter.store.spool import Spool

LANDED = {**SCHEMAS, "receipts": RECEIPTS}
COPIES_AT_ONCE = 50_000  # resources that came several times, whose rows are compared in one pass
Progress = Callable[[int, int], None]
"""Called with the resources and the bytes that were read since the last call."""


@dataclass
class Assembly:
    """Makes one cohort in a landing: `add` each source, then `settle` once."""

    landing: Landing
    run_id: str
    progress: Progress | None = None
    _receipts: Receipts = field(default_factory=Receipts)
    _horizon: Horizon = field(default_factory=Horizon)
    _members: list[pa.Array] = field(default_factory=list)
    _panels: list[pa.Array] = field(default_factory=list)

    def add(self, source: Source, kernel: Kernel) -> None:
        """Map all of a source."""
        with Spool(Later) as waiting:
            map_locally(source.batches(), kernel, waiting, self._take)

    def settle(self) -> dict[str, TypeAccount]:
        """Say what can be said only now, and return the account of every type.

        Raises AccountingError when an account does not balance, which would be a fault of fhiradapter.
        """
        issues = IssueRows(self.run_id)
        verdict, kinds = self._versions(issues)
        merged = self._survivors(issues, verdict)
        settlement = Settlement(
            dropped=verdict.dropped,
            renamed=verdict.differing,
            survivors=Translation.of(merged),
            panels=self._panel_translation(),
            doses=self._doses(issues, verdict, merged),
        )
        for table in SCHEMAS:
            if settlement.touches(table):
                self.landing.replace(table, _settled(self.landing, table, settlement))
        self._early(issues)
        self._orphans(issues, merged)
        accounts = self._receipts.accounts(
            (kinds[place], reason) for place, reason in verdict.dropped.items()
        )
        for kind, account in accounts.items():
            if unread := account.ignored.get(Reason.TYPE_NOT_READ):
                issues.add(Reason.TYPE_NOT_READ, kind=kind, detail=f"{unread} received")
            if not account.balanced:
                raise AccountingError(f"{kind}: {account.received} received, and not all accounted for")
        if len(issues):
            self.landing.replace("issues", _with(self.landing, issues))
        return accounts

    def _take(self, mapped: MappedBatch, bytes_read: int) -> None:
        for table, batch in mapped.tables.items():
            self.landing.write(table, batch)
            self._horizon.add(table, batch)
        self.landing.write("receipts", mapped.receipts)
        self._receipts.add(mapped.receipts)
        if mapped.members:
            members, panels = zip(*mapped.members, strict=True)
            self._members.append(pa.array(members, pa.string()))
            self._panels.append(pa.array(panels, pa.string()))
        if self.progress is not None:
            self.progress(mapped.receipts.num_rows, bytes_read)

    def _versions(self, issues: IssueRows) -> tuple[Verdict, dict[Place, str]]:
        """Find resources that came several times; their rows are looked at again only when there are any."""
        repeated = self._receipts.repeated()
        verdict, kinds = Verdict(), {}
        for start in range(0, len(repeated), COPIES_AT_ONCE):
            groups = copies(
                self.landing.batches("receipts"), frozenset(repeated[start : start + COPIES_AT_ONCE])
            )
            content = self._contents({copy.place for group in groups.values() for copy in group})
            judge(groups.values(), content, verdict)
            for (source, kind, identity), group in groups.items():
                for copy in group:
                    reason = verdict.dropped.get(copy.place)
                    if copy.place in verdict.differing:
                        reason = Reason.SAME_VERSION_DIFFERS
                    if reason is not None:
                        kinds[copy.place] = kind
                        issues.add(reason, kind=kind, identity=identity, source=source, place=copy.place)
        return verdict, kinds

    def _contents(self, places: set[Place]) -> dict[Place, list[Any]]:
        """Return the mapped content of the resources at some places."""
        found: dict[Place, list[Any]] = {}
        files = pa.array({place.file for place in places}, pa.string())
        lines = pa.array({place.line for place in places}, pa.int32())
        for table in TIMES.keys() | {"subjects"}:
            for batch in self.landing.batches(table):
                rows = batch.filter(
                    pc.and_(
                        pc.is_in(batch.column("source_file"), files),
                        pc.is_in(batch.column("source_line"), lines),
                    )
                )
                for row in rows.to_pylist():
                    place = Place(row.pop("source"), row.pop("source_file"), row.pop("source_line"))
                    if place in places:
                        found.setdefault(place, []).append((table, row))
        return found

    def _survivors(self, issues: IssueRows, verdict: Verdict) -> dict[str, str]:
        replaced: dict[str, str] = {}
        for batch in self.landing.batches("subjects"):
            rows = batch.filter(pc.is_valid(batch.column("replaced_by")))
            replaced |= {
                row["subject_id"]: row["replaced_by"]
                for row in rows.to_pylist()
                if _place(row) not in verdict.dropped  # a newer version may have taken the merge back
            }
        found, circles = survivors(replaced)
        for subject in sorted(circles):
            issues.add(Reason.MERGE_CYCLE, kind="Patient", identity=subject, subject=subject)
        return found

    def _panel_translation(self) -> Translation:
        if not self._members:
            return Translation.of({})
        panels = pa.concat_arrays(self._panels)
        # 'hospital/Observation/7' names the panel; its member 'Observation/8' is of the same source.
        sources = pc.list_element(pc.split_pattern(panels, "/", max_splits=1), 0)
        members = pc.binary_join_element_wise(sources, pa.concat_arrays(self._members), "/")
        return Translation(members, panels)

    def _doses(self, issues: IssueRows, verdict: Verdict, merged: dict[str, str]) -> Translation:
        doses: list[RelativeDose] = []
        weights: list[Weight] = []
        for batch in self.landing.batches("exposures"):
            rows = batch.filter(pc.is_valid(batch.column("dose_cells_per_kg")))
            for row in rows.to_pylist():
                place, at = _place(row), _microseconds(row["started_at"])
                if place not in verdict.dropped:
                    number = verdict.differing.get(place)
                    name = f"{row['row_id']}~{number}" if number else row["row_id"]
                    subject = merged.get(row["subject_id"], row["subject_id"])
                    doses.append(RelativeDose(name, subject, at, row["dose_cells_per_kg"]))
        if not doses:
            return Translation.of({})
        for batch in self.landing.batches("measurements"):
            rows = batch.filter(pc.fill_null(pc.equal(batch.column("concept"), "body_weight"), False))
            weights.extend(
                Weight(
                    merged.get(row["subject_id"], row["subject_id"]),
                    _microseconds(row["measured_at"]),
                    row["value"],
                )
                for row in rows.to_pylist()
                if _place(row) not in verdict.dropped
            )
        found, missing = absolute_doses(doses, weights)
        subjects = {dose.row_id: dose.subject for dose in doses}
        for row_id in missing:
            issues.add(
                Reason.DOSE_WITHOUT_WEIGHT,
                kind="MedicationAdministration",
                identity=row_id.split("/", 2)[-1],
                subject=subjects[row_id],
                path="MedicationAdministration.dosage.dose",
            )
        return Translation.of(found)

    def _early(self, issues: IssueRows) -> None:
        """Flag what happened before its subject was born."""
        births: dict[str, int] = {}
        for batch in self.landing.batches("subjects"):
            at = batch.column("birth_at").cast(pa.int64()).to_pylist()
            births |= {
                subject: born
                for subject, born in zip(batch.column("subject_id").to_pylist(), at, strict=True)
                if subject is not None and born is not None
            }
        for table in TIMES:
            early = self._horizon.before(table, births)
            if not early:
                continue
            limits = {subject: births[subject] for subject in early}
            for batch in self.landing.batches(table):
                for row in rows_before(batch, table, limits).to_pylist():
                    issues.add(
                        Reason.BEFORE_BIRTH,
                        kind=row["resource_type"],
                        identity=row["resource_id"],
                        subject=row["subject_id"],
                        source=row["source"],
                        place=Place(row["source"], row["source_file"], row["source_line"]),
                        path=TIMES[table],
                    )

    def _orphans(self, issues: IssueRows, merged: dict[str, str]) -> None:
        known: set[str] = set()
        for batch in self.landing.batches("subjects"):
            known.update(batch.column("subject_id").to_pylist())
        for subject in sorted({merged.get(subject, subject) for subject in self._horizon.subjects} - known):
            issues.add(Reason.ORPHAN_SUBJECT, kind="Patient", identity=subject, subject=subject)


def _settled(landing: Landing, table: str, settlement: Settlement) -> Iterator[pa.RecordBatch]:
    for batch in landing.batches(table):
        yield settlement.apply(table, batch)


def _with(landing: Landing, issues: IssueRows) -> Iterator[pa.RecordBatch]:
    yield from landing.batches("issues")
    yield issues.batch()


def _place(row: dict[str, Any]) -> Place:
    return Place(row["source"], row["source_file"], row["source_line"] or 0)


def _microseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
