"""The administrations of the study's product that are doses."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.days import is_partial
from fhiradapter.analysis.marks import marks
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.population import members, places
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

COMPLETED, STOPPED, NOT_DONE = "completed", "stopped", "not-done"

DUPLICATE = "duplicate"
STOPPED_WITHOUT_DOSE = "stopped without a dose"
NO_SUBJECT = "no subject"
NO_STATUS = "no status"

INTERRUPTED_NOTE = "interrupted: stopped before its end"
NO_CELLS_NOTE = "dose not known in cells"
PARTIAL_DATE_NOTE = "start not given to the day"
NO_DATE_NOTE = "no start"
SAME_DAY_NOTE = "another infusion on the same local day"

NOT_DONE_NOTE = "not given"
SYSTEM = r"^[A-Za-z][A-Za-z0-9+.-]*:\S*\|"  # the URI of 'system|code'

COLUMNS = (
    "subject_id",
    "row_id",
    "status",
    "started_at",
    "started_on",
    "ended_at",
    "ended_on",
    "cells",
    "interrupted",
    "encounter_id",
    "notes",
    "started_precision",
    "comparator",
    "ended_precision",
)
READ = (
    "subject_id",
    "row_id",
    "concept",
    "status",
    "status_reason",
    "started_at",
    "started_on",
    "started_precision",
    "ended_at",
    "ended_on",
    "ended_precision",
    "dose_cells",
    "dose_value",
    "dose_cells_per_kg",
    "interrupted",
    "encounter_id",
)


def given_infusions(cohort: Cohort, study: Study) -> pd.DataFrame:
    """Return one row per infusion given, by subject and start.

    A dose is an administration of `study.treatment.concept` that was completed, or that was stopped after
    some of it had been given. Doses of one subject that start at the same moment are one infusion recorded
    more than once: a completed record is preferred, then one with cells, then the first by `row_id`. Dates of
    a month or a year may belong to several infusions, so these are never taken for the same one.
    Administrations of `study.treatment.comparators`, such as placebo, are doses as well, without cells.

    Columns: `subject_id`, `row_id`, `status` (completed or stopped), `started_at` and `ended_at` (UTC,
    earliest moment that fits), `started_on` and `ended_on` (local day; missing when the date has no day),
    `cells` (NaN when the dose is not known in cells), `interrupted` (bool), `encounter_id`, `notes` (tuple
    of sentences), `started_precision`, `comparator` (bool, True for a comparator),
    `ended_precision`. A study without treatment has none: the frame is empty with the same columns and types.

    >>> from datetime import date, datetime, timezone
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}, "treatment": {"concept": "cells"}})
    >>> row = {"subject_id": "s1", "concept": "cells", "started_on": date(2024, 3, 1), "dose_cells": 1e8,
    ...        "started_at": datetime(2024, 3, 1, 9, tzinfo=timezone.utc), "started_precision": "second"}
    >>> rows = [{**row, "row_id": "a", "status": "completed"}, {**row, "row_id": "b", "status": "not-done"}]
    >>> given_infusions(Cohort.from_rows({"exposures": rows}), study)["row_id"].tolist()
    ['a']
    """
    rows = _administrations(cohort, study)
    given = rows.loc[rows["verdict"].eq("")]
    given = in_order(given, ["subject_id", "started_at", "row_id"])
    cells = given["dose_cells"].mask(given["comparator"])
    notes = marks(
        {
            INTERRUPTED_NOTE: given["interrupted"],
            NO_CELLS_NOTE: cells.isna() & ~given["comparator"],
            NO_DATE_NOTE: given["started_at"].isna(),
            PARTIAL_DATE_NOTE: given["started_at"].notna() & given["started_on"].isna(),
            SAME_DAY_NOTE: given["started_on"].notna()
            & given.duplicated(["subject_id", "started_on"], keep=False),
        },
        given.index,
    )
    return given.assign(cells=cells, notes=notes)[list(COLUMNS)].reset_index(drop=True)


def infusions_until_cut(
    cohort: Cohort, study: Study, population: pd.Index, *, given: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the infusions given to some subjects until the data cut, as `given_infusions` does.

    given: the result of `given_infusions`, when it is already there.
    """
    infusions = members(given_infusions(cohort, study) if given is None else given, population)
    return infusions.loc[~after_cut(infusions, study.follow_up.data_cut)].reset_index(drop=True)


