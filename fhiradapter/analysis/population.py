"""The persons that a study counts."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from fhiradapter.cohort.cohort import Cohort
from fhiradapter.settings import Study

FACTS = ("exposures", "measurements", "events", "encounters")


def study_population(cohort: Cohort, study: Study) -> pd.Index:
    """Return the subject ids, sorted: all that have a row in a table, or those of `study.subjects.ids` only.

    A Patient that was merged into another is no person of its own. A person who has measurements but no
    Patient resource is one; one who is only enrolled, perhaps in another study, is not.

    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> rows = [{"subject_id": "b"}, {"subject_id": "old", "replaced_by": "Patient/b"}]
    >>> cohort = Cohort.from_rows({"subjects": rows, "events": [{"subject_id": "a"}]})
    >>> study_population(cohort, study).tolist()
    ['a', 'b']
    """
    ids = _persons(cohort)
    if study.subjects.ids:
        ids = ids[ids.isin(named_subjects(cohort, study.subjects.ids).dropna())]
    population: pd.Index = pd.Index(sorted(ids.tolist()), name="subject_id", dtype="str")
    return population


def named_subjects(cohort: Cohort, names: Iterable[str]) -> pd.Series:
    """Return the subject id that each name of a study file means, indexed by name; missing for nobody.

    A name is a Patient id, with several sources 'source:id'. Without its source it means the one person who
    has that id; where several sources have it, it means nobody. The source of a cohort of one source may be
    named too. An id that was merged into another means the person who survives.

    >>> rows = [{"subject_id": "a:1"}, {"subject_id": "a:2", "replaced_by": "a:1"}, {"subject_id": "b:1"}]
    >>> cohort = Cohort.from_rows({"subjects": [{**row, "source": row["subject_id"][0]} for row in rows]})
    >>> named_subjects(cohort, ["b:1", "2", "1", "7"]).tolist()
    ['b:1', 'a:1', nan, nan]
    """
    names = list(dict.fromkeys(names))
    if not names:
        return pd.Series([], index=pd.Index([], dtype="str"), dtype="str")
    people = cohort.subjects[["subject_id", "source", "replaced_by"]].dropna(subset="subject_id")
    facts = [
        cohort.select(table, ["subject_id", "source"]).drop_duplicates().astype("str") for table in FACTS
    ]
    known = pd.concat([people[["subject_id", "source"]], *facts], ignore_index=True)
    known = known.dropna(subset="subject_id").drop_duplicates().astype("str")
    parts = known["subject_id"].str.extract(r"^([^:]*):(.*)$")
    bare = parts[1].where(parts[0].eq(known["source"]), known["subject_id"])
    meanings = pd.concat(
        [
            pd.DataFrame({"name": known["subject_id"], "subject_id": known["subject_id"], "rank": 0}),
            pd.DataFrame(
                {"name": known["source"] + ":" + bare, "subject_id": known["subject_id"], "rank": 1}
            ),
            pd.DataFrame({"name": bare, "subject_id": known["subject_id"], "rank": 2}),
        ]
    )
    meanings = meanings.loc[meanings["name"].isin(names)]
    survivors = people["replaced_by"].astype("str").str.replace(r"^.*/", "", regex=True)
    into = survivors.set_axis(people["subject_id"]).dropna()
    into = into[~into.index.duplicated()]
    person = meanings["subject_id"].map(into).astype("str").fillna(meanings["subject_id"])
    meanings = meanings.assign(person=person).sort_values("rank", kind="stable")
    best = meanings.loc[meanings["rank"].eq(meanings.groupby("name")["rank"].transform("min"))]
    best = best.drop_duplicates(["name", "person"])
    clear = best.loc[~best["name"].duplicated(keep=False)].set_index("name")["person"]
    return clear.astype("str").reindex(pd.Index(names, dtype="str"))


def unmatched_names(cohort: Cohort, study: Study) -> tuple[str, ...]:
    """Return sentences on the Patient ids of the study file that mean nobody, and on arms that disagree."""
    told = []
    for setting, names in (("ids", study.subjects.ids), ("arms", list(study.subjects.arms))):
        meant = named_subjects(cohort, names)
        if lost := sorted(meant.index[meant.isna()]):
            ids = "Patient id" if len(lost) == 1 else "Patient ids"
            told.append(
                f"subjects.{setting} of the study file lists {len(lost)} {ids} that nothing was received of, "
                f"or that several sources have: {', '.join(lost)}."
            )
    arms = pd.Series(study.subjects.arms, dtype="str")
    meant = named_subjects(cohort, study.subjects.arms)
    several = arms.groupby(meant).nunique().gt(1)
    if several.any():
        told.append(
            f"subjects.arms of the study file gives several arms to {', '.join(several.index[several])} "
            "through ids that were merged: the one under the surviving id counts, else the first."
        )
    return tuple(told)


def members(rows: pd.DataFrame, population: pd.Index) -> pd.DataFrame:
    """Return the rows of the population's subjects.

    A categorical `subject_id` has the population as its categories then.
    """
    place = places(rows["subject_id"], population)
    found = rows if (place >= 0).all() else rows.loc[place >= 0]
    if isinstance(rows["subject_id"].dtype, pd.CategoricalDtype):
        subject_id = pd.Categorical.from_codes(place[place >= 0], categories=population, validate=False)
        return found.assign(subject_id=subject_id)
    return found


def places(subject_id: pd.Series, population: pd.Index) -> npt.NDArray[np.int64]:
    """Return each row's place in the population, -1 for a subject outside it or none.

    >>> ids = pd.Series(["b", None, "c"], dtype="category")
    >>> places(ids, pd.Index(["a", "b"])).tolist(), places(ids.astype("str"), pd.Index(["a", "b"])).tolist()
    ([1, -1, -1], [1, -1, -1])
    """
    if not isinstance(subject_id.dtype, pd.CategoricalDtype):
        return np.asarray(population.get_indexer(pd.Index(subject_id)), dtype=np.int64)
    codes = subject_id.cat.codes.to_numpy(dtype=np.int64)
    categories = subject_id.cat.categories
    if categories is population or categories.equals(population):
        return np.asarray(codes, dtype=np.int64)
    found: npt.NDArray[np.int64] = np.append(population.get_indexer(categories), -1).astype(np.int64)[codes]
    return found


def of_subject(per_subject: pd.Series, subject_id: pd.Series) -> pd.Series:
    """Return each row's value of its subject, missing for a subject that has none.

    >>> of_subject(pd.Series({"a": 1.5}), pd.Series(["a", "b"], index=[7, 8])).tolist()
    [1.5, nan]
    """
    if isinstance(subject_id.dtype, pd.CategoricalDtype):
        place = places(subject_id, per_subject.index)
        if len(per_subject) and (place >= 0).all():
            return per_subject.iloc[place].set_axis(subject_id.index)
        found = per_subject.reset_index(drop=True).reindex(np.where(place >= 0, place, len(per_subject)))
        return found.set_axis(subject_id.index)
    return per_subject.reindex(pd.Index(subject_id)).set_axis(subject_id.index)


def _persons(cohort: Cohort) -> pd.Index:
    """Return the ids of all persons, without those that were merged into another."""
    people = cohort.select("subjects", ["subject_id", "replaced_by"]).astype("str")
    merged = people["replaced_by"].notna()
    words = cohort.codes("subjects", "subject_id").words.to_pandas()
    seen = np.zeros(len(words) + 1, dtype=bool)  # the last one is for rows without a subject
    for table in FACTS:
        codes = cohort.codes(table, "subject_id").codes
        if table == "events":
            codes = codes[(~cohort.select(table, ["kind"])["kind"].eq("enrolment")).to_numpy(dtype=bool)]
        seen[codes] = True
    seen[cohort.codes("subjects", "subject_id").codes[~merged.to_numpy()]] = True
    ids: pd.Index = pd.Index(words[seen[:-1]])
    if not merged.any():
        return ids
    survivors = people["replaced_by"].astype("str").str.replace(r"^.*/", "", regex=True)
    gone = people.loc[merged & survivors.ne(people["subject_id"]), "subject_id"].dropna()
    persons: pd.Index = ids.difference(pd.Index(gone[~gone.isin(people.loc[~merged, "subject_id"])].unique()))
    return persons
