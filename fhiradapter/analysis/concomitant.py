"""Medication that the protocol excludes, given inside its window."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pandas as pd

from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.days import as_dates, earliest_day, is_partial, latest_day
from fhiradapter.analysis.plain import as_words
from fhiradapter.analysis.population import places
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import ConcomitantCheck, ConcomitantFinding
from fhiradapter.settings import Treatment

END_OF_TIME = pd.Timestamp("2262-01-01")
READ = (
    "subject_id",
    "row_id",
    "concept",
    "status",
    "started_at",
    "started_on",
    "started_precision",
    "ended_at",
    "ended_on",
    "ended_precision",
)
GIVEN = ("completed", "in-progress", "stopped")
CHECKED, UNMAPPED, UNDATED, LATE = "checked", "unmapped", "undated", "after the cut"


@dataclass(frozen=True)
class ConcomitantRows:
    """Findings (`subject_id`, `row_id`, `concept`, `kind`, `started_on`), and how many were looked at."""

    findings: pd.DataFrame
    counts: Counter[str]


def concomitant_rows(
    cohort: Cohort,
    treatment: Treatment,
    timeline: pd.DataFrame,
    *,
    kinds: Mapping[str, str],
    data_cut: date | None = None,
) -> ConcomitantRows:
    """Look for medication of an excluded kind inside the protocol's window.

    The window runs from `excluded_from_days` after the first dose (negative: before it) to `excluded_to_days`
    after the last dose, both days included. `timeline` is indexed by subject_id with `first_dose_on` and
    `last_dose_on`; subjects without these have no window and are not checked. `kinds` gives the kind of each
    concept.

    An administration counts when it was completed, is in progress or was stopped; one that runs over days
    counts when any of them is inside, and one in progress runs on. A date without a day counts when it can be
    inside; the finding then has no day. One without any date cannot be placed and is counted as undated.
    Unmapped ones could be anything: they are counted too. What begins after the data cut is not looked at and
    is counted as such.
    """
    window = timeline[["first_dose_on", "last_dose_on"]].dropna()
    studied = [treatment.concept, *treatment.comparators]
    rows = cohort.select("exposures", READ, without_concepts=studied)
    place = places(rows["subject_id"], window.index)
    rows = rows.loc[(place >= 0) & rows["status"].isin(GIVEN)]
    late = after_cut(rows, data_cut)
    rows = rows.loc[~late]
    window = window.reindex(rows["subject_id"])
    opens = window["first_dose_on"].to_numpy() + np.timedelta64(treatment.excluded_from_days, "D")
    closes = window["last_dose_on"].to_numpy() + np.timedelta64(treatment.excluded_to_days, "D")
    first = earliest_day(rows["started_at"], rows["started_on"], rows["started_precision"])
    end = latest_day(rows["ended_at"], rows["ended_on"], rows["ended_precision"])
    start_latest = latest_day(rows["started_at"], rows["started_on"], rows["started_precision"])
    last = end.fillna(start_latest).mask(end.isna() & rows["status"].eq("in-progress"), END_OF_TIME)
    first = first.fillna(end)  # an end alone places the administration
    kind = rows["concept"].map(dict(kinds)).astype(object)
    inside = (first.to_numpy() <= closes) & (last.to_numpy() >= opens) & first.notna().to_numpy()
    found = rows.loc[kind.isin(treatment.excluded_kinds) & inside]
    found = found.assign(
        kind=kind.loc[found.index],
        started_on=found["started_on"].mask(is_partial(found["started_precision"])),
    ).sort_values(["subject_id", "started_at", "row_id"], kind="stable")
    return ConcomitantRows(
        findings=found[["subject_id", "row_id", "concept", "kind", "started_on"]].reset_index(drop=True),
        counts=Counter(
            {
                CHECKED: int((rows["concept"].notna() & first.notna()).sum()),
                UNMAPPED: int(rows["concept"].isna().sum()),
                UNDATED: int(first.isna().sum()),
                LATE: int(late.sum()),
            }
        ),
    )


def summarise_concomitant(
    rows: ConcomitantRows, treatment: Treatment, timeline: pd.DataFrame, *, kinds: Mapping[str, str]
) -> ConcomitantCheck:
    """Return the findings of all subjects as results."""
    found = rows.findings
    known_kinds = set(kinds.values())
    return ConcomitantCheck(
        excluded_kinds=tuple(treatment.excluded_kinds),
        subjects_checked=int(timeline[["first_dose_on", "last_dose_on"]].notna().all(axis=1).sum()),
        administrations_checked=rows.counts[CHECKED],
        unmapped_administrations=rows.counts[UNMAPPED],
        undated_administrations=rows.counts[UNDATED],
        findings=tuple(
            ConcomitantFinding(subject_id=subject, row_id=row, concept=concept, kind=name, started_on=day)
            for subject, row, concept, name, day in zip(
                as_words(found["subject_id"]),
                found["row_id"],
                found["concept"],
                found["kind"],
                cast("list[date | None]", as_dates(found["started_on"])),
                strict=True,
            )
        ),
        unknown_kinds=tuple(name for name in treatment.excluded_kinds if name not in known_kinds),
        after_cut_administrations=rows.counts[LATE],
    )
