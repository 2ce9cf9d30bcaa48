"""Vital capacity over time, as measured and as change from baseline."""

from collections import defaultdict
from statistics import median

from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.biomarker_plot import LEAST_DRAWN, MOST_NAMED
from fhiradapter.reports.figure import (
    INK,
    NARROW,
    SUBJECT_COLOURS,
    SUBJECT_MARKERS,
    WIDE,
    Picture,
    inline_svg,
    month_ticks,
    sheet,
)
from fhiradapter.reports.formats import known, number, plain
from fhiradapter.reports.vital_capacity_tables import decimals, unit_of_change
from fhiradapter.reports.wording import TIME_ORIGINS, label
from fhiradapter.results import VitalCapacity, VitalCapacityValue, VitalCapacityVisit


def draw_lines(axes: Axes, series: dict[str, list[VitalCapacityValue]], *, change: bool) -> None:
    """Draw one line per subject."""
    many = len(series) > MOST_NAMED
    for index, (subject, values) in enumerate(series.items()):
        points = sorted((value.months, (value.change or 0.0) if change else value.value) for value in values)
        axes.plot(
            [month for month, _ in points],
            [level for _, level in points],
            color="#4d565e" if many else SUBJECT_COLOURS[index % len(SUBJECT_COLOURS)],
            marker="." if many else SUBJECT_MARKERS[index % len(SUBJECT_MARKERS)],
            linewidth=0.7 if many else 1.4,
            markersize=4 if many else 5.5,
            alpha=0.4 if many else 1,
            label=plain(subject, longest=16),
        )
    axes.grid(axis="y")


def draw_visits(axes: Axes, capacity: VitalCapacity) -> None:
    """Draw the mean change of each visit of enough subjects at the median month of its values."""
    months: dict[str | None, list[float]] = defaultdict(list)
    for value in capacity.series:
        if known(value.change):
            months[value.visit].append(value.months)
    points: list[tuple[float, VitalCapacityVisit]] = sorted(
        (
            (median(months[visit.label]), visit)
            for visit in capacity.visits
            if visit.change.n >= LEAST_DRAWN and visit.label in months
        ),
        key=lambda point: point[0],
    )
    for month, visit in points:
        bar = visit.change.ci95 or (0, 0)
        axes.plot([month] * 2, bar, color=INK, linewidth=1.4, solid_capstyle="butt", zorder=4)
    axes.plot(
        [month for month, _ in points],
        [visit.change.change or 0.0 for _, visit in points],
        linestyle="none",
        marker="D",
        markersize=6,
        markerfacecolor="white",
        markeredgecolor=INK,
        zorder=5,
    )


def plot_capacity(capacity: VitalCapacity, *, width: float, name: str, origin: str) -> Markup:
    """Draw values on one side and changes on the other, below each other on a phone."""
    series: dict[str, list[VitalCapacityValue]] = defaultdict(list)
    for value in capacity.series:
        series[value.subject_id].append(value)
    phone = width <= NARROW
    figure = sheet(width, 600 if phone else 350)
    left, right = figure.subplots(2, 1) if phone else figure.subplots(1, 2)
    draw_lines(left, series, change=False)
    changed = {subject: [value for value in own if known(value.change)] for subject, own in series.items()}
    right.axhline(0, color="#9aa2a9", linewidth=1)
    draw_lines(right, changed, change=True)
    # Counted from onset, the subjects of one visit are years apart.
    if origin != TIME_ORIGINS["onset"]:
        draw_visits(right, capacity)
    left.set_ylabel("Percent predicted" if capacity.unit == "%" else plain(capacity.unit or "Value"))
    right.set_ylabel(f"Change, {unit_of_change(capacity)}")
    for axes in (left, right):
        month_ticks(axes, most=6)
        axes.set_xlabel(f"Months from {origin}")
    if len(series) <= MOST_NAMED:
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2 if phone else len(series))
    mean = number(capacity.change.change, decimals=decimals(capacity))
    return inline_svg(
        figure,
        name=name,
        title=f"{label(plain(capacity.concept))} over time",
        description=f"{len(series)} subjects. Mean change {mean} {unit_of_change(capacity)}",
    )


def picture_capacity(capacity: VitalCapacity, *, index: int, origin: str) -> Picture | None:
    """Return the plot of one series, when a subject has a change that it could show."""
    if capacity.change.n == 0:
        return None
    return Picture(
        wide=plot_capacity(capacity, width=WIDE, name=f"capacity-{index}-wide", origin=origin),
        narrow=plot_capacity(capacity, width=NARROW, name=f"capacity-{index}-narrow", origin=origin),
    )
