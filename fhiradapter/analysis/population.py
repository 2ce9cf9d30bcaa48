"""The persons that a study counts."""

import pandas as pd

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

FACTS = ("exposures", "measurements", "events", "encounters")


def study_population(cohort: Cohort, study: Study) -> pd.Index:
    """Return the subject ids, sorted: all that have a row in a table, or `study.subjects.ids` only.

    A Patient that was merged into another is no person of its own. A person who has measurements but no
    Patient resource is one.

    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> rows = [{"subject_id": "b"}, {"subject_id": "old", "replaced_by": "Patient/b"}]
    >>> cohort = Cohort.from_rows({"subjects": rows, "events": [{"subject_id": "a"}]})
    >>> study_population(cohort, study).tolist()
    ['a', 'b']
    """
    people = cohort.subjects[["subject_id", "replaced_by"]]
    merged = people["replaced_by"].notna()
    found = [cohort.frame(table)["subject_id"] for table in FACTS] + [people.loc[~merged, "subject_id"]]
    ids = pd.Index(pd.concat([part.drop_duplicates() for part in found]).dropna().unique())
    survivors = people["replaced_by"].astype("str").str.replace(r"^.*/", "", regex=True)
    gone = people.loc[merged & survivors.ne(people["subject_id"]), "subject_id"].dropna()
    ids = ids.difference(pd.Index(gone[~gone.isin(people.loc[~merged, "subject_id"])].unique()))
    if study.subjects.ids:
        ids = ids[ids.isin(study.subjects.ids)]
    population: pd.Index = pd.Index(sorted(ids.tolist()), name="subject_id", dtype="str")
    return population


def members(rows: pd.DataFrame, population: pd.Index) -> pd.DataFrame:
    """Return the rows of the population's subjects."""
    return rows.loc[population.get_indexer(pd.Index(rows["subject_id"])) >= 0]


def of_subject(per_subject: pd.Series, subject_id: pd.Series) -> pd.Series:
    """Return each row's value of its subject, missing for a subject that has none.

    >>> of_subject(pd.Series({"a": 1.5}), pd.Series(["a", "b"], index=[7, 8])).tolist()
    [1.5, nan]
    """
    return per_subject.reindex(pd.Index(subject_id)).set_axis(subject_id.index)
