"""The score trajectories of the subjects with the slopes of their periods."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.figure import (
    BLUE,
    GREY,
    INK,
    PERIOD_COLOURS,
    PERIOD_DASHES,
    caption_axes,
    inline_svg,
    month_ticks,
    score_ticks,
    sheet,
)
from fhiradapter.reports.formats import known, number, plain
from fhiradapter.reports.natural_history import CONCEPT, LEAST, MEAN, MOST
from fhiradapter.reports.wording import TIME_ORIGINS, inner
from fhiradapter.results import Results, Score, SubjectSlope, SubjectSummary
from fhiradapter.settings import DAYS_PER_MONTH

MOST_PANELS = 24


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One subject's plot and the slopes below it, as period, dash and words."""

    subject_id: str
    svg: Markup
    slopes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What all panels share, so that they can be compared by eye."""

    first_month: float
    last_month: float
    minimum: float
    maximum: float
    origin: str


def scores_by_subject(results: Results) -> dict[str, list[Score]]:
    """Return each subject's scores in the order of time."""
    series: dict[str, list[Score]] = defaultdict(list)
    for score in results.progression.scores:
        series[score.subject_id].append(score)
    return {subject: sorted(scores, key=lambda score: score.months) for subject, scores in series.items()}


def shared_frame(results: Results) -> Frame:
    """Return the axes that hold every score."""
    months, values = zip(*((score.months, score.value) for score in results.progression.scores), strict=True)
    margin = 0.03 * max(max(months) - min(months), 1)
    scale = results.policies.get("progression.maximum")
    return Frame(
        first_month=min(months) - margin,
        last_month=max(months) + margin,
        minimum=min([*values, 0]),
        maximum=max([*values, float(scale) if isinstance(scale, int | float) else 1]),
        origin=TIME_ORIGINS.get(results.progression.time_origin, results.progression.time_origin),
    )


def month_of(day: date | None, scores: list[Score]) -> float | None:
    """Return where a day lies on the scores' time axis, by a score that has both."""
    dated = next((score for score in scores if score.on is not None), None)
    if day is None or dated is None or dated.on is None:
        return None
    return dated.months + (day - dated.on).days / DAYS_PER_MONTH


def natural_history(axes: Axes, *, start: float, value: float, end: float) -> None:
    """Draw where a score that was `value` at `start` would be expected without treatment."""
    months = np.array([start, end])
    passed = months - start
    # Below 0 there is no score; the axis cuts the wedge there.
    axes.fill_between(months, value - MOST * passed, value - LEAST * passed, color="#e9ecee", linewidth=0)
    axes.plot(months, value - MEAN * passed, color="#7d868e", linewidth=1.1, linestyle=":")


def period_lines(axes: Axes, rows: list[SubjectSlope], scores: list[Score]) -> None:
    """Draw each period's least-squares line over the scores that it rests on."""
    for row in rows:
        months = [score.months for score in scores if row.period in score.periods]
        if not known(row.slope) or not known(row.intercept) or len(months) < 2:
            continue
        ends = np.array([min(months), max(months)])
        axes.plot(
            ends,
            row.intercept + row.slope * ends,
            color=PERIOD_COLOURS.get(row.period, GREY),
            linestyle=PERIOD_DASHES.get(row.period, "-"),
            linewidth=2.2,
            alpha=1 if row.adequate else 0.45,
        )


def treatment_window(axes: Axes, subject: SubjectSummary | None, scores: list[Score]) -> None:
    """Mark first to last dose along the foot of the plot."""
    if subject is None:
        return
    start, end = month_of(subject.first_dose_on, scores), month_of(subject.last_dose_on, scores)
    if start is None or end is None:
        return
    axes.axvspan(start, end, ymin=0, ymax=0.035, color=BLUE, linewidth=0)
    axes.axvline(start, color=BLUE, linewidth=0.8, alpha=0.5)


def plot_subject(
    subject_id: str,
    scores: list[Score],
    rows: list[SubjectSlope],
    *,
    results: Results,
    frame: Frame,
    index: int,
) -> Panel:
    """Draw one subject's scores, slopes, treatment and plausibility band."""
    summaries = {subject.subject_id: subject for subject in results.cohort.subjects}
    figure = sheet(272, 196)
    axes = figure.subplots()
    axes.set_xlim(frame.first_month, frame.last_month)
    axes.set_ylim(frame.minimum, frame.maximum * 1.04)
    axes.grid(axis="y")
    first = scores[0]
    if results.progression.concept == CONCEPT:
        natural_history(axes, start=first.months, value=first.value, end=frame.last_month)
    treatment_window(axes, summaries.get(subject_id), scores)
    period_lines(axes, rows, scores)
    axes.plot(
        [score.months for score in scores],
        [score.value for score in scores],
        linestyle="none",
        marker="o",
        markersize=4.6,
        markerfacecolor=INK,
        markeredgecolor="white",
        markeredgewidth=0.7,
    )
    score_ticks(axes, frame.maximum)
    month_ticks(axes, most=7)
    caption_axes(axes, x=f"Months from {frame.origin}", y="Score")
    slopes = tuple(
        (row.period, inner(row.period), number(row.slope) if row.adequate else f"({number(row.slope)})")
        for row in rows
        if known(row.slope)
    )
    spoken = "; ".join(f"{words} {value} points per month" for _, words, value in slopes)
    svg = inline_svg(
        figure,
        name=f"trajectory-{index}",
        title=f"Score trajectory of subject {subject_id}",
        description=f"{len(scores)} scores from {number(first.value, decimals=0)} to "
        f"{number(scores[-1].value, decimals=0)}. {spoken or 'No slope could be estimated'}",
    )
    return Panel(subject_id=plain(subject_id), svg=svg, slopes=slopes)


def plot_panels(results: Results) -> tuple[Panel, ...]:
    """Draw one small plot per subject, all on the same axes; nothing when there are too many."""
    series = scores_by_subject(results)
    if not series or len(series) > MOST_PANELS:
        return ()
    rows: dict[str, list[SubjectSlope]] = defaultdict(list)
    for row in results.progression.by_subject_rows:
        rows[row.subject_id].append(row)
    frame = shared_frame(results)
    return tuple(
        plot_subject(subject, scores, rows[subject], results=results, frame=frame, index=index)
        for index, (subject, scores) in enumerate(series.items(), start=1)
    )
