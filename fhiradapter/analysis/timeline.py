"""Each subject's index dates."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.arms_of_subjects import derive_arms_of_subjects
from fhiradapter.analysis.days import DAY, INSTANT, earliest_day, earliest_instant, is_partial, latest_day
from fhiradapter.analysis.infusions import given_infusions
from fhiradapter.analysis.last_contact import derive_last_contact
from fhiradapter.analysis.marks import gather_notes, note
from fhiradapter.analysis.onset import NEGATED, derive_onset
from fhiradapter.analysis.order import in_order
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.population import members, of_subject, places, study_population
from fhiradapter.analysis.scores import Scores, derive_scores
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

NO_PATIENT = "no Patient resource was received"
UNDATED_DOSE = "a dose has no day: it does not set the first or last dose"
PARTIAL_DOSE = "no dose is dated to the day: the earliest possible day is used"
DOSE_AFTER_CUT = "doses after the data cut are not counted"
DEATH_AFTER_CUT = "died after the data cut: counted as alive at the cut"
DEATH_UNDATED = "died, date not known"
DEATH_PARTIAL = "death not given to the day: the earliest possible day is used"
DEATH_BEFORE_DOSE = "death is dated before the first dose"
DEATH_DENIED = "the Patient says alive, another record says dead: counted as dead"
SCORES_AFTER_DEATH = "scores after death are not counted"


def derive_timeline(cohort: Cohort, study: Study, *, scores: Scores | None = None) -> pd.DataFrame:
    """Return one row per subject of the study, indexed by subject id.

    Columns: `sex`, `arm`; `birth_at`, `birth_on`, `birth_precision`; `first_dose_at`, `first_dose_on`,
    `first_dose_precision`, `last_dose_at`, `last_dose_on`, `doses` (the study's product; counted until the
    data cut); `onset_at`, `onset_on`, `onset_precision`; `first_score_at`, `first_score_on`, `last_score_on`;
    `index_on` (first dose, else first score); `last_contact_on` (last day with a dated measurement, exposure,
    encounter or event, not after death or data cut); `died`, `death_on`, `death_latest_on`; `notes` (tuple of
    sentences). `*_at` are UTC instants, `*_on` local days. A partial date stands for its earliest day and is
    noted; `death_latest_on` is the latest day that fits the date of death.

    scores: the result of `derive_scores`, when it is already there.

    >>> from datetime import date
    >>> row = {"subject_id": "s1", "concept": "alsfrs_r_total", "value": 40.0, "status": "final"}
    >>> cohort = Cohort.from_rows({"measurements": [{**row, "measured_on": date(2024, 1, 2)}]})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> derive_timeline(cohort, study).loc["s1", ["index_on", "notes"]].tolist()
    [Timestamp('2024-01-02 00:00:00'), ('no Patient resource was received',)]
    """
    return over_parts(timeline_rows, cohort, study, scores)


def timeline_rows(
    cohort: Cohort, study: Study, scores: Scores | None = None, *, given: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the timeline of some whole subjects; given: their infusions, when they are already there."""
    population = study_population(cohort, study)
    people, notes = _people(cohort, study, population)
    doses, told = _doses(given_infusions(cohort, study) if given is None else given, study, population)
    notes += told
    deaths, told = _deaths(cohort, study, population, doses["first_dose_on"])
    notes += told
    timeline = people.join([doses, deaths])
    table = (scores or derive_scores(cohort, study)).table
    late = table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))
    notes.append(note(table.loc[late, "subject_id"].unique(), SCORES_AFTER_DEATH))
    timeline = timeline.join(_score_days(table.loc[~late]))
    earliest = timeline[["first_score_on", "first_dose_on"]].min(axis=1)
    onset, told = derive_onset(cohort, population, first_on=earliest, birth_on=timeline["birth_on"])
    notes += told
    timeline = timeline.join(onset)
    timeline["index_on"] = timeline["first_dose_on"].fillna(timeline["first_score_on"])
    timeline["last_contact_on"] = derive_last_contact(
        cohort, study, population, death_on=timeline["death_on"]
    )
    return timeline.assign(notes=gather_notes(notes, population))


def _people(cohort: Cohort, study: Study, population: pd.Index) -> tuple[pd.DataFrame, list[pd.Series]]:
    rows = members(cohort.subjects, population)
    # A Patient that was merged away describes the person only where the survivor was not received.
    rows = rows.sort_values(["replaced_by", "row_id"], na_position="first", kind="stable")
    rows = rows.drop_duplicates("subject_id")
    rows = rows.set_index("subject_id")
    birth_on = earliest_day(rows["birth_at"], rows["birth_on"], rows["birth_precision"])
    people = rows[["sex", "birth_at", "birth_precision"]].assign(birth_on=birth_on).reindex(population)
    arm, told = derive_arms_of_subjects(cohort, study, population)
    people.insert(1, "arm", arm)
    return people, [note(population.difference(rows.index), NO_PATIENT), *told]


