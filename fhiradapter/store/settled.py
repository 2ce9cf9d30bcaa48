"""Settlement in a store: what several resources say together, applied to the rows that it changes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from fhiradapter.cohort.horizon import TIMES
from fhiradapter.cohort.issues import IssueRows
from fhiradapter.cohort.merges import survivors
from fhiradapter.cohort.receipts import Place
from fhiradapter.cohort.same_facts import FACTS, same_facts, same_persons
from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.cohort.settlement import NOT_TO_FIND
from fhiradapter.cohort.weights import BODY_WEIGHT, RelativeDose, Weight, absolute_doses, usable_weight
from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.reasons import Reason
from fhiradapter.store.database import Database

OF_SUBJECTS = tuple(table for table in SCHEMAS if table != "subjects")
STATES = {"hidden": Reason.HIDDEN, "access_lost": Reason.ACCESS_LOST}
SETTLED = "settled"  # the last commit that was settled
CHANGED = "settlement"  # what settlement made of rows that the mapping did not
SUBJECTS, ASIDE, PANELS, DOSES = "subjects", "aside", "panels", "doses"


def settle(database: Database, run_id: str, sources: Sequence[str]) -> None:
    """Bring every row to what is known now, and write the issues anew when they are others.

    `sources` are in the order in which they are trusted. Merges, panels and doses that were taken back leave
    what the mapping said.
    """
    issues = IssueRows(run_id)
    merged = _merges(database, issues)
    aside: dict[Place, str] = {}
    if len(sources) > 1:
        persons, aside = _across_sources(database, list(sources), merged, issues)
        merged |= persons
    before = _changed_before(database)
    members = database.value("SELECT 1 FROM base.members LIMIT 1")
    if merged or SUBJECTS in before:
        _translate(database, merged)
    if aside or ASIDE in before:
        _set_aside(database, aside)
    if members or PANELS in before:
        _panels(database)
    doses = _doses(database, issues, changed=DOSES in before)
    _early(database, issues)
    _orphans(database, issues)
    _missing_encounters(database, issues)
    _versions(database, issues)
    _unread_types(database, issues)
    _write(database, issues)
    now = {SUBJECTS: merged, ASIDE: aside, PANELS: members, DOSES: doses}
    database.set_meta(CHANGED, " ".join(kind for kind, found in now.items() if found))


def _changed_before(database: Database) -> set[str]:
    """Return what the last settlement made of rows; rows come as they were mapped, so no other can be."""
    changed = database.meta(CHANGED)
    if changed is None:
        return {SUBJECTS, ASIDE, PANELS, DOSES} if database.meta(SETTLED) else set()
    return set(changed.split())


def _merges(database: Database, issues: IssueRows) -> dict[str, str]:
    replaced = dict(
        database.rows(
            "SELECT subject_id, mapped_replaced_by FROM base.subjects WHERE mapped_replaced_by IS NOT NULL"
            " ORDER BY row_id"
        )
    )
    found, circles = survivors(replaced)
    for subject in sorted(circles):
        issues.add(Reason.MERGE_CYCLE, kind="Patient", identity=subject, subject=subject)
    return found


def _across_sources(
    database: Database, order: list[str], merged: Mapping[str, str], issues: IssueRows
) -> tuple[dict[str, str], dict[Place, str]]:
    """Link persons of several sources, and find what a less trusted source says a second time."""
    columns = "subject_id, source, identifiers"
    rows = database.table(f"SELECT {columns} FROM base.subjects ORDER BY row_id").to_pylist()
    known = [row for row in rows if row["source"] in order]
    persons = {later: merged.get(earlier, earlier) for later, earlier in same_persons(known, order).items()}
    persons = {later: earlier for later, earlier in persons.items() if later != earlier}
    everybody = {**merged, **persons}
    linked = pa.table({"subject": pa.array({*everybody, *everybody.values()}, pa.string())})
    with database.given(linked=linked):
        tables = [(table, _facts(database, table)) for table in FACTS]
    alike = same_facts(tables, order, everybody, {})
    for place, kind in sorted(alike.items()):
        issues.add(Reason.SAME_FACT, kind=kind, source=place.source, place=place)
    return persons, dict.fromkeys(alike, Reason.SAME_FACT.value)


def _facts(database: Database, table: str) -> list[pa.RecordBatch]:
    """Return the rows of linked subjects as the mapping made them; nobody else is in two sources."""
    mapped = "mapped_dose_cells AS dose_cells" if table == "exposures" else "mapped_parent_id AS parent_id"
    found: list[pa.RecordBatch] = database.table(
        f"SELECT * REPLACE (mapped_subject_id AS subject_id, {mapped}) FROM base.{table}"
        " SEMI JOIN linked ON mapped_subject_id = subject"
    ).to_batches()
    return found


def _translate(database: Database, merged: Mapping[str, str]) -> None:
    """Give rows to the subject that survives, and back to their own where nothing replaces it any more."""
    meaning = pa.table(
        {"old": pa.array(list(merged), pa.string()), "wanted": pa.array(list(merged.values()), pa.string())}
    )
    with database.given(meaning=meaning):
        _change(
            database,
            "subjects",
            "replaced_by",
            "coalesce(wanted, mapped_replaced_by)",
            "meaning ON old = t.subject_id",
        )
        for table in OF_SUBJECTS:
            wanted = "coalesce(wanted, mapped_subject_id)"
            _change(database, table, "subject_id", wanted, "meaning ON old = t.mapped_subject_id")


def _set_aside(database: Database, aside: Mapping[Place, str]) -> None:
    places = list(aside)
    told = pa.table(
        {
            "told_source": pa.array([place.source for place in places], pa.string()),
            "told_file": pa.array([place.file for place in places], pa.string()),
            "told_line": pa.array([place.line for place in places], pa.int32()),
            "wanted": pa.array(list(aside.values()), pa.string()),
        }
    )
    join = "told ON told_source = t.source AND told_file = t.source_file AND told_line = t.source_line"
    with database.given(told=told):
        for table in SCHEMAS:
            _change(database, table, "set_aside", "wanted", join)


def _panels(database: Database) -> None:
    """Lead members to their panel; one of several panels to that whose name comes first."""
    panels = "SELECT concat(source, '/', member) AS member_row, min(panel) AS wanted FROM base.members"
    join = f"({panels} GROUP BY ALL) m ON member_row = t.row_id"
    _change(database, "measurements", "parent_id", "coalesce(wanted, mapped_parent_id)", join)


def _doses(database: Database, issues: IssueRows, *, changed: bool) -> bool:
    """Compute doses per kilogram; return whether there are any."""
    doses = [
        RelativeDose(*row)
        for row in database.rows(
            "SELECT row_id, subject_id, started_on, dose_cells_per_kg FROM base.exposures"
            " WHERE set_aside IS NULL AND dose_cells_per_kg IS NOT NULL ORDER BY row_id"
        )
    ]
    if not doses and not changed:
        return False
    found, missing = absolute_doses(doses, _weights(database) if doses else ())
    subjects = {dose.row_id: dose.subject for dose in doses}
    for row_id in missing:
        issues.add(
            Reason.DOSE_WITHOUT_WEIGHT,
            kind="MedicationAdministration",
            identity=row_id.split("/", 2)[-1],
            subject=subjects[row_id],
            path="MedicationAdministration.dosage.dose",
        )
    told = pa.table(
        {"told": pa.array(list(found), pa.string()), "wanted": pa.array(found.values(), pa.float64())}
    )
    with database.given(doses=told):
        wanted = "coalesce(wanted, mapped_dose_cells)"
        _change(database, "exposures", "dose_cells", wanted, "doses ON told = t.row_id")
    return bool(doses)


def _weights(database: Database) -> Iterator[Weight]:
    concept = load_catalogue().concepts[BODY_WEIGHT]
    rows = database.table(
        "SELECT subject_id, status, comparator, measured_precision, value, measured_on, measured_at"
        " FROM measurements WHERE concept = ? AND subject_id IN"
        " (SELECT subject_id FROM exposures WHERE dose_cells_per_kg IS NOT NULL)",
        [BODY_WEIGHT],
    )
    for row in rows.to_pylist():
        weight = usable_weight(row, subject=row["subject_id"], low=concept.low, high=concept.high)
        if weight is not None:
            yield weight


def _early(database: Database, issues: IssueRows) -> None:
    """Flag what happened before its subject was born."""
    query = " UNION ALL ".join(
        "SELECT t.resource_type, t.resource_id, t.subject_id, t.source, t.source_file, t.source_line,"
        f" '{when}' FROM base.{table} t JOIN base.subjects s ON s.subject_id = t.subject_id"
        f" WHERE t.{when} < s.birth_at AND t.set_aside IS NULL AND s.set_aside IS NULL"
        for table, when in TIMES.items()
    )
    for kind, identity, subject, source, file, line, path in database.rows(query):
        issues.add(
            Reason.BEFORE_BIRTH,
            kind=kind,
            identity=identity,
            subject=subject,
            source=source,
            place=Place(source, file, line) if file else None,
            path=path,
        )


def _orphans(database: Database, issues: IssueRows) -> None:
    everybody = " UNION ALL ".join(
        f"SELECT subject_id FROM base.{table} WHERE set_aside IS NULL AND subject_id IS NOT NULL"
        for table in TIMES
    )
    query = (
        f"SELECT DISTINCT subject_id FROM ({everybody})"
        " ANTI JOIN (FROM base.subjects WHERE set_aside IS NULL) USING (subject_id) ORDER BY ALL"
    )
    for (subject,) in database.rows(query):
        issues.add(Reason.ORPHAN_SUBJECT, kind="Patient", identity=subject, subject=subject)


def _missing_encounters(database: Database, issues: IssueRows) -> None:
    """Say which Encounters of exposures were not received; one that was set aside was received."""
    rows = database.rows(
        "SELECT e.source, e.encounter_id, min((e.source_file, e.source_line)) FROM base.exposures e"
        " LEFT JOIN base.resources r ON r.source = e.source AND r.resource_type = 'Encounter'"
        "     AND r.resource_id = e.encounter_id AND r.state NOT IN ('deleted', 'gone')"
        " WHERE e.set_aside IS NULL AND e.encounter_id IS NOT NULL AND r.resource_id IS NULL"
        "     AND NOT regexp_matches(e.encounter_id, ?) GROUP BY ALL ORDER BY ALL",
        [NOT_TO_FIND],
    )
    for source, identity, place in rows:
        issues.add(
            Reason.ORPHAN_REFERENCE,
            kind="Encounter",
            identity=identity,
            source=source,
            place=Place(source, *_parts(place)),
        )


def _versions(database: Database, issues: IssueRows) -> None:
    """Flag what is shown though a newer version cannot be read, though it differs or is hidden."""
    conditions = {
        Reason.OUTDATED: "fate = 'quarantined' AND shown_fate = 'mapped'",
        Reason.SAME_VERSION_DIFFERS: "differs AND state NOT IN ('deleted', 'gone')",
        **{reason: f"state = '{state}'" for state, reason in STATES.items()},
    }
    # Each by itself: what no block of rows has is then not looked for in any.
    query = " UNION ALL ".join(
        f"SELECT '{reason}', resource_type, resource_id, source, shown_file, shown_line FROM base.resources"
        f" WHERE {condition}"
        for reason, condition in conditions.items()
    )
    for reason, kind, identity, source, file, line in database.rows(query):
        place = Place(source, file, line) if file else None
        issues.add(Reason(reason), kind=kind, identity=identity, source=source, place=place)


def _unread_types(database: Database, issues: IssueRows) -> None:
    for kind, count in database.rows(
        "SELECT resource_type, count(*) FROM base.resources"
        " WHERE reason = ? AND state NOT IN ('deleted', 'gone') GROUP BY ALL ORDER BY ALL",
        [Reason.TYPE_NOT_READ.value],
    ):
        issues.add(Reason.TYPE_NOT_READ, kind=kind, detail=f"{count} received")


def _change(database: Database, table: str, column: str, wanted: str, join: str) -> None:
    """Set a column where it is not what it should be; nearly always it is everywhere."""
    differing = database.table(
        f"SELECT t.rowid AS place, {wanted} AS wanted FROM base.{table} t LEFT JOIN {join}"
        f" WHERE t.{column} IS DISTINCT FROM {wanted}"
    )
    if differing.num_rows:
        with database.given(differing=differing):
            database.execute(
                f"UPDATE base.{table} t SET {column} = d.wanted FROM differing d WHERE t.rowid = d.place"
            )


def _write(database: Database, issues: IssueRows) -> None:
    """Write the issues when they are not those that are there; they are numbered in a fixed order."""
    schema = SCHEMAS["issues"]
    found = pa.Table.from_batches(issues.batches(), schema)
    names = ["reason", "source", "resource_type", "resource_id", "subject_id", "path", "detail"]
    found = found.sort_by([(name, "ascending") for name in (*names, "source_file", "source_line")])
    numbers = [f"settlement#issue-{number}" for number in range(1, len(found) + 1)]
    found = found.set_column(0, schema.field("row_id"), pa.array(numbers, pa.string()))
    compared = [name for name in schema.names if name != "run_id"]
    columns = ", ".join(compared)
    known = database.table(f"SELECT {columns} FROM base.settlement_issues")
    if len(known) == len(found):
        known = known.cast(pa.schema([schema.field(name) for name in compared]))
        if known.sort_by("row_id").equals(found.select(compared).sort_by("row_id")):
            return
    with database.given(found=found):
        database.execute("DELETE FROM base.settlement_issues")
        database.execute("INSERT INTO base.settlement_issues FROM found")


def _parts(place: Any) -> tuple[str, int]:
    values = tuple(place.values()) if isinstance(place, dict) else tuple(place)
    return values[0], values[1]
