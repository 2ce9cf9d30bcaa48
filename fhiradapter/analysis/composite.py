"""Function and survival ranked together, by arm."""

import numpy as np
import pandas as pd

from fhiradapter.analysis.cafs import Cafs, cafs
from fhiradapter.analysis.days import days_between
from fhiradapter.analysis.death_day import death_days
from fhiradapter.analysis.population import members, of_subject
from fhiradapter.analysis.rank_sum import rank_sum_p
from fhiradapter.analysis.scores import Scores
from fhiradapter.results import Exclusion
from fhiradapter.results.composite import Composite, CompositeArm, RankTest, SubjectRank
from fhiradapter.settings import DAYS_PER_MONTH, Study

MOST = 20_000  # subjects; their 200 million pairs take some seconds

NO_ARM = "no arm"
NO_INDEX = "neither a dose nor a score: no index date"
NO_DATE = "died, date not known"
DEATH_FIRST = "died before the index date"
NO_BASELINE = "alive, and no score at or before the index date"
NO_LATER = "alive, and no score after the index date"


def derive_composite(study: Study, timeline: pd.DataFrame, scores: Scores) -> Composite:
    """Rank the subjects by death and by the change of their score, and compare the ranks between arms.

    timeline, scores: results of `derive_timeline` and `derive_scores`. Time counts from the index date (first
    dose, else first score); baseline is the last score until its day. Pairs are compared as in `cafs`, with
    the policies `composite.common_time`, `composite.lost_before_death` and `composite.within_months`: with
    the last one, who died later counts as alive, and later scores do not count. Where there are arms, who has
    none is left out. Two arms are compared by the rank-sum test of the ranks (`rank_sum_p`), more by
    Kruskal-Wallis. Above 20,000 subjects nothing is ranked, and a caution says so.

    >>> from datetime import date
    >>> from fhiradapter.analysis.scores import derive_scores
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> from fhiradapter.cohort.cohort import Cohort
    >>> row = {"concept": "alsfrs_r_total", "status": "final"}
    >>> days = (date(2024, 1, 1), date(2024, 7, 1))
    >>> rows = [{**row, "subject_id": name, "measured_on": day, "value": value}
    ...         for name, values in {"a": (40.0, 38.0), "b": (44.0, 40.0)}.items()
    ...         for day, value in zip(days, values)]
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> timeline, scores = derive_timeline(cohort, study), derive_scores(cohort, study)
    >>> found = derive_composite(study, timeline, scores)
    >>> [(row.subject_id, row.change, row.sum, row.rank) for row in found.by_subject_rows]
    [('a', -2.0, 1, 2.0), ('b', -4.0, -1, 1.0)]
    """
    changes = _changes(scores, timeline, study)
    people = _people(timeline, changes, study)
    arms = people["arm"].nunique()
    excluded = _excluded(people, in_arms=arms > 1)
    used = people.loc[excluded.isna()]
    too_many = len(used) > MOST
    if too_many:
        used = used.iloc[:0]
    changes = members(changes, used.index)
    found = _ranked(used, changes, study)
    used = used.assign(sum=found.sums, rank=found.ranks)
    by_arm = used.groupby("arm", sort=True) if arms > 1 else None
    return Composite(
        concept=study.progression.concept,
        n=len(used),
        arms={
            str(arm): CompositeArm(
                n=len(own),
                deaths=int(own["death_months"].notna().sum()),
                mean_rank=float(own["rank"].mean()),
                median_rank=float(own["rank"].median()),
            )
            for arm, own in (by_arm or ())
        },
        test=_test(used) if arms > 1 else None,
        by_subject_rows=_subjects(used),
        excluded=tuple(
            Exclusion(subject_id=str(subject), reason=reason) for subject, reason in excluded.dropna().items()
        ),
        cautions=_cautions(used, study, too_many=too_many),
    )


