"""What the safety tables rest on: which sources were read, and over which days."""

import pandas as pd

from fhiradapter.analysis.population import members
from fhiradapter.cohort.accounting import TypeAccount
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.reasons import Reason
from fhiradapter.results import Coverage

NOT_READ = "not read: absence is not zero events"
LATEST_POSSIBLE = pd.Timestamp("9999-01-01")  # 9999-12-30 and the like mean "open-ended"

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
    sources = {name: _source(cohort, timeline, name) for name in SOURCES}
    for name in UNREAD_MEDICATION:
        account = cohort.accounting.get(name)
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


def _source(cohort: Cohort, timeline: pd.DataFrame, name: str) -> Coverage:
    """Return the coverage of one source."""
    table, column, kind = SOURCES[name]
    account = cohort.accounting.get(name.partition(" ")[0])
    rows = cohort.select(table, ["subject_id", column], kinds=None if kind is None else [kind])
    rows = members(rows, timeline.index)
    days = rows[column]
    days = days[days < LATEST_POSSIBLE]
    first = None if days.empty else days.min().date()
    last = None if days.empty else days.max().date()
    if account is None:
        statement = NOT_READ
    elif not len(rows):
        statement = f"read: {account.received} received, none of them usable here"
    else:
        subjects = rows["subject_id"].nunique()
        statement = f"read: {len(rows)} rows of {subjects} of {len(timeline)} subjects"
        statement += f", {first} to {last}" if first else ", none with a day"
    return Coverage(
        read=account is not None,
        received=account.received if account else 0,
        mapped=account.mapped if account else 0,
        first_on=first,
        last_on=last,
        statement=statement,
    )
