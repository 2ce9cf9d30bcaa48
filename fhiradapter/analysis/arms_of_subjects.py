"""The arm that each subject is in."""

import pandas as pd

from fhiradapter.analysis.days import earliest_day
from fhiradapter.analysis.marks import note
from fhiradapter.analysis.population import members, named_subjects
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

# Who never entered the study has no arm in it, whatever the record says.
NEVER_IN = ("candidate", "eligible", "ineligible", "not-registered", "potential-candidate", "screening")
SEVERAL_ARMS = "enrolments name several arms: the one that began last counts"
OTHER_ARM = "the arm followed is not the arm assigned"
OVERRULED = "the study file's arm goes before the one of the enrolment"


def derive_arms_of_subjects(
    cohort: Cohort, study: Study, population: pd.Index
) -> tuple[pd.Series, list[pd.Series]]:
    """Return the arm of each subject of the population, missing where none is told, and notes.

    The study file's `subjects.arms` go first; then the enrolments (ResearchSubject) in
    `subjects.research_study`, or in any study when that is not set: by policy `subjects.arm_by` the arm that
    was followed and else the assigned one, or the other way round. Of several enrolments of one subject that
    name an arm, the one that began last counts; one without a start comes before all others, and of equal
    ones the last by row_id counts. An arm is called what `subjects.arm_names` calls it.

    >>> row = {"subject_id": "s1", "kind": "enrolment", "term": "A", "assigned_arm": "B"}
    >>> cohort = Cohort.from_rows({"events": [row]})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> arm, notes = derive_arms_of_subjects(cohort, study, pd.Index(["s1", "s2"]))
    >>> arm.tolist(), notes[0].tolist()
    (['A', nan], ['the arm followed is not the arm assigned'])
    """
    names = study.subjects.arm_names
    rows = members(_enrolments(cohort, study), population)
    followed, assigned = (rows[column].replace(names) for column in ("term", "assigned_arm"))
    first, second = (followed, assigned) if study.subjects.arm_by == "actual" else (assigned, followed)
    started = earliest_day(rows["started_at"], rows["started_on"], rows["started_precision"])
    rows = rows.assign(
        arm=first.fillna(second), differs=assigned.notna() & followed.ne(assigned), started=started
    )
    rows = rows.loc[rows["arm"].notna()]
    rows = rows.sort_values(["subject_id", "started", "row_id"], kind="stable", na_position="first")
    chosen = rows.drop_duplicates("subject_id", keep="last").set_index("subject_id")
    stated = _stated(cohort, study).reindex(population)
    enrolled = chosen["arm"].reindex(population)
    several = rows.groupby("subject_id")["arm"].nunique()
    return stated.fillna(enrolled).astype("str"), [
        note(chosen.index[chosen["differs"]], OTHER_ARM),
        note(several.index[several.gt(1)], SEVERAL_ARMS),
        note(population[(stated.notna() & enrolled.notna() & stated.ne(enrolled)).to_numpy()], OVERRULED),
    ]


def _enrolments(cohort: Cohort, study: Study) -> pd.DataFrame:
    """Return the enrolments in the study's ResearchStudy."""
    rows = cohort.events
    rows = rows.loc[rows["kind"].eq("enrolment") & ~rows["status"].isin(NEVER_IN)]
    wanted = study.subjects.research_study
    if wanted is None:
        return rows
    sent = rows["study"].fillna("")
    same = sent.eq(wanted) | sent.eq(f"ResearchStudy/{wanted}") | sent.str.endswith(f"|{wanted}")
    return rows.loc[same]


def _stated(cohort: Cohort, study: Study) -> pd.Series:
    """Return the arms of the study file by subject id; the surviving id's own before a merged one's."""
    arms = pd.Series(study.subjects.arms, dtype="str")
    meant = named_subjects(cohort, study.subjects.arms)
    table = pd.DataFrame({"arm": arms, "subject_id": meant, "merged": meant.ne(meant.index.to_series())})
    table = table.dropna(subset="subject_id").sort_values("merged", kind="stable")
    return table.drop_duplicates("subject_id").set_index("subject_id")["arm"]
