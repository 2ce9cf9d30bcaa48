"""Settling: what can be said of a cohort only when every resource of every source was read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.horizon import TIMES
from fhiradapter.cohort.issues import IssueRows
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.receipts import Place
from fhiradapter.cohort.same_facts import same_facts, same_persons
from fhiradapter.cohort.settlement import Settlement, Translation
from fhiradapter.cohort.versions import Verdict, judge
from fhiradapter.cohort.weights import BODY_WEIGHT, RelativeDose, Weight, absolute_doses, usable_weight
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.errors import AccountingError
from fhiradapter.holdings import Holdings
from fhiradapter.reasons import Reason


@dataclass(frozen=True)
class Settling:
    """Settles what was mapped; `sources` are in the order in which they are trusted."""

    holdings: Holdings
    run_id: str
    sources: tuple[str, ...]

    def settle(self) -> dict[str, TypeAccount]:
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
            panels=self.holdings.panels(),
            doses=self._doses(issues, verdict, merged),
        )
        self.holdings.change(settlement)
        self._early(issues, merged)
        self._orphans(issues, merged)
        self._missing_encounters(issues)
        return self._accounts(issues, verdict, kinds)

    def _accounts(
        self, issues: IssueRows, verdict: Verdict, kinds: dict[Place, str]
    ) -> dict[str, TypeAccount]:
        dropped = ((kinds[place], reason) for place, reason in verdict.dropped.items())
        accounts = self.holdings.accounts(dropped)
        for kind, account in accounts.items():
            if unread := account.ignored.get(Reason.TYPE_NOT_READ):
                issues.add(Reason.TYPE_NOT_READ, kind=kind, detail=f"{unread} received")
            if not account.balanced:
                raise AccountingError(f"{kind}: {account.received} received, and not all accounted for")
        if len(issues):
            self.holdings.add_issues(issues.batches())
        return accounts

    def _across_sources(
        self, issues: IssueRows, verdict: Verdict, kinds: dict[Place, str], merged: dict[str, str]
    ) -> dict[str, str]:
        """Link persons of several sources by identifier; of one fact keep what the first source sent."""
        order = list(self.sources)
        rows = [
            row
            for batch in self.holdings.persons()
            for row in batch.select(
                ["subject_id", "source", "source_file", "source_line", "identifiers"]
            ).to_pylist()
            if _place(row) not in verdict.dropped
        ]
        persons = {
            later: merged.get(earlier, earlier) for later, earlier in same_persons(rows, order).items()
        }
        persons = {later: earlier for later, earlier in persons.items() if later != earlier}
        known = merged | persons
        for place, kind in same_facts(self.holdings.facts(known), order, known, verdict.dropped).items():
            verdict.dropped[place] = Reason.SAME_FACT
            kinds[place] = kind
            issues.add(Reason.SAME_FACT, kind=kind, source=place.source, place=place)
        return persons

    def _versions(self, issues: IssueRows) -> tuple[Verdict, dict[Place, str]]:
        """Find resources that came several times; their rows are looked at again only when there are any."""
        verdict, kinds = Verdict(), {}
        for groups in self.holdings.repeated():
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
        for table, rows in self.holdings.at(places):
            for row in rows.to_pylist():
                place = Place(row.pop("source"), row.pop("source_file"), row.pop("source_line"))
                if place in places:
                    found.setdefault(place, []).append((table, row))
        return found

    def _survivors(self, issues: IssueRows, verdict: Verdict) -> dict[str, str]:
        replaced: dict[str, str] = {}
        for rows in self.holdings.replaced():
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
        for rows in self.holdings.relative_doses():
            for row in rows.to_pylist():
                place = _place(row)
                if place not in verdict.dropped:
                    number = verdict.differing.get(place)
                    name = f"{row['row_id']}~{number}" if number else row["row_id"]
                    subject = merged.get(row["subject_id"], row["subject_id"])
                    doses.append(RelativeDose(name, subject, row["started_on"], row["dose_cells_per_kg"]))
        if not doses:
            return Translation.of({})
        subjects = {dose.row_id: dose.subject for dose in doses}
        found, missing = absolute_doses(doses, self._weights(set(subjects.values()), verdict, merged))
        for row_id in missing:
            issues.add(
                Reason.DOSE_WITHOUT_WEIGHT,
                kind="MedicationAdministration",
                identity=row_id.split("/", 2)[-1],
                subject=subjects[row_id],
                path="MedicationAdministration.dosage.dose",
            )
        return Translation.of(found)

    def _weights(
        self, subjects: set[str | None], verdict: Verdict, merged: dict[str, str]
    ) -> Iterator[Weight]:
        concept = load_catalogue().concepts[BODY_WEIGHT]
        for rows in self.holdings.weights(subjects, merged):
            for row in rows.to_pylist():
                subject = merged.get(row["subject_id"], row["subject_id"])
                weight = usable_weight(row, subject=subject, low=concept.low, high=concept.high)
                if weight is not None and _place(row) not in verdict.dropped:
                    yield weight

    def _early(self, issues: IssueRows, merged: dict[str, str]) -> None:
        """Flag what happened before its subject was born."""
        for table, rows in self.holdings.early(merged):
            for row in rows.to_pylist():
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
        for subject in sorted(self.holdings.unknown_subjects(merged)):
            issues.add(Reason.ORPHAN_SUBJECT, kind="Patient", identity=subject, subject=subject)

    def _missing_encounters(self, issues: IssueRows) -> None:
        """Say which Encounters of exposures were not received."""
        missing: dict[tuple[str, str], Place] = {}
        for rows in self.holdings.unreceived_encounters():
            for row in rows.to_pylist():
                missing.setdefault((row["source"], row["encounter_id"]), _place(row))
        for (source, identity), place in sorted(missing.items()):
            issues.add(
                Reason.ORPHAN_REFERENCE, kind="Encounter", identity=identity, source=source, place=place
            )


def _place(row: dict[str, Any]) -> Place:
    return Place(row["source"], row["source_file"], row["source_line"] or 0)
