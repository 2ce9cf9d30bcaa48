"""The stages of each subject over time, as lanes."""

from itertools import groupby

from markupsafe import Markup
from matplotlib.axes import Axes

from fhiradapter.reports.figure import INK, NARROW, WIDE, Picture, inline_svg, month_ticks, sheet
from fhiradapter.reports.formats import known, plain
from fhiradapter.reports.staging_tables import SYSTEMS
from fhiradapter.reports.trajectory_plot import MOST_PANELS
from fhiradapter.reports.wording import plural
from fhiradapter.results import Results, StagedAssessment, Staging
from fhiradapter.settings import DAYS_PER_MONTH

# Pale to dark, one hue, told apart in grey as well; the stage's name stands in every lane.
SHADES = {
    "0": "#eef3f7",
    "1": "#cfe1ee",
    "2": "#9cc4df",
    "3": "#5d9fca",
    "4": "#1f6fa6",
    "4A": "#3a86b8",
    "4B": "#135a8c",
    "5": "#1c2126",
}
DARK = {"4", "4A", "4B", "5"}
Run = tuple[str, float, float]


def runs(assessments: list[StagedAssessment], system: str) -> list[Run]:
    """Return stage, first and last month of each stretch at one stage; it lasts until another one is seen."""
    points = [
        (stage, assessment.months)
        for assessment in assessments
        if (stage := getattr(assessment, system)) is not None and known(assessment.months)
    ]
    points.sort(key=lambda point: point[1])
    stretches = [(stage, [month for _, month in own]) for stage, own in groupby(points, lambda one: one[0])]
    starts = [months[0] for _, months in stretches[1:]]
    ends = [*starts, stretches[-1][1][-1]] if stretches else []
    return [(stage, months[0], end) for (stage, months), end in zip(stretches, ends, strict=True)]


def draw_lane(axes: Axes, stretches: list[Run], lane: int, *, room: float) -> None:
    """Draw the stretches of one subject, each named where it begins, and the last one beside it if short.

    room: the months that a name needs.
    """
    for place, (stage, start, end) in enumerate(stretches):
        short, last = end - start < room, place == len(stretches) - 1
        axes.barh(
            lane,
            max(end - start, room / 4),
            left=start,
            height=0.66,
            color=SHADES[stage],
            edgecolor="#9aa2a9",
            linewidth=0.5,
        )
        if short and not last:
            continue  # a name here would lie on the next one; the shade and the table tell it
        axes.annotate(
            stage,
            (start + room / 4 if short else start, lane),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color="white" if stage in DARK and not short else INK,
            fontweight="bold",
        )


def death_months(staging: Staging) -> dict[str, float]:
    """Return the month of each dated death, on the axis of the subject's assessments."""
    days = {row.subject_id: row.last_on for row in staging.subject_rows if row.last == "5"}
    found = {}
    for assessment in staging.assessments:
        day = days.get(assessment.subject_id)
        if day is not None and assessment.on is not None and known(assessment.months):
            found[assessment.subject_id] = assessment.months + (day - assessment.on).days / DAYS_PER_MONTH
    return found


def plot_stages(staging: Staging, results: Results, *, width: float, name: str) -> Markup:
    """Draw both systems, one lane per subject, the first subject on top."""
    phone = width <= NARROW
    own: dict[str, list[StagedAssessment]] = {}
    for assessment in staging.assessments:
        own.setdefault(assessment.subject_id, []).append(assessment)
    subjects = list(own)
    deaths = death_months(staging)
    height = 70 + 26 * len(subjects)
    figure = sheet(width, 2 * height if phone else height)
    rows, columns = (2, 1) if phone else (1, 2)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    months = [one.months for one in staging.assessments if known(one.months)] + list(deaths.values())
    span = max(max(months) - min(months), 1.0)
    for axes, (system, words) in zip(panels, SYSTEMS.items(), strict=True):
        for lane, (subject, assessments) in enumerate(own.items()):
            stretches = runs(assessments, system)
            if subject in deaths and stretches:
                stretches[-1] = (*stretches[-1][:2], deaths[subject])
                stretches.append(("5", deaths[subject], deaths[subject]))
            draw_lane(axes, stretches, lane, room=span * (0.07 if phone else 0.08))
        axes.set_title(words, fontsize=11, loc="left", fontweight="bold")
        axes.set_ylim(len(subjects) - 0.5, -0.5)
        axes.set_yticks(
            range(len(subjects)), [plain(subject, longest=12 if phone else 20) for subject in subjects]
        )
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlim(min(months) - 0.02 * span, max(months) + 0.1 * span)
        month_ticks(axes, most=6)
    origin = "first dose" if results.exposure is not None else "first assessment"
    figure.supxlabel(f"Months from {origin}", fontsize=11)
    return inline_svg(
        figure,
        name=name,
        title="Disease stage of each subject over time",
        description=f"{plural(len(subjects), 'lane')} for MiToS and for King's stages",
    )


def picture_stages(results: Results) -> Picture | None:
    """Return the lanes, when there are stages and not too many subjects."""
    staging = results.staging
    if staging is None:
        return None
    subjects = {one.subject_id for one in staging.assessments if known(one.months)}
    if not subjects or len(subjects) > MOST_PANELS:
        return None
    return Picture(
        wide=plot_stages(staging, results, width=WIDE, name="stages-wide"),
        narrow=plot_stages(staging, results, width=NARROW, name="stages-narrow"),
    )