def _changes(scores: Scores, timeline: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return `subject_id`, `months` since the index date and `change` since baseline, by subject and time.

    Baseline itself is the first of each subject's rows; who has no baseline has no rows.
    """
    table = members(scores.table, timeline.index)[["subject_id", "on", "value"]]
    table = table.loc[~table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))]
    index_on = of_subject(timeline["index_on"], table["subject_id"])
    table = table.assign(months=days_between(table["on"], index_on) / DAYS_PER_MONTH)
    table = table.loc[table["months"].notna()].sort_values(["subject_id", "months"], kind="stable")
    within = study.composite.within_months
    if within is not None:
        table = table.loc[table["months"].le(within)]
    before = table["months"].le(0)
    baseline = table.loc[before].drop_duplicates("subject_id", keep="last")
    rows = pd.concat([baseline, table.loc[~before]]).sort_values(["subject_id", "months"], kind="stable")
    start = of_subject(baseline.set_index("subject_id")["value"], rows["subject_id"])
    return rows.assign(change=rows["value"] - start).dropna(subset="change")


def _people(timeline: pd.DataFrame, changes: pd.DataFrame, study: Study) -> pd.DataFrame:
    last = changes.drop_duplicates("subject_id", keep="last").set_index("subject_id")
    death = days_between(death_days(timeline, study), timeline["index_on"]) / DAYS_PER_MONTH
    contact = days_between(timeline["last_contact_on"], timeline["index_on"]) / DAYS_PER_MONTH
    within = study.composite.within_months
    later = death > within if within is not None else np.zeros(len(death), dtype=bool)
    return timeline[["arm", "index_on"]].assign(
        died=timeline["died"] & ~later,
        death_months=np.where(later, np.nan, death),
        # Who died after the horizon is known to have lived until then.
        followed_months=np.where(later, np.inf, contact),
        score_months=last["months"].reindex(timeline.index),
        change=last["change"].reindex(timeline.index),
    )


def _excluded(people: pd.DataFrame, *, in_arms: bool) -> pd.Series:
    """Return why a subject is not ranked, by subject id; missing for who is."""
    reasons = {
        NO_ARM: people["arm"].isna() & in_arms,
        NO_INDEX: people["index_on"].isna(),
        NO_DATE: people["died"] & people["death_months"].isna(),
        DEATH_FIRST: people["death_months"].lt(0),
        NO_BASELINE: ~people["died"] & people["change"].isna(),
        NO_LATER: ~people["died"] & ~people["score_months"].gt(0),
    }
    said = pd.Series(None, index=people.index, dtype=object)
    for reason, holds in reversed(reasons.items()):
        said = said.mask(holds, reason)
    return said


def _ranked(used: pd.DataFrame, changes: pd.DataFrame, study: Study) -> Cafs:
    ties = study.composite.lost_before_death == "tie"
    # A visit after the last contact is one, too.
    followed = used[["followed_months", "score_months"]].max(axis=1).to_numpy(dtype=np.float64)
    return cafs(
        used["death_months"].to_numpy(dtype=np.float64),
        used.index.get_indexer(pd.Index(changes["subject_id"])),
        changes["months"].to_numpy(dtype=np.float64),
        changes["change"].to_numpy(dtype=np.float64),
        common_time=study.composite.common_time,
        followed_until=followed if ties else None,
    )


def _test(used: pd.DataFrame) -> RankTest | None:
    """Return the test of the arms' ranks; nothing where fewer than two arms have somebody."""
    groups = [own.to_numpy(dtype=np.float64) for _, own in used.groupby("arm", sort=True)["rank"]]
    if len(groups) < 2:
        return None
    if len(groups) > 2:
        if used["rank"].nunique() == 1:
            return RankTest(method="Kruskal-Wallis", statistic=0.0, p=1.0)
        from scipy.stats import kruskal  # noqa: PLC0415 - slow to load, and few studies have three arms

        statistic, p = kruskal(*groups)
        return RankTest(method="Kruskal-Wallis", statistic=float(statistic), p=float(p))
    first = used["arm"].eq(used["arm"].min()).to_numpy(dtype=bool)
    u, p, exact = rank_sum_p(used["rank"].to_numpy(dtype=np.float64), first)
    way = "exact" if exact else "normal approximation"
    return RankTest(method=f"Wilcoxon rank sum, {way}", statistic=u, p=p)


def _subjects(used: pd.DataFrame) -> tuple[SubjectRank, ...]:
    def known(column: str) -> list[float | None]:
        return [None if np.isnan(number) else number for number in used[column].tolist()]

    columns = {
        "subject_id": used.index.tolist(),
        "arm": used["arm"].astype(object).where(used["arm"].notna(), None).tolist(),
        **{name: known(name) for name in ("death_months", "score_months", "change")},
        "sum": used["sum"].tolist(),
        "rank": used["rank"].tolist(),
    }
    return tuple(
        SubjectRank(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )


def _cautions(used: pd.DataFrame, study: Study, *, too_many: bool) -> tuple[str, ...]:
    if too_many:
        return (f"More than {MOST:,} subjects: pairs were not compared.",)
    told: list[str] = []
    deaths = used["death_months"]
    first = deaths.min()
    lost = int((deaths.isna() & used[["followed_months", "score_months"]].max(axis=1).lt(deaths.max())).sum())
    if len(used) and np.isnan(first):
        told.append("Nobody died: the ranks rest on the change of the score alone.")
    if lost:
        taken = "as survivors" if study.composite.lost_before_death == "survivor_wins" else "as ties"
        told.append(f"{lost} were last seen before another subject died; such pairs count {taken}.")
    if len(used) and study.composite.common_time == "carry_last":
        told.append(
            "Two survivors are compared at the earlier of their last visits, with the last score until then: "
            "where visits are far apart that flatters who came seldom."
        )
    return tuple(told)
