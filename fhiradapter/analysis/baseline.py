"""Who was studied, as they were at baseline."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.analysis.baseline_table import baseline_table, spread
from fhiradapter.analysis.biomarkers import derive_biomarkers
from fhiradapter.analysis.days import as_dates, days_between, is_partial
from fhiradapter.analysis.delta_fs import SHORT_MONTHS, delta_fs
from fhiradapter.analysis.marks import gather_notes, note
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.periods import months_since
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.analysis.score_units import score_units, usual_unit
from fhiradapter.analysis.scores import Scores
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Biomarker, CohortSummary, SubjectSummary
from fhiradapter.settings import DAYS_PER_MONTH, Study

UNKNOWN = "unknown"
PARTIAL_BIRTH = "birth not given to the day: the age is that of the earliest possible birthday"
BIRTH_AFTER_INDEX = "birth lies after the index date: no age"
NO_BIRTH = "no birth date: no age"
NO_INDEX = "neither a dose nor a score: no index date"
NO_SCORE = "no score: no baseline score"
BASELINE_AFTER_DOSE = "no score at or before the first dose: no baseline score"
NO_DELTA = "delta-FS cannot be computed: no onset date before the baseline score"
SHORT_DELTA = "delta-FS rests on less than 2 months"


def derive_cohort_summary(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    scores: Scores,
    *,
    biomarkers: dict[str, Biomarker] | None = None,
) -> CohortSummary:
    """Describe the subjects of the study at their index date: first dose, else first score.

    timeline, scores, biomarkers: results of `derive_timeline`, `derive_scores` and `derive_biomarkers`
    (derived here when not given). The baseline score is the last one until the day of the first dose, and the
    first one for a subject without a dose. Age is in completed years. Follow-up runs from the index date to
    death, else to the last contact, both not after the data cut, in months of 30.4375 days;
    `follow_up_months` is over the subjects that reach `follow_up.adequate_months`.

    >>> from datetime import date
    >>> from fhiradapter.analysis.scores import derive_scores
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> person = {"subject_id": "s1", "sex": "female", "birth_on": date(1970, 5, 6)}
    >>> score = {"subject_id": "s1", "concept": "alsfrs_r_total", "status": "final", "value": 40.0}
    >>> rows = {"subjects": [person], "measurements": [{**score, "measured_on": date(2024, 5, 5)}]}
    >>> cohort = Cohort.from_rows(rows)
    >>> timeline, scores = derive_timeline(cohort, study), derive_scores(cohort, study)
    >>> summary = derive_cohort_summary(cohort, study, timeline, scores)
    >>> summary.age.median, summary.sex, summary.baseline_score.median  # 54 on the next day
    (53.0, {'female': 1}, 40.0)
    """
    biomarkers = derive_biomarkers(cohort, study, timeline) if biomarkers is None else biomarkers
    units = over_parts(score_units, cohort, study)
    return summarise_cohort(study, timeline, scores, biomarkers=biomarkers, units=units)


def summarise_cohort(
    study: Study,
    timeline: pd.DataFrame,
    scores: Scores,
    *,
    biomarkers: dict[str, Biomarker],
    units: Counter[str],
) -> CohortSummary:
    """Describe the subjects of a timeline; `units` are those of the score, as from `score_units`."""
    people = timeline.join(_baseline_scores(scores.table, timeline, study))
    since_onset = people["baseline_months"]
    slope = delta_fs(people["baseline_score"], since_onset, maximum=study.progression.maximum)
    people = people.assign(
        age=_age(people["birth_on"], people["index_on"]),
        # Other scales have no 48 at onset to fall from.
        delta_fs=slope if study.progression.concept == TOTAL else np.nan,
        months_since_onset=days_between(people["index_on"], people["onset_on"]) / DAYS_PER_MONTH,
        follow_up_months=_follow_up(people),
    )
    people = people.assign(adequate=people["follow_up_months"].ge(study.follow_up.adequate_months))
    people = people.assign(notes=people["notes"] + _notes(people, study))
    return CohortSummary(
        n=len(people),
        age=spread(people["age"]),
        sex=_counts(people["sex"].fillna(UNKNOWN)),
        arms=_counts(people["arm"].dropna()),
        baseline_score=spread(people["baseline_score"]),
        follow_up_months=spread(people["follow_up_months"].where(people["adequate"])),
        deaths=int(people["died"].sum()),
        baseline_table=baseline_table(people, study, biomarkers, unit=usual_unit(units)),
        subjects=_subjects(people),
    )


def _baseline_scores(table: pd.DataFrame, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return `baseline_score` and `baseline_months` since onset by subject id."""
    dose = of_subject(timeline["first_dose_on"], table["subject_id"])
    late = table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))
    known = members(table.loc[~late], timeline.index)
    before = known.loc[known["on"].le(dose.loc[known.index])].drop_duplicates("subject_id", keep="last")
    untreated = known.loc[dose.loc[known.index].isna()].drop_duplicates("subject_id")
    chosen = pd.concat([before, untreated])
    chosen = chosen.assign(baseline_months=months_since(chosen, timeline, study, event="onset"))
    chosen = chosen.rename(columns={"value": "baseline_score"}).set_index("subject_id")
    return chosen[["baseline_score", "baseline_months"]]


