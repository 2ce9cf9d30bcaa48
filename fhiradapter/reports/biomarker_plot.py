"""A biomarker over time on a logarithmic scale, as measured and as ratio to baseline."""

from collections import defaultdict
from statistics import median

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

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
from fhiradapter.reports.formats import interval, known, number, plain
from fhiradapter.reports.wording import TIME_ORIGINS, label
from fhiradapter.results import Biomarker, BiomarkerValue, BiomarkerVisit

MOST_NAMED = 8  # subjects that markers and colours can still tell apart
LADDERS = (  # from fine to coarse: a ratio that hardly moves needs ticks too
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    (1, 1.5, 2, 3, 4, 5, 7),
    (1, 2, 5),
    (1,),
)
MOST_TICKS = 7
LEAST_DRAWN = 3  # subjects at a visit; the interval of two is mostly wider than the picture


def ticks_between(low: float, high: float) -> list[float]:
    """Return readable ticks of a logarithmic axis.

    >>> ticks_between(8, 130), ticks_between(0.4, 1.4)
    ([10.0, 20.0, 50.0, 100.0], [0.4, 0.5, 0.7, 1.0])
    """
    inside: list[float] = []
    for ladder in LADDERS:
        # 4 * 10 ** -1 is not 0.4 in binary; the axis' ends are wide enough for the sixth digit
        steps = [float(f"{step * 10.0**power:.6g}") for power in range(-6, 9) for step in ladder]
        inside = [step for step in steps if low <= step <= high]
        if len(inside) <= MOST_TICKS:
            break
    return inside


