"""The Kaplan-Meier curves with the numbers at risk below."""

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from fhiradapter.reports.figure import (
    INK,
    NARROW,
    SUBJECT_COLOURS,
    WIDE,
    Picture,
    inline_svg,
    sheet,
)
from fhiradapter.reports.formats import count, plain
from fhiradapter.reports.survival_tables import EVERYBODY, drawn_curves, reached
from fhiradapter.reports.wording import TIME_ORIGINS
from fhiradapter.results import Results, Survival, SurvivalCurve

DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def limits(curve: SurvivalCurve) -> tuple[list[float], list[float]]:
    """Return the limits to draw; where nobody survives they are unknown, and the band ends there."""
    lower, upper = [1.0], [1.0]
    for step in curve.steps:
        lower.append(lower[-1] if step.lower is None else step.lower)
        upper.append(upper[-1] if step.upper is None else step.upper)
    return lower, upper


def draw_curve(axes: Axes, curve: SurvivalCurve, *, colour: str, dash: object, name: str) -> None:
    """Draw one curve with its interval, and a tick where somebody is censored."""
    months = np.array([0.0, *(step.months for step in curve.steps)])
    share = np.array([1.0, *(step.survival for step in curve.steps)])
    if curve.events:
        lower, upper = limits(curve)
        axes.fill_between(months, lower, upper, step="post", color=colour, alpha=0.11, linewidth=0)
    axes.plot(
        months,
        share,
        drawstyle="steps-post",
        color=colour,
        linestyle=dash,
        linewidth=2,
        label=name,
        zorder=3,
    )
    left = [step for step in curve.steps if step.censored]
    axes.plot(
        [step.months for step in left],
        [step.survival for step in left],
        linestyle="none",
        marker="|",
        markersize=8,
        markeredgewidth=1.3,
        color=colour,
        zorder=4,
    )


def draw_numbers(axes: Axes, survival: Survival, drawn: dict[str, SurvivalCurve], *, narrow: bool) -> None:
    """Write the numbers at risk below the ticks, one row per curve; on a phone every second one."""
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, pad=9, labelbottom=False)
    every = 2 if narrow and len(survival.times) > 5 else 1
    for row, curve in enumerate(drawn.values()):
        for months, at_risk in list(zip(survival.times, curve.at_risk, strict=True))[::every]:
            axes.text(
                months, row, count(at_risk), ha="center", va="center_baseline", fontsize=10.5, color=INK
            )
    rows = ["All" if name == EVERYBODY else plain(name, longest=9 if narrow else 16) for name in drawn]
    axes.set_yticks(range(len(rows)), rows)
    for tick, colour in zip(axes.get_yticklabels(), SUBJECT_COLOURS, strict=False):
        tick.set_color(colour)
    axes.set_title("Number at risk", loc="left", fontsize=10.5, pad=1)


def plot_survival(survival: Survival, *, width: float, name: str) -> Markup:
    """Draw the curves over the numbers at risk."""
    drawn = drawn_curves(survival)
    narrow = width <= NARROW
    plot, below = (300 if narrow else 340), 34 + 18 * len(drawn)
    figure = sheet(width, plot + below)
    axes, numbers = figure.subplots(2, 1, sharex=True, height_ratios=(plot, below))
    for place, (group, curve) in enumerate(drawn.items()):
        draw_curve(
            axes, curve, colour=SUBJECT_COLOURS[place], dash=DASHES[place % len(DASHES)], name=plain(group)
        )
    last = max((row.months for row in survival.by_subject_rows), default=0.0)
    axes.set_xlim(-0.02 * max(last, 1), 1.03 * max(last, 1))
    axes.set_ylim(0, 1.04)
    axes.set_xticks(survival.times)
    axes.tick_params(labelbottom=True)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y")
    axes.set_ylabel("Alive" if survival.event == "death" else "Alive without the event")
    axes.set_xlabel(f"Months from {TIME_ORIGINS.get(survival.origin, survival.origin)}")
    if len(drawn) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1 if narrow else 2, borderaxespad=0.2)
    draw_numbers(numbers, survival, drawn, narrow=narrow)
    words = "; ".join(
        f"{group}: {curve.events} events among {curve.n}, median {reached(curve.median)}"
        for group, curve in drawn.items()
    )
    return inline_svg(figure, name=name, title="Survival", description=words)


def picture_survival(results: Results) -> Picture | None:
    """Return the curves, when somebody has a time at risk."""
    survival = results.survival
    if survival is None or not survival.overall.n:
        return None
    return Picture(
        wide=plot_survival(survival, width=WIDE, name="survival-wide"),
        narrow=plot_survival(survival, width=NARROW, name="survival-narrow"),
    )
