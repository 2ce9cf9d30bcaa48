"""The score trajectories of many subjects in one plot, with the group's line."""

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.figure import (
    GREY,
    NARROW,
    PERIOD_COLOURS,
    PERIOD_DASHES,
    WIDE,
    Picture,
    caption_axes,
    inline_svg,
    month_ticks,
    score_ticks,
    sheet,
)
from fhiradapter.reports.formats import known
from fhiradapter.reports.natural_history import CONCEPT
from fhiradapter.reports.trajectory_plot import (
    MOST_PANELS,
    natural_history,
    scores_by_subject,
    shared_frame,
)
from fhiradapter.reports.wording import label
from fhiradapter.results import Results, Score


def group_lines(axes: Axes, results: Results, series: dict[str, list[Score]]) -> None:
    """Draw per period the mean of the subjects' lines, from their median start to their median end."""
    for period in results.progression.periods:
        rows = [
            row
            for row in results.progression.by_subject_rows
            if row.period == period and row.adequate and known(row.slope) and known(row.intercept)
        ]
        spans = [
            [score.months for score in series.get(row.subject_id, []) if period in score.periods]
            for row in rows
        ]
        spans = [months for months in spans if months]
        if not spans:
            continue
        ends = np.array(
            [np.median([min(months) for months in spans]), np.median([max(months) for months in spans])]
        )
        slope = np.mean([row.slope for row in rows if row.slope is not None])
        level = np.mean([row.intercept for row in rows if row.intercept is not None])
        colour = PERIOD_COLOURS.get(period, GREY)
        axes.plot(ends, level + slope * ends, color="white", linewidth=5.5, zorder=4)
        axes.plot(
            ends,
            level + slope * ends,
            color=colour,
            linestyle=PERIOD_DASHES.get(period, "-"),
            linewidth=3,
            zorder=5,
        )


def plot_spaghetti(results: Results, *, width: float, name: str) -> Markup:
    """Draw all subjects in one plot with the group's line."""
    series = scores_by_subject(results)
    frame = shared_frame(results)
    figure = sheet(width, 430 if width > NARROW else 330)
    axes = figure.subplots()
    axes.set_xlim(frame.first_month, frame.last_month)
    axes.set_ylim(frame.minimum, frame.maximum * 1.04)
    axes.grid(axis="y")
    firsts = [scores[0] for scores in series.values()]
    if results.progression.concept == CONCEPT:
        start = float(np.median([score.months for score in firsts]))
        value = float(np.mean([score.value for score in firsts]))
        natural_history(axes, start=start, value=value, end=frame.last_month)
    for scores in series.values():
        axes.plot(
            [score.months for score in scores],
            [score.value for score in scores],
            color="#4d565e",
            alpha=0.33,
            linewidth=0.9,
            marker="." if len(scores) == 1 else "",
            markersize=3,
        )
    group_lines(axes, results, series)
    score_ticks(axes, frame.maximum)
    month_ticks(axes, most=10 if width > NARROW else 6)
    caption_axes(axes, x=f"Months from {frame.origin}", y=f"{label(results.progression.concept)}")
    return inline_svg(
        figure,
        name=name,
        title=f"Score trajectories of {len(series)} subjects",
        description="One thin line per subject, a thick line for the mean of their least-squares lines",
    )


def picture_spaghetti(results: Results) -> Picture | None:
    """Return the plot of all subjects in one, when they are too many for a plot each."""
    if len(scores_by_subject(results)) <= MOST_PANELS:
        return None
    return Picture(
        wide=plot_spaghetti(results, width=WIDE, name="trajectories-wide"),
        narrow=plot_spaghetti(results, width=NARROW, name="trajectories-narrow"),
    )