def _age(birth_on: pd.Series, index_on: pd.Series) -> npt.NDArray[np.float64]:
    """Return completed years between two days; NaN where birth lies later or one is missing."""
    month_day = 100 * index_on.dt.month + index_on.dt.day
    birthday = 100 * birth_on.dt.month + birth_on.dt.day
    years = index_on.dt.year - birth_on.dt.year - month_day.lt(birthday)
    age: npt.NDArray[np.float64] = years.where(index_on.ge(birth_on)).to_numpy(dtype=np.float64)
    return age


def _follow_up(people: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return months from the index date to death, else to the last contact; NaN where that lies earlier."""
    end = people["death_on"].fillna(people["last_contact_on"])
    months = days_between(end, people["index_on"]) / DAYS_PER_MONTH
    return np.where(months >= 0, months, np.nan)


def _notes(people: pd.DataFrame, study: Study) -> pd.Series:
    scored, dosed = people["first_score_on"].notna(), people["first_dose_on"].notna()
    born = people["birth_on"].notna()
    conditions = {
        NO_INDEX: people["index_on"].isna(),
        NO_BIRTH: ~born,
        PARTIAL_BIRTH: born & is_partial(people["birth_precision"]),
        BIRTH_AFTER_INDEX: people["birth_on"].gt(people["index_on"]),
        NO_SCORE: ~scored,
        BASELINE_AFTER_DOSE: scored & dosed & people["baseline_score"].isna(),
    }
    if study.progression.concept == TOTAL:
        conditions[NO_DELTA] = people["baseline_score"].notna() & people["delta_fs"].isna()
        conditions[SHORT_DELTA] = people["delta_fs"].notna() & people["baseline_months"].lt(SHORT_MONTHS)
    return gather_notes([note(people.index[holds], text) for text, holds in conditions.items()], people.index)


def _counts(categories: pd.Series) -> dict[str, int]:
    counts = categories.value_counts().sort_index()
    return {str(category): int(count) for category, count in counts.items()}


def _subjects(people: pd.DataFrame) -> tuple[SubjectSummary, ...]:
    def numbers(column: str) -> list[float | None]:
        return [None if np.isnan(number) else number for number in people[column].tolist()]

    def words(column: str) -> list[str | None]:
        return people[column].astype(object).where(people[column].notna(), None).tolist()

    columns = {
        "subject_id": people.index.tolist(),
        **{name: words(name) for name in ("sex", "arm")},
        **{name: numbers(name) for name in ("age", "follow_up_months", "baseline_score", "delta_fs")},
        **{
            name: as_dates(people[name])
            for name in (
                "onset_on",
                "first_dose_on",
                "last_dose_on",
                "index_on",
                "last_contact_on",
                "death_on",
            )
        },
        "follow_up_adequate": people["adequate"].tolist(),
        "died": people["died"].tolist(),
        "notes": people["notes"].tolist(),
    }
    return tuple(
        SubjectSummary(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )
