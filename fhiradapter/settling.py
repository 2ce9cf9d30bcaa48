"""Settling: what can be said of a cohort only when every resource of every source was read."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import TIMES, Horizon, rows_before
from fhiradapter.cohort.issues import IssueRows
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.receipts import Place, Receipts, copies, corrected
from fhiradapter.cohort.same_facts import FACTS, same_facts, same_persons
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import NOT_TO_FIND, Settlement, Translation
from fhiradapter.cohort.versions import Verdict, judge
from fhiradapter.cohort.weights import BODY_WEIGHT, RelativeDose, Weight, absolute_doses, usable_weight
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.errors import AccountingError
from fhiradapter.reasons import Reason
from fhiradapter.store.landing import Landing

COPIES_AT_ONCE = 10_000  # resources that came several times, whose rows are compared in one pass


@dataclass(frozen=True)
class Settling:
    """Settles the rows in a landing; `sources` are in the order in which they are trusted."""

    landing: Landing
    run_id: str
    receipts: Receipts
    horizon: Horizon
    sources: tuple[str, ...]

    def settle(self, members: list[pa.Array], panels: list[pa.Array]) -> dict[str, TypeAccount]:
        """Change the rows that have to change, add the issues, and return the account of every type."""
        issues = IssueRows(self.run_id)
        verdict, kinds = self._versions(issues)
        merged = self._survivors(issues, verdict)
        if len(self.sources) > 1:
            merged |= self._across_sources(issues, verdict, kinds, merged)
        settlement = Settlement(
            dropped=verdict.dropped,
            renamed=verdict.differing,
            survivors=Translation.of(merged),
            panels=_panel_translation(members, panels),
            doses=self._doses(issues, verdict, merged),
        )
        for table in SCHEMAS:
            if settlement.touches(table):
                self.landing.replace(table, _settled(self.landing, table, settlement))
        if verdict.dropped:
            self.landing.replace("receipts", corrected(self.landing.batches("receipts"), verdict.dropped))
        self._early(issues, merged)
        self._orphans(issues, merged)
        self._missing_encounters(issues)
        return self._accounts(issues, verdict, kinds)

    def _accounts(
        self, issues: IssueRows, verdict: Verdict, kinds: dict[Place, str]
    ) -> dict[str, TypeAccount]:
        accounts = self.receipts.accounts((kinds[place], reason) for place, reason in verdict.dropped.items())
        for kind, account in accounts.items():
            if unread := account.ignored.get(Reason.TYPE_NOT_READ):
                issues.add(Reason.TYPE_NOT_READ, kind=kind, detail=f"{unread} received")
            if not account.balanced:
                raise AccountingError(f"{kind}: {account.received} received, and not all accounted for")
        if len(issues):
            self.landing.replace("issues", chain(self.landing.batches("issues"), issues.batches()))
        return accounts

    def _across_sources(
        self, issues: IssueRows, verdict: Verdict, kinds: dict[Place, str], merged: dict[str, str]
    ) -> dict[str, str]:
        """Link persons of several sources by identifier; of one fact keep what the first source sent."""
        order = list(self.sources)
        rows = [
            row
            for batch in self.landing.batches("subjects")
            for row in batch.select(
                ["subject_id", "source", "source_file", "source_line", "identifiers"]
            ).to_pylist()
            if _place(row) not in verdict.dropped
        ]
        persons = {
            later: merged.get(earlier, earlier) for later, earlier in same_persons(rows, order).items()
        }
        persons = {later: earlier for later, earlier in persons.items() if later != earlier}
        tables = [(table, self.landing.batches(table)) for table in FACTS]
        for place, kind in same_facts(tables, order, merged | persons, verdict.dropped).items():
            verdict.dropped[place] = Reason.SAME_FACT
            kinds[place] = kind
            issues.add(Reason.SAME_FACT, kind=kind, source=place.source, place=place)
        return persons

    def _versions(self, issues: IssueRows) -> tuple[Verdict, dict[Place, str]]:
        """Find resources that came several times; their rows are looked at again only when there are any."""
        repeated = self.receipts.repeated()
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
                    elif copy.place in verdict.outdated:
                        reason = Reason.OUTDATED
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

    def _doses(self, issues: IssueRows, verdict: Verdict, merged: dict[str, str]) -> Translation:
        doses: list[RelativeDose] = []
        for batch in self.landing.batches("exposures"):
            rows = batch.filter(pc.is_valid(batch.column("dose_cells_per_kg")))
            for row in rows.to_pylist():
                place = _place(row)
                if place not in verdict.dropped:
                    number = verdict.differing.get(place)
                    name = f"{row['row_id']}~{number}" if number else row["row_id"]
                    subject = merged.get(row["subject_id"], row["subject_id"])
                    doses.append(RelativeDose(name, subject, row["started_on"], row["dose_cells_per_kg"]))
        if not doses:
            return Translation.of({})
        found, missing = absolute_doses(doses, self._weights(verdict, merged))
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

    def _weights(self, verdict: Verdict, merged: dict[str, str]) -> Iterator[Weight]:
        concept = load_catalogue().concepts[BODY_WEIGHT]
        for batch in self.landing.batches("measurements"):
            rows = batch.filter(pc.fill_null(pc.equal(batch.column("concept"), BODY_WEIGHT), False))
            for row in rows.to_pylist():
                subject = merged.get(row["subject_id"], row["subject_id"])
                weight = usable_weight(row, subject=subject, low=concept.low, high=concept.high)
                if weight is not None and _place(row) not in verdict.dropped:
                    yield weight

    def _early(self, issues: IssueRows, merged: dict[str, str]) -> None:
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
            early = self.horizon.before(table, births, merged)
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
        for subject in sorted({merged.get(subject, subject) for subject in self.horizon.subjects} - known):
            issues.add(Reason.ORPHAN_SUBJECT, kind="Patient", identity=subject, subject=subject)

    def _missing_encounters(self, issues: IssueRows) -> None:
        """Say which Encounters of exposures were not received; one that was set aside was received."""
        missing: dict[tuple[str, str], Place] = {}
        for batch in self.landing.batches("exposures"):
            sent = batch.filter(pc.is_valid(batch.column("encounter_id")))
            elsewhere = pc.match_substring_regex(sent.column("encounter_id"), NOT_TO_FIND)
            for row in sent.filter(pc.invert(elsewhere)).to_pylist():
                missing.setdefault((row["source"], row["encounter_id"]), _place(row))
        if not missing:
            return
        for batch in self.landing.batches("receipts"):
            rows = batch.filter(pc.equal(batch.column("resource_type"), "Encounter"))
            for key in zip(
                rows.column("source").to_pylist(), rows.column("resource_id").to_pylist(), strict=True
            ):
                missing.pop(key, None)
        for (source, identity), place in sorted(missing.items()):
            issues.add(
                Reason.ORPHAN_REFERENCE, kind="Encounter", identity=identity, source=source, place=place
            )


def _panel_translation(members: list[pa.Array], panels: list[pa.Array]) -> Translation:
    """Return the rows of members with the rows of their panels, which are of the same source."""
    if not members:
        return Translation.of({})
    # A member of several panels is one of that whose name comes first, in whatever order they were read.
    names = pa.concat_arrays(panels)
    order = pc.sort_indices(names)
    names = names.take(order)
    # 'hospital/Observation/7' names the panel; 'Observation/8' its member.
    sources = pc.list_element(pc.split_pattern(names, "/", max_splits=1), 0)
    return Translation(
        pc.binary_join_element_wise(sources, pa.concat_arrays(members).take(order), "/"), names
    )


def _settled(landing: Landing, table: str, settlement: Settlement) -> Iterator[pa.RecordBatch]:
    for batch in landing.batches(table):
        yield settlement.apply(table, batch)


def _place(row: dict[str, Any]) -> Place:
    return Place(row["source"], row["source_file"], row["source_line"] or 0)