def logarithmic(axes: Axes, values: list[float]) -> None:
    """Give the axis a logarithmic scale with plain numbers at its ticks."""
    low, high = min(values) / 1.25, max(values) * 1.25
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(ticks_between(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y")


def draw_series(axes: Axes, series: dict[str, list[BiomarkerValue]], *, ratio: bool) -> None:
    """Draw one line per subject; values below the limit of the assay are hollow."""
    many = len(series) > MOST_NAMED
    for index, (subject, values) in enumerate(series.items()):
        points = [
            (value.months, value.ratio if ratio else value.value, value.below_limit)
            for value in sorted(values, key=lambda value: value.months)
        ]
        drawn = [(month, level, below) for month, level, below in points if known(level) and level > 0]
        colour = "#4d565e" if many else SUBJECT_COLOURS[index % len(SUBJECT_COLOURS)]
        marker = "." if many else SUBJECT_MARKERS[index % len(SUBJECT_MARKERS)]
        axes.plot(
            [month for month, _, _ in drawn],
            [level for _, level, _ in drawn],
            color=colour,
            marker=marker,
            linewidth=0.7 if many else 1.4,
            markersize=4 if many else 5.5,
            markeredgecolor=colour,
            markevery=[place for place, (_, _, below) in enumerate(drawn) if not below] or [],
            alpha=0.4 if many else 1,
            label=plain(subject, longest=16),
        )
        hollow = [(month, level) for month, level, below in drawn if below]
        axes.plot(
            [month for month, _ in hollow],
            [level for _, level in hollow],
            linestyle="none",
            marker=marker if not many else "o",
            markersize=5.5,
            markerfacecolor="white",
            markeredgecolor=colour,
        )


def drawn_visits(biomarker: Biomarker) -> list[tuple[float, BiomarkerVisit]]:
    """Return the visits of enough subjects, each at the median month of the values that stand for it."""
    months: dict[str | None, list[float]] = defaultdict(list)
    for value in biomarker.series:
        if known(value.ratio):
            months[value.visit].append(value.months)
    return sorted(
        (
            (median(months[visit.label]), visit)
            for visit in biomarker.visits
            if visit.n >= LEAST_DRAWN and known(visit.gmr) and visit.label in months
        ),
        key=lambda point: point[0],
    )


def draw_visits(axes: Axes, points: list[tuple[float, BiomarkerVisit]]) -> None:
    """Draw the geometric mean ratio of each visit with its interval; not joined: subjects come and go."""
    for month, visit in points:
        axes.plot(
            [month] * 2, visit.ci95 or (1, 1), color=INK, linewidth=1.4, solid_capstyle="butt", zorder=4
        )
    axes.plot(
        [month for month, _ in points],
        [visit.gmr or 1.0 for _, visit in points],
        linestyle="none",
        marker="D",
        markersize=6,
        markerfacecolor="white",
        markeredgecolor=INK,
        zorder=5,
    )


def draw_mean_ratio(axes: Axes, biomarker: Biomarker, *, last_month: float) -> None:
    """Draw the geometric mean ratio with its interval to the right of the lines."""
    axes.axhline(1, color="#9aa2a9", linewidth=1)
    if not known(biomarker.gmr):
        return
    beside = last_month * 1.07 + 0.2
    if biomarker.ci95 is not None:
        axes.plot([beside, beside], biomarker.ci95, color=INK, linewidth=1.8, solid_capstyle="butt", zorder=4)
    axes.plot(beside, biomarker.gmr, marker="D", color=INK, markersize=8, markeredgecolor="white", zorder=5)
    axes.annotate(
        number(biomarker.gmr),
        (beside, biomarker.gmr),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=12,
        fontweight="bold",
        gid="halo",
    )
    axes.set_xlim(right=beside + 0.17 * (beside - axes.get_xlim()[0]))


def plot_biomarker(biomarker: Biomarker, *, width: float, name: str, origin: str) -> Markup:
    """Draw values on one side and ratios on the other, below each other on a phone."""
    series: dict[str, list[BiomarkerValue]] = defaultdict(list)
    for value in biomarker.series:
        series[value.subject_id].append(value)
    phone = width <= NARROW
    figure = sheet(width, 600 if phone else 350)
    left, right = figure.subplots(2, 1) if phone else figure.subplots(1, 2)
    draw_series(left, series, ratio=False)
    logarithmic(left, [value.value for value in biomarker.series if value.value > 0] or [1.0])
    draw_series(right, series, ratio=True)
    ratios = [value.ratio for value in biomarker.series if known(value.ratio) and value.ratio > 0]
    # Counted from onset, the subjects of one visit are years apart.
    visits = [] if origin == TIME_ORIGINS["onset"] else drawn_visits(biomarker)
    bars = [end for _, visit in visits for end in visit.ci95 or ()]
    logarithmic(right, [*ratios, *bars, *(biomarker.ci95 or ()), 1.0])
    draw_visits(right, visits)
    draw_mean_ratio(right, biomarker, last_month=max(value.months for value in biomarker.series))
    unit = f", {plain(biomarker.unit)}" if biomarker.unit else ""
    left.set_ylabel(f"{label(biomarker.concept)}{unit}")
    right.set_ylabel("Ratio to baseline")
    for axes in (left, right):
        month_ticks(axes, most=6)
        axes.set_xlabel(f"Months from {origin}")
    if len(series) <= MOST_NAMED:
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2 if phone else len(series))
    mean = "" if biomarker.gmr is None else f"Geometric mean ratio {number(biomarker.gmr)}"
    limits = "" if biomarker.ci95 is None else f", interval {interval(biomarker.ci95)}"
    return inline_svg(
        figure,
        name=name,
        title=f"{label(biomarker.concept)} over time on a logarithmic scale",
        description=f"{len(series)} subjects. {mean}{limits}",
    )


def picture_biomarker(biomarker: Biomarker, *, index: int, origin: str) -> Picture | None:
    """Return the plot of one biomarker, when a subject has a change that it could show."""
    if biomarker.n == 0 or sum(value.value > 0 for value in biomarker.series) < 2:
        return None
    return Picture(
        wide=plot_biomarker(biomarker, width=WIDE, name=f"biomarker-{index}-wide", origin=origin),
        narrow=plot_biomarker(biomarker, width=NARROW, name=f"biomarker-{index}-narrow", origin=origin),
    )
