"""Domains of the ALSFRS-R and stages of the disease, by assessment and by subject."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fhiradapter.analysis.assessments import ITEM_COLUMNS, ITEMS
from fhiradapter.analysis.baseline_table import spread
from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.death_day import death_days
from fhiradapter.analysis.domains import DOMAINS
from fhiradapter.analysis.marks import count_marks
from fhiradapter.analysis.means import FloatArray
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.plain import as_numbers, as_words
from fhiradapter.analysis.population import members, of_subject, places
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.analysis.stage_courses import SCALES, baseline_and_last
from fhiradapter.analysis.stage_systems import SystemRows, subject_stages, summarise_system, system_rows
from fhiradapter.analysis.staged_assessments import stage_assessments
from fhiradapter.analysis.usable_measurements import (
    COMPARATOR,
    count_reasons,
    split_off,
    usable_measurements,
)
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import DomainSpread, StagedAssessment, Staging
from fhiradapter.settings import DAYS_PER_MONTH, Study

ONLY_TOTALS = "only totals of the ALSFRS-R were sent, and domains and stages need its items"
NO_ITEMS = "no item of the ALSFRS-R was received"
NO_USABLE_ITEMS = "no item of the ALSFRS-R could be used"

AFTER_DEATH = "after_death"


def derive_staging(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> tuple[Staging | None, str | None]:
    """Derive domains, MiToS and King's stages; without items, return None and the reason.

    timeline: the result of `derive_timeline`. Every assessment of which an item was sent is in the result,
    with its domains and stages as far as they are known. Stages have no mean: of several assessments of one
    subject on one day the first one with a stage counts, or all of them when `progression.same_day` is "all".
    The baseline is the last assessment until the day of the first dose, and the first one of a subject
    without a dose. Who died is at stage 5 in the end, also when the date is not known. Assessments after the
    death are left out and counted.

    >>> from datetime import date
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> row = {"subject_id": "s1", "status": "final", "measured_on": date(2024, 1, 1), "value": 2.0}
    >>> cohort = Cohort.from_rows({"measurements": [{**row, "concept": name} for name in ITEMS[1:]]})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> staging, _ = derive_staging(cohort, study, derive_timeline(cohort, study))
    >>> staging.assessments[0].mitos, staging.assessments[0].kings  # respiratory insufficiency is 2
    ('1', '4B')
    """
    return summarise_staging(over_parts(staging_rows, cohort, study, timeline), study)


@dataclass(frozen=True, eq=False)
class StagingRows:
    """What is derived of some subjects.

    assessments: one row per assessment: `subject_id`, `row_id`, `on`, `months` from the first dose (else the
        first assessment), the columns of DOMAINS, `mitos`, `kings`, `form` and `flags`.
    domains: the points of each domain at baseline and at the last assessment, by subject id.
    systems: the courses through the stages, by the name of the system.
    unused: items that were left out, by reason. totals: rows of totals, counted where no item can be used.
    """

    assessments: pd.DataFrame
    domains: pd.DataFrame
    systems: dict[str, SystemRows]
    unused: Counter[str]
    totals: int


def staging_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame) -> StagingRows:
    """Derive assessments and courses of some whole subjects; timeline: theirs."""
    rows, unused = usable_measurements(cohort, study, ITEMS, timeline.index, columns=ITEM_COLUMNS)
    rows, unused = split_off(rows, unused, rows["comparator"].notna(), COMPARATOR)
    late = rows["on"].gt(of_subject(timeline["death_latest_on"], rows["subject_id"]))
    rows, unused = split_off(rows, unused, late, AFTER_DEATH)
    totals = 0
    if rows.empty:
        sent = cohort.select("measurements", ["subject_id"], concepts=[TOTAL])
        totals = len(members(sent, timeline.index))
    staged = stage_assessments(rows, study).assign(
        place=lambda found: places(found["subject_id"], timeline.index)
    )
    staged = in_order(staged, ["place", "at", "row_id"])
    every = study.progression.same_day == "all"
    death_on = death_days(timeline, study)
    columns = ["subject_id", "row_id", "on", *DOMAINS, *SCALES, "form", "flags"]
    return StagingRows(
        assessments=staged[columns].assign(months=_months(staged, timeline)),
        domains=_domains(staged, timeline, every=every),
        systems={
            name: system_rows(staged, name, timeline, death_on=death_on, every=every) for name in SCALES
        },
        unused=Counter(count_reasons(unused)),
        totals=totals,
    )


def summarise_staging(rows: StagingRows, study: Study) -> tuple[Staging | None, str | None]:
    """Return what the rows of all subjects show, or the reason why there is nothing to show."""
    if rows.assessments.empty:
        return None, _why_none(rows, study)
    pairs = zip(*(subject_stages(rows.systems[name], name) for name in SCALES), strict=True)
    return Staging(
        domains={
            name: DomainSpread(
                baseline=spread(rows.domains[f"{name}_baseline"]), last=spread(rows.domains[f"{name}_last"])
            )
            for name in DOMAINS
        },
        systems={name: summarise_system(rows.systems[name], name, study) for name in SCALES},
        subject_rows=tuple(row for pair in pairs for row in pair),
        assessments=_assessments(rows.assessments),
        notes=dict(sorted(rows.unused.items())) | count_marks(rows.assessments["flags"]),
    ), None


def _why_none(rows: StagingRows, study: Study) -> str | None:
    if rows.unused:
        counts = (f"{name.replace('_', ' ')} ({count})" for name, count in sorted(rows.unused.items()))
        return f"{NO_USABLE_ITEMS}: {', '.join(counts)}"
    if rows.totals:
        return ONLY_TOTALS
    return NO_ITEMS if study.progression.concept == TOTAL else None


def _domains(staged: pd.DataFrame, timeline: pd.DataFrame, *, every: bool) -> pd.DataFrame:
    """Return each subject's points at baseline and in the end, NaN where there are none."""
    columns: dict[str, FloatArray] = {}
    for name in DOMAINS:
        known = staged.loc[staged[name].notna(), ["place", "on", name]]
        known = known if every else known.drop_duplicates(["place", "on"])
        on = known["on"].to_numpy(dtype="datetime64[D]")
        baseline, last = baseline_and_last(known["place"].to_numpy(dtype=np.int64), on, timeline)
        points = np.append(known[name].to_numpy(), np.nan)
        columns |= {f"{name}_baseline": points[baseline], f"{name}_last": points[last]}
    return pd.DataFrame(columns, index=timeline.index)


