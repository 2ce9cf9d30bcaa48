"""How the functional score changes over time."""

import pandas as pd

from fhiradapter.analysis.days import as_dates
from fhiradapter.analysis.marks import marks
from fhiradapter.analysis.period_model import CONTRASTS, fit_period_model
from fhiradapter.analysis.period_slopes import paired_contrast, slope_rows, subject_slopes, summarise_periods
from fhiradapter.analysis.periods import lies_in, months_from_origin, period_names, time_origin
from fhiradapter.analysis.plain import as_words
from fhiradapter.analysis.population import members, of_subject, unmatched_names
from fhiradapter.analysis.progression_cautions import cautions
from fhiradapter.analysis.score_items import TOTAL
from fhiradapter.analysis.scores import Scores, derive_scores
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.results import Progression, Score
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
    table, after_death = _until_death(derived.table, timeline)
    months, missing = months_from_origin(table, timeline, study)
    placed = table.assign(months=months, from_origin=~missing, **lies_in(table, timeline, study))
    names = period_names(study)
    nowhere = ~placed[list(names)].any(axis=1)
    lines = subject_slopes(placed, timeline, study)
    model, note = fit_period_model(placed, timeline, study)
    contrasts = {
        name: paired_contrast(lines, later, earlier, confidence=study.statistics.confidence)
        for name, (later, earlier) in CONTRASTS.items()
        if study.treatment is not None
    }
    periods = summarise_periods(lines, study)
    more = {AFTER_DEATH: after_death, NO_ORIGIN: int(missing.sum()), IN_NO_PERIOD: int(nowhere.sum())}
    return Progression(
        concept=study.progression.concept,
        unit=_unit(cohort, study),
        time_origin=time_origin(study),
        periods=periods,
        contrasts=contrasts,
        mixed_model=model,
        mixed_model_note=note,
        by_subject_rows=slope_rows(lines),
        scores=_scores(placed, names),
        score_notes=derived.notes | {reason: count for reason, count in more.items() if count},
        cautions=cautions(study, timeline, lines, contrasts, model, unmatched=unmatched_names(cohort, study)),
    )


def _until_death(table: pd.DataFrame, timeline: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    table = members(table, timeline.index)
    late = table["on"].gt(of_subject(timeline["death_latest_on"], table["subject_id"]))
    return table.loc[~late].reset_index(drop=True), int(late.sum())


def _unit(cohort: Cohort, study: Study) -> str:
    concept = study.progression.concept
    units = cohort.select("measurements", ["unit"], concepts=[concept])["unit"].mode()
    unit = (
        "points"
        if concept == TOTAL or units.empty or units.iloc[0] in {"{score}", "1"}
        else str(units.iloc[0])
    )
    return f"{unit}/month"


def _scores(placed: pd.DataFrame, names: tuple[str, ...]) -> tuple[Score, ...]:
    """Return the scores as results; a total that the items overruled is told among the flags."""
    periods = marks({name: placed[name] for name in names}, placed.index)
    flags = placed["flags"].copy()
    astray = placed.index[~placed["from_origin"]]
    flags.loc[astray] = [(*flag, NO_ORIGIN) for flag in flags.loc[astray]]
    overruled = placed["reported_value"].dropna()
    told = overruled.map("reported_total={:g}".format)
    flags.loc[overruled.index] = [
        (*flag, text) for flag, text in zip(flags.loc[overruled.index], told, strict=True)
    ]
    return tuple(
        Score(subject_id=subject, row_id=row, on=on, months=month, value=value, periods=period, flags=flag)
        for subject, row, on, month, value, period, flag in zip(
            as_words(placed["subject_id"]),
            placed["row_id"].tolist(),
            as_dates(placed["on"]),
            placed["months"].tolist(),
            placed["value"].tolist(),
            periods.tolist(),
            flags.tolist(),
            strict=True,
        )
    )
