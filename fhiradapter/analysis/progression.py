"""How the functional score changes over time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.marks import marks
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.period_model import CONTRASTS, ModelRows, fit_period_model, model_rows
from fhiradapter.analysis.period_slopes import paired_contrast, slope_rows, subject_slopes, summarise_periods
from fhiradapter.analysis.periods import lies_in, months_from_origin, period_names, time_origin
from fhiradapter.analysis.plain import as_words
from fhiradapter.analysis.population import members, of_subject, unmatched_names
from fhiradapter.analysis.progression_cautions import cautions
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.analysis.score_units import score_units, usual_unit
from fhiradapter.analysis.scores import Scores, derive_scores
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Progression, ResultRows, Score
from fhiradapter.settings import Study

NO_ORIGIN = "no_time_origin"
IN_NO_PERIOD = "in_no_period"
AFTER_DEATH = "after_death"


def derive_progression(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, *, scores: Scores | None = None
) -> Progression:
    """Derive the slopes of the study's score per subject, period and group.

    timeline: the result of `derive_timeline`. scores: the result of `derive_scores`, when it is already
    there. Scores after the death are left out and counted. Slopes are in points per month of 30.4375 days.

    >>> from datetime import date
    >>> from fhiradapter.analysis.timeline import derive_timeline
    >>> row = {"subject_id": "s1", "concept": "alsfrs_r_total", "status": "final"}
    >>> rows = [{**row, "value": 40.0, "measured_on": date(2023, 1, 1)},
    ...         {**row, "value": 28.0, "measured_on": date(2024, 1, 1)}]
    >>> cohort = Cohort.from_rows({"measurements": rows})
    >>> study = Study.model_validate({"study": {"id": "x", "title": "x"}})
    >>> result = derive_progression(cohort, study, derive_timeline(cohort, study))
    >>> round(result.periods["all"].mean_slope, 4)  # -12 points in 365 days
    -1.0007
    """
    derived = scores or derive_scores(cohort, study)
    rows = over_parts(progression_rows, cohort, study, timeline, derived)
    return summarise_progression(
        rows, study, timeline, scores=derived, unmatched=unmatched_names(cohort, study)
    )


@dataclass(frozen=True)
class ProgressionRows:
    """What is derived of some subjects.

    scores: one row per score as plotted, with `periods` and `flags` (tuples). lines: one row per subject and
    period, as from `subject_slopes`. counts: scores that were left out. units: units as sent.
    """

    scores: pd.DataFrame
    lines: pd.DataFrame
    model: ModelRows
    counts: Counter[str]
    units: Counter[str]


def progression_rows(cohort: Cohort, study: Study, timeline: pd.DataFrame, scores: Scores) -> ProgressionRows:
    """Derive what `summarise_progression` needs of some whole subjects."""
    table, after_death = _until_death(scores.table, timeline)
    months, missing = months_from_origin(table, timeline, study)
    placed = table.assign(months=months, from_origin=~missing, **lies_in(table, timeline, study))
    names = period_names(study)
    nowhere = ~placed[list(names)].any(axis=1)
    return ProgressionRows(
        scores=_plotted(placed, names),
        lines=subject_slopes(placed, timeline, study),
        model=model_rows(placed, timeline, study),
        counts=Counter(
            {AFTER_DEATH: after_death, NO_ORIGIN: int(missing.sum()), IN_NO_PERIOD: int(nowhere.sum())}
        ),
        units=score_units(cohort, study),
    )


def summarise_progression(
    rows: ProgressionRows,
    study: Study,
    timeline: pd.DataFrame,
    *,
    scores: Scores,
    unmatched: tuple[str, ...] = (),
) -> Progression:
    """Return what the rows of all subjects show; `unmatched` are sentences on names that mean nobody."""
    lines = rows.lines
    model, note = fit_period_model(rows.model, study)
    contrasts = {
        name: paired_contrast(lines, later, earlier, confidence=study.statistics.confidence)
        for name, (later, earlier) in CONTRASTS.items()
        if study.treatment is not None
    }
    return Progression(
        concept=study.progression.concept,
        unit=_unit(rows.units, study),
        time_origin=time_origin(study),
        periods=summarise_periods(lines, study),
        contrasts=contrasts,
        mixed_model=model,
        mixed_model_note=note,
        by_subject_rows=slope_rows(lines),
        scores=ResultRows(rows.scores, _scores),
        score_notes=scores.notes | {reason: count for reason, count in rows.counts.items() if count},
        cautions=cautions(study, timeline, lines, contrasts, model, unmatched=unmatched),
    )


def _until_death(table: pd.DataFrame, timeline: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    table = members(table, timeline.index)
    late = table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))
    return table.loc[~late].reset_index(drop=True), int(late.sum())


def _unit(units: Counter[str], study: Study) -> str:
    concept = study.progression.concept
    usual = usual_unit(units)
    unit = "points" if concept == TOTAL or usual in {None, "{score}", "1"} else usual
    return f"{unit}/month"


def _plotted(placed: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the scores with their periods; a total that the items overruled is told among the flags."""
    flags = placed["flags"].copy()
    astray = placed.index[~placed["from_origin"]]
    flags.loc[astray] = [(*flag, NO_ORIGIN) for flag in flags.loc[astray]]
    overruled = placed["reported_value"].dropna()
    told = overruled.map("reported_total={:g}".format)
    flags.loc[overruled.index] = [
        (*flag, text) for flag, text in zip(flags.loc[overruled.index], told, strict=True)
    ]
    periods = marks({name: placed[name] for name in names}, placed.index)
    return placed[["subject_id", "row_id", "on", "months", "value"]].assign(periods=periods, flags=flags)


def _scores(plotted: pd.DataFrame) -> Iterator[Score]:
    return (
        Score(subject_id=subject, row_id=row, on=on, months=month, value=value, periods=period, flags=flag)
        for subject, row, on, month, value, period, flag in zip(
            as_words(plotted["subject_id"]),
            plotted["row_id"].tolist(),
            as_dates(plotted["on"]),
            plotted["months"].tolist(),
            plotted["value"].tolist(),
            plotted["periods"].tolist(),
            plotted["flags"].tolist(),
            strict=True,
        )
    )