def missed_infusions(cohort: Cohort, study: Study) -> pd.DataFrame:
    """Return one row per administration that was recorded as not done, with the columns of `given_infusions`.

    Its cells are missing and its notes hold the reason where the source gives one.
    """
    rows = _administrations(cohort, study)
    missed = rows.loc[rows["status"].eq(NOT_DONE) & rows["subject_id"].notna()]
    missed = in_order(missed, ["subject_id", "started_at", "row_id"])
    # A bare code is told without the address of its system, which says nothing to a reader.
    reasons = missed["status_reason"].fillna("").str.replace(SYSTEM, "reason code ", regex=True)
    sentences = (NOT_DONE_NOTE + ": " + reasons).where(reasons.ne(""), NOT_DONE_NOTE)
    notes = pd.Series([(sentence,) for sentence in sentences], index=missed.index, dtype=object)
    missed = missed.assign(cells=np.nan, notes=notes)
    return missed[list(COLUMNS)].reset_index(drop=True)


def excluded_administrations(cohort: Cohort, study: Study, population: pd.Index) -> dict[str, int]:
    """Count the administrations of the product that are no dose, by status or by the reason.

    Counted are those of the subjects of `population`, and those without a subject, which may be anybody's.
    Keys: a status such as not-done or in-progress, "stopped without a dose", "duplicate", "no subject" and
    "no status"; a count of zero is left out.
    """
    rows = _administrations(cohort, study)
    counted = rows["subject_id"].isna() | (places(rows["subject_id"], population) >= 0)
    verdicts = rows.loc[counted, "verdict"]
    counts = verdicts[verdicts.ne("")].value_counts().sort_index()
    return {str(reason): int(count) for reason, count in counts.items()}


def _administrations(cohort: Cohort, study: Study) -> pd.DataFrame:
    """Return the product's administrations; `verdict` is why a row is no dose, empty for a dose."""
    concepts = [study.treatment.concept, *study.treatment.comparators] if study.treatment else []
    rows = cohort.select("exposures", READ, concepts=concepts)
    status = rows["status"].fillna(NO_STATUS)
    stopped = status.eq(STOPPED)
    # Some of the product was given when an amount above zero is recorded, in whatever unit.
    with_dose = rows["dose_cells"].gt(0) | rows["dose_value"].gt(0) | rows["dose_cells_per_kg"].gt(0)
    verdict = status.where(~status.eq(COMPLETED) & ~stopped, "")
    verdict = verdict.mask(stopped & ~with_dose, STOPPED_WITHOUT_DOSE)
    verdict = verdict.mask(rows["subject_id"].isna(), NO_SUBJECT)
    without_day = is_partial(rows["started_precision"])
    rows = rows.assign(
        status=status,
        comparator=rows["concept"].isin(study.treatment.comparators if study.treatment else []),
        started_on=rows["started_on"].mask(without_day),
        ended_on=rows["ended_on"].mask(is_partial(rows["ended_precision"])),
        interrupted=rows["interrupted"].fillna(False).astype(bool) | stopped,
        verdict=verdict.astype(object),
    )
    comparable = rows.loc[verdict.eq("") & rows["started_at"].notna() & ~without_day]
    comparable = comparable.loc[comparable.duplicated(["subject_id", "started_at"], keep=False)]
    preferred = comparable.assign(
        rank_status=comparable["status"].ne(COMPLETED), rank_cells=comparable["dose_cells"].isna()
    ).sort_values(["rank_status", "rank_cells", "row_id"], kind="stable")
    repeated = preferred.index[preferred.duplicated(["subject_id", "started_at"])]
    rows.loc[repeated, "verdict"] = DUPLICATE
    return rows
