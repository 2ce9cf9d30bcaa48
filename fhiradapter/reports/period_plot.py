"""The slopes of each period, subject by subject, with the mean and its interval."""

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.figure import (
    GREY,
    INK,
    NARROW,
    PERIOD_COLOURS,
    Picture,
    inline_svg,
    sheet,
)
from fhiradapter.reports.formats import interval, known, number
from fhiradapter.reports.natural_history import CONCEPT, LEAST, MEAN, MOST
from fhiradapter.reports.trajectory_plot import MOST_PANELS
from fhiradapter.reports.wording import inner, label
from fhiradapter.results import Results, SubjectSlope

GOLDEN = 0.618034  # multiples of it modulo 1 spread points evenly without chance


def drawn_rows(results: Results) -> list[SubjectSlope]:
    """Return the slopes that exist, adequate or not."""
    return [row for row in results.progression.by_subject_rows if known(row.slope)]


def places(rows: list[SubjectSlope]) -> dict[str, float]:
    """Return how far to the left or right each subject is drawn, so that many do not hide each other."""
    subjects = list(dict.fromkeys(row.subject_id for row in rows))
    width = 0.36 if len(subjects) > MOST_PANELS else 0.10
    return {subject: ((index * GOLDEN) % 1 - 0.5) * width for index, subject in enumerate(subjects)}


def draw_subjects(axes: Axes, rows: list[SubjectSlope], columns: dict[str, int]) -> None:
    """Draw one dot per subject and period, hollow when it does not count, joined within the subject."""
    place = places(rows)
    many = len(place) > MOST_PANELS
    for subject, offset in place.items():
        own = [row for row in rows if row.subject_id == subject and row.period in columns]
        own.sort(key=lambda row: columns[row.period])
        axes.plot(
            [columns[row.period] + offset for row in own],
            [row.slope or 0.0 for row in own],
            color="#b4bac0",
            linewidth=0.5 if many else 1,
            zorder=2,
        )
    for period, column in columns.items():
        colour = PERIOD_COLOURS.get(period, GREY)
        for adequate in (False, True):
            own = [row for row in rows if row.period == period and row.adequate is adequate]
            axes.plot(
                [column + place[row.subject_id] for row in own],
                [row.slope or 0.0 for row in own],
                linestyle="none",
                marker="o",
                markersize=4 if many else 6.5,
                markerfacecolor=colour if adequate else "white",
                markeredgecolor="white" if adequate else colour,
                markeredgewidth=0.6 if adequate else 1.2,
                alpha=0.75 if many else 1,
                zorder=3,
            )


def draw_means(axes: Axes, results: Results, columns: dict[str, int]) -> None:
    """Draw mean and t interval beside the dots, with their numbers."""
    for period, column in columns.items():
        summary = results.progression.periods[period]
        if not known(summary.mean_slope):
            continue
        beside = column + 0.25
        if summary.ci95 is not None:
            axes.plot(
                [beside, beside], summary.ci95, color=INK, linewidth=1.8, zorder=4, solid_capstyle="butt"
            )
        axes.plot(
            beside, summary.mean_slope, marker="D", color=INK, markersize=8, markeredgecolor="white", zorder=5
        )
        axes.annotate(
            number(summary.mean_slope),
            (beside, summary.mean_slope),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=12,
            fontweight="bold",
            zorder=6,
            gid=f"halo-{column}",  # style.css gives it a white edge
        )


def draw_natural_history(axes: Axes) -> None:
    """Draw the slopes that are expected without treatment."""
    axes.axhspan(-MOST, -LEAST, color="#eff1f3", linewidth=0, zorder=0)
    axes.axhline(-MEAN, color="#7d868e", linewidth=1.1, linestyle=":", zorder=1)
    axes.text(
        0.985, -MOST + 0.03, "natural history", transform=axes.get_yaxis_transform(), ha="right", color=GREY
    )
    axes.axhline(0, color="#9aa2a9", linewidth=0.8, zorder=1)


def plot_periods(results: Results, *, width: float, name: str) -> Markup:
    """Draw one column per period."""
    columns = {period: index for index, period in enumerate(results.progression.periods)}
    rows = drawn_rows(results)
    figure = sheet(width, 360 if width > NARROW else 320)
    axes = figure.subplots()
    comparable = results.progression.concept == CONCEPT
    if comparable:
        draw_natural_history(axes)
    draw_subjects(axes, rows, columns)
    draw_means(axes, results, columns)
    slopes = np.array([row.slope for row in rows], dtype=float)
    low, high = min(slopes.min(), -MOST if comparable else 0), max(slopes.max(), 0)
    margin = 0.06 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(-0.45, len(columns) - 0.25)
    counts = [
        f"{(label(period) if width > NARROW else label(period).split()[0])}\nn = {summary.n}"
        for period, summary in results.progression.periods.items()
    ]
    axes.set_xticks(range(len(columns)), counts)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set_ylabel("Slope, points per month")
    means = "; ".join(
        f"{inner(period)} mean {number(summary.mean_slope)}, interval {interval(summary.ci95)}"
        for period, summary in results.progression.periods.items()
        if summary.mean_slope is not None and summary.ci95 is not None
    )
    return inline_svg(
        figure, name=name, title="Slopes by period", description=means or "No mean could be estimated"
    )


def picture_periods(results: Results) -> Picture | None:
    """Return the comparison of the periods, when there is any slope."""
    if not drawn_rows(results) or not results.progression.periods:
        return None
    wide = 620 if len(results.progression.periods) > 1 else 420
    return Picture(
        wide=plot_periods(results, width=wide, name="periods-wide"),
        narrow=plot_periods(results, width=NARROW, name="periods-narrow"),
    )
