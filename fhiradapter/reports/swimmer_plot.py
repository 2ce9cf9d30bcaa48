"""The swimmer plot: each subject's follow-up as a lane with the infusions in it."""

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.figure import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    INK,
    NARROW,
    ORANGE,
    VERMILION,
    WIDE,
    Picture,
    inline_svg,
    month_ticks,
    sheet,
)
from fhiradapter.reports.formats import plain
from fhiradapter.reports.table import LONGEST
from fhiradapter.reports.wording import plural
from fhiradapter.results import Infusion, Results, SubjectSummary
from fhiradapter.settings import DAYS_PER_MONTH


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How one kind of administration is drawn: its own shape and its own colour."""

    words: str
    marker: str
    colour: str
    filled: bool = True


MARKS = {
    "given": Mark(words="Given", marker="o", colour=BLUE),
    "additional": Mark(words="Given, additional", marker="D", colour=GREEN),
    "interrupted": Mark(words="Given in part", marker="s", colour=ORANGE),
    "missed": Mark(words="Missed or not done", marker="x", colour=VERMILION),
}


def kind_of(infusion: Infusion) -> str:
    """Return the key in MARKS of an administration."""
    if infusion.timing == "missed" or infusion.status == "not-done":
        return "missed"
    if infusion.status == "stopped":
        return "interrupted"
    return "additional" if infusion.timing == "additional" else "given"


def months_to(subject: SubjectSummary) -> tuple[float, float]:
    """Return the months from first dose to last dose and to the last contact."""
    if subject.first_dose_on is None:
        return 0.0, 0.0
    last_dose = subject.last_dose_on or subject.first_dose_on
    end = subject.death_on or subject.last_contact_on or last_dose
    return (
        (last_dose - subject.first_dose_on).days / DAYS_PER_MONTH,
        max((end - subject.first_dose_on).days / DAYS_PER_MONTH, 0.0),
    )


def draw_lane(axes: Axes, subject: SubjectSummary, lane: int) -> None:
    """Draw treatment and follow-up as bars, and how the follow-up ended."""
    treated, followed = months_to(subject)
    axes.barh(lane, followed, height=0.42, color="#e9ecef", linewidth=0)
    axes.barh(lane, treated, height=0.42, color="#bcd9ec", linewidth=0)
    if subject.first_dose_on is None:
        return
    if subject.died:
        axes.plot(followed, lane, marker="P", color=BLACK, markersize=8, linestyle="none")
    else:
        axes.plot(followed, lane, marker=">", color=GREY, markersize=7, linestyle="none", clip_on=False)


def draw_infusions(axes: Axes, infusions: list[Infusion], lanes: dict[str, int]) -> None:
    """Draw every dated administration in its lane."""
    for kind, mark in MARKS.items():
        points = [
            (infusion.months, lanes[infusion.subject_id])
            for infusion in infusions
            if kind_of(infusion) == kind and infusion.months is not None and infusion.subject_id in lanes
        ]
        if not points:
            continue
        axes.plot(
            [month for month, _ in points],
            [lane for _, lane in points],
            linestyle="none",
            marker=mark.marker,
            color=mark.colour,
            markersize=7,
            markeredgecolor=mark.colour if mark.marker == "x" else "white",
            markeredgewidth=2.2 if mark.marker == "x" else 0.8,
            label=mark.words,
            zorder=3,
        )


def draw_ends(axes: Axes, subjects: list[SubjectSummary]) -> None:
    """Put the ends of follow-up into the legend."""
    if any(not subject.died for subject in subjects):
        axes.plot([], [], marker=">", color=GREY, linestyle="none", markersize=7, label="Alive, last contact")
    if any(subject.died for subject in subjects):
        axes.plot([], [], marker="P", color=BLACK, linestyle="none", markersize=8, label="Death")


def plot_swimmer(results: Results, infusions: list[Infusion], *, width: float, name: str) -> Markup:
    """Draw the lanes of the first subjects, the first one on top."""
    subjects = list(results.cohort.subjects[:LONGEST])
    lanes = {subject.subject_id: lane for lane, subject in enumerate(subjects)}
    phone = width <= NARROW
    figure = sheet(width, (110 if phone else 76) + 27 * len(subjects))
    axes = figure.subplots()
    for subject in subjects:
        draw_lane(axes, subject, lanes[subject.subject_id])
    draw_infusions(axes, infusions, lanes)
    draw_ends(axes, subjects)
    axes.set_ylim(len(subjects) - 0.4, -0.6)
    names = [plain(subject.subject_id, longest=12 if phone else 24) for subject in subjects]
    axes.set_yticks(range(len(subjects)), names)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlim(left=-0.022 * axes.get_xlim()[1])
    month_ticks(axes, most=6 if phone else 10)
    axes.set_xlabel("Months from first dose")
    figure.legend(loc="outside lower center", ncols=2 if phone else 6, handletextpad=0.2, columnspacing=1.2)
    return inline_svg(
        figure,
        name=name,
        title="Infusions of each subject over time",
        description=f"{plural(len(subjects), 'lane')} with infusions given, missed and additional",
    )


def picture_swimmer(results: Results) -> Picture | None:
    """Return the swimmer plot, when anybody was treated."""
    if results.exposure is None or not any(subject.first_dose_on for subject in results.cohort.subjects):
        return None
    infusions = list(results.exposure.timeline)
    return Picture(
        wide=plot_swimmer(results, infusions, width=WIDE, name="swimmer-wide"),
        narrow=plot_swimmer(results, infusions, width=NARROW, name="swimmer-narrow"),
    )


def undrawn(results: Results) -> tuple[str, ...]:
    """Return remarks on administrations and subjects that the plot cannot show."""
    if results.exposure is None:
        return ()
    undated = sum(infusion.months is None for infusion in results.exposure.timeline)
    remarks = [f"{plural(undated, 'administration')} without a date cannot be drawn."] if undated else []
    beyond = len(results.cohort.subjects) - LONGEST
    if beyond > 0:
        remarks.append(f"The first {LONGEST} subjects are drawn; {beyond:,} are not.")
    return tuple(remarks)