def _months(staged: pd.DataFrame, timeline: pd.DataFrame) -> FloatArray:
    """Return the months of each assessment from the first dose, else from the subject's first assessment."""
    place = staged["place"].to_numpy(dtype=np.int64)
    on = staged["on"].to_numpy(dtype="datetime64[D]")
    origin = timeline["first_dose_on"].to_numpy(dtype="datetime64[D]").copy()
    first = np.full(len(timeline), np.datetime64("NaT", "D"))
    np.fmin.at(first, place, on)
    origin = np.where(np.isnat(origin), first, origin)
    months: FloatArray = (on - origin[place]) / np.timedelta64(1, "D") / DAYS_PER_MONTH
    return months


def _assessments(staged: pd.DataFrame) -> tuple[StagedAssessment, ...]:
    return tuple(
        StagedAssessment(
            subject_id=subject,
            row_id=row,
            on=day,
            months=month,
            bulbar=bulbar,
            fine_motor=fine,
            gross_motor=gross,
            respiratory=respiratory,
            mitos=mitos,
            kings=kings,
            cutting_form=form,
            flags=flags,
        )
        for subject, row, day, month, bulbar, fine, gross, respiratory, mitos, kings, form, flags in zip(
            as_words(staged["subject_id"]),
            staged["row_id"].tolist(),
            as_dates(staged["on"]),
            staged["months"].tolist(),
            *(as_numbers(staged[name]) for name in DOMAINS),
            *(as_words(staged[name]) for name in SCALES),
            staged["form"].tolist(),
            staged["flags"].tolist(),
            strict=True,
        )
    )
