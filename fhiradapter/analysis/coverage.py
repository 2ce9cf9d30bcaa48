"""What the safety tables rest on: which sources were read, and over which days."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.population import places
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.reasons import Reason
from fhiradapter.results import Coverage

NOT_READ = "not read: absence is not zero events"
LATEST_POSSIBLE = np.datetime64("9999-01-01")  # 9999-12-30 and the like mean "open-ended"

# Source -> its table, the column of its day, and the kind of its rows; None for all of the table.
SOURCES: dict[str, tuple[str, str, str | None]] = {
    "AdverseEvent": ("events", "started_on", "adverse_event"),
    "Condition": ("events", "started_on", "condition"),
    "Observation (labs)": ("measurements", "measured_on", "lab"),
    "Observation (vitals)": ("measurements", "measured_on", "vital"),
    "MedicationAdministration": ("exposures", "started_on", None),
    "Encounter": ("encounters", "started_on", None),
}
# Other ways to record medication; what comes as one of these types has no place in the cohort.
UNREAD_MEDICATION = ("MedicationStatement", "MedicationRequest")


@dataclass(frozen=True)
class CoverageRows:
    """How many rows and subjects each source has among some subjects, and its first and last day, if any."""

    rows: Counter[str]
    subjects: Counter[str]
    days: dict[str, npt.NDArray[np.datetime64]]


def derive_coverage(cohort: Cohort, timeline: pd.DataFrame) -> dict[str, Coverage]:
    """Return for each source whether it was read, how much came, and the first and last day in it.

    A resource type without an account was never read; one that was read and had nothing has an account of
    zero. Received and mapped count the resources of the whole type. `timeline` is indexed by the subject_id
    of the subjects that are counted. Labs and vitals are both Observations and share their account. A type of
    medication that was received and is not read is told with the number received.

    >>> coverage = derive_coverage(Cohort.from_rows({}), pd.DataFrame(index=["s1"]))
    >>> coverage["AdverseEvent"].statement
    'not read: absence is not zero events'
    """
    return summarise_coverage(coverage_rows(cohort, timeline), timeline, cohort.accounting)


def coverage_rows(cohort: Cohort, timeline: pd.DataFrame) -> CoverageRows:
    """Count what each source has of some whole subjects."""
    rows: Counter[str] = Counter()
    subjects: Counter[str] = Counter()
    days = {}
    for name, (table, column, kind) in SOURCES.items():
        found = cohort.select(table, ["subject_id", column], kinds=None if kind is None else [kind])
        place = places(found["subject_id"], timeline.index)
        seen = np.zeros(len(timeline), dtype=bool)
        seen[place[place >= 0]] = True
        rows[name], subjects[name] = int((place >= 0).sum()), int(seen.sum())
        on = found[column].to_numpy(dtype="datetime64[D]")[place >= 0]
        on = on[on < LATEST_POSSIBLE]  # NaT is not
        days[name] = np.array([on.min(), on.max()] if len(on) else [], dtype="datetime64[D]")
    return CoverageRows(rows, subjects, days)


def summarise_coverage(
    rows: CoverageRows, timeline: pd.DataFrame, accounting: Mapping[str, TypeAccount]
) -> dict[str, Coverage]:
    """Return the coverage of each source, by the rows of all subjects and the account of what came."""
    sources = {name: _source(rows, name, accounting, of=len(timeline)) for name in SOURCES}
    for name in UNREAD_MEDICATION:
        account = accounting.get(name)
        if account is not None and account.ignored.get(Reason.TYPE_NOT_READ):
            sources[name] = _unread(account)
    return sources


def _unread(account: TypeAccount) -> Coverage:
    """Return the coverage of a type that was received and not read."""
    return Coverage(
        read=False,
        received=account.received,
        mapped=account.mapped,
        first_on=None,
        last_on=None,
        statement=f"received {account.received}, not read",
    )


def _source(rows: CoverageRows, name: str, accounting: Mapping[str, TypeAccount], *, of: int) -> Coverage:
    """Return the coverage of one source."""
    account = accounting.get(name.partition(" ")[0])
    days = rows.days[name]
    first, last = (days.min().item(), days.max().item()) if len(days) else (None, None)
    if account is None:
        statement = NOT_READ
    elif not rows.rows[name]:
        statement = f"read: {account.received} received, none of them usable here"
    else:
        statement = f"read: {rows.rows[name]} rows of {rows.subjects[name]} of {of} subjects"
        statement += f", {first} to {last}" if first else ", none with a day"
    return Coverage(
        read=account is not None,
        received=account.received if account else 0,
        mapped=account.mapped if account else 0,
        first_on=first,
        last_on=last,
        statement=statement,
    )