def _doses(given: pd.DataFrame, study: Study, population: pd.Index) -> tuple[pd.DataFrame, list[pd.Series]]:
    rows = members(given, population)
    rows = rows.assign(
        at=rows["started_at"].astype(INSTANT), precision=rows["started_precision"].astype("str")
    )
    rows["on"] = earliest_day(rows["at"], rows["started_on"], rows["precision"])
    rows["at"] = earliest_instant(rows["at"], rows["on"])
    cut = study.follow_up.data_cut
    after_cut = rows["on"].gt(pd.Timestamp(cut or "9999-12-31"))
    notes = [note(rows.loc[after_cut, "subject_id"].unique(), DOSE_AFTER_CUT)]
    rows = rows.loc[~after_cut]
    counts = rows.groupby("subject_id").size()
    vague = rows["on"].isna() | is_partial(rows["precision"])
    exact = places(rows["subject_id"], population)
    only_vague = ~np.isin(exact, exact[~vague.to_numpy(dtype=bool)])
    notes.append(
        note(rows.loc[vague & ~(only_vague & rows["on"].notna()), "subject_id"].unique(), UNDATED_DOSE)
    )
    dated = rows.loc[rows["on"].notna() & (~vague | only_vague)]
    dated = in_order(dated, ["subject_id", "on", "at", "row_id"])
    notes.append(note(dated.loc[is_partial(dated["precision"]), "subject_id"].unique(), PARTIAL_DOSE))
    first = dated.drop_duplicates("subject_id").set_index("subject_id")[["at", "on", "precision"]]
    last = dated.drop_duplicates("subject_id", keep="last").set_index("subject_id")[["at", "on"]]
    doses = first.add_prefix("first_dose_").join(last.add_prefix("last_dose_")).reindex(population)
    return doses.assign(doses=counts.reindex(population, fill_value=0)), notes


def _deaths(
    cohort: Cohort, study: Study, population: pd.Index, first_dose_on: pd.Series
) -> tuple[pd.DataFrame, list[pd.Series]]:
    people = members(cohort.subjects, population)
    stated = (
        people["deceased"].eq(True).fillna(False) | people["death_at"].notna() | people["death_on"].notna()
    )
    events = members(cohort.events, population)
    events = events.loc[events["kind"].eq("death") & ~events["status"].isin(NEGATED)]
    columns = ["subject_id", "at", "on", "precision"]
    records = pd.concat(
        [
            people.loc[stated, ["subject_id", "death_at", "death_on", "death_precision"]].set_axis(
                columns, axis=1
            ),
            events[["subject_id", "started_at", "started_on", "started_precision"]].set_axis(columns, axis=1),
        ],
        ignore_index=True,
    )
    records = records.assign(
        on=earliest_day(records["at"], records["on"], records["precision"]),
        latest=latest_day(records["at"], records["on"], records["precision"]),
        vague=is_partial(records["precision"]),
    )
    # The more precise date first: a death certificate by year says less than an event by day.
    records = records.sort_values(["subject_id", "vague", "on", "latest"], kind="stable", na_position="last")
    records = records.sort_values(["on"], key=lambda on: on.isna(), kind="stable")
    chosen = records.drop_duplicates("subject_id").set_index("subject_id")
    after_cut = chosen["on"].gt(pd.Timestamp(study.follow_up.data_cut or "9999-12-31"))
    dead = chosen.loc[~after_cut]
    denied = people.loc[people["deceased"].eq(False).fillna(False), "subject_id"]
    notes = [
        note(chosen.index[after_cut], DEATH_AFTER_CUT),
        note(dead.index[dead["on"].isna()], DEATH_UNDATED),
        note(dead.index[dead["vague"] & dead["on"].notna()], DEATH_PARTIAL),
        note(dead.index[dead["latest"].lt(first_dose_on.reindex(dead.index))], DEATH_BEFORE_DOSE),
        note(dead.index.intersection(pd.Index(denied)), DEATH_DENIED),
    ]
    deaths = pd.DataFrame(index=population).assign(
        died=population.isin(dead.index),
        death_on=dead["on"].reindex(population),
        death_latest_on=dead["latest"].reindex(population),
    )
    return deaths, notes


def _score_days(table: pd.DataFrame) -> pd.DataFrame:
    """Return the first and last score's days; the table is in order of time."""
    groups = table.groupby("subject_id", sort=False)
    days = groups.agg(
        first_score_at=("at", "first"), first_score_on=("on", "min"), last_score_on=("on", "max")
    )
    return days.astype({"first_score_on": DAY, "last_score_on": DAY})
