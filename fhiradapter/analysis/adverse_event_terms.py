"""The terms of adverse events, by system, each subject once at the worst grade."""

import numpy as np
import pandas as pd

from fhiradapter.results import Term

GRADES = ("1", "2", "3", "4", "5", "unknown")
KEYS = ["system_key", "key"]


def term_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the events of some whole subjects as `summarise_terms` counts them.

    `table` is as from `adverse_event_table`. Columns: `subject_id`, `row_id`, `system`, `term`, `system_key`
    and `key` (system and term as they are compared; categories), and `worst`: on the first event of a subject
    and term the worst of its grades, one of GRADES; missing on the others.
    """
    rows = table[["subject_id", "row_id", "system", "term"]].assign(
        system_key=pd.Categorical(table["system"].fillna("").str.strip().str.casefold()),
        key=pd.Categorical(table["key"]),
    )
    group = rows.groupby([*KEYS, "subject_id"], sort=False, observed=True).ngroup()
    worst = np.zeros(len(rows), dtype=np.int64)  # by group; 0 where no grade is known
    np.maximum.at(worst, group.to_numpy(), table["grade"].to_numpy(dtype=np.int64, na_value=0))
    label = np.roll(np.arange(len(GRADES)), 1)[worst[group.to_numpy()]]
    codes = np.where(group.duplicated(), -1, label)
    return rows.assign(worst=pd.Categorical.from_codes(codes, categories=pd.Index(GRADES)))


def summarise_terms(rows: pd.DataFrame) -> tuple[Term, ...]:
    """Return the terms by system, most frequent first, each subject once at the worst grade.

    `rows` are those of all subjects, as from `term_rows`, in order of subjects. A system and a term are
    written as the first subject has them; the row_ids are in order of subjects too.
    """
    groups = rows.groupby(KEYS, sort=True, observed=True)
    grades = pd.crosstab([rows["system_key"], rows["key"]], rows["worst"]).reindex(columns=list(GRADES))
    summary = pd.DataFrame(
        {
            "system": groups["system"].first(),
            "term": groups["term"].first(),
            "events": groups.size(),
            "row_ids": groups["row_id"].agg(tuple),
        }
    )
    counts = grades.reindex(summary.index).fillna(0).astype(int).to_numpy()
    terms = [
        Term(
            system=None if pd.isna(system) else str(system),
            term=str(term),
            subjects=sum(row),
            events=int(events),
            by_worst_grade={name: number for name, number in zip(GRADES, row, strict=True) if number},
            row_ids=row_ids,
        )
        for system, term, events, row_ids, row in zip(
            summary["system"],
            summary["term"],
            summary["events"],
            summary["row_ids"],
            counts.tolist(),
            strict=True,
        )
    ]
    return tuple(sorted(terms, key=lambda term: (term.system or "", -term.subjects, term.term)))
