"""Tables of slopes, contrasts and the mixed model."""

from collections import defaultdict
from collections.abc import Mapping

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import brief, count, interval, number, p_value, plain
from fhiradapter.reports.table import LONGEST, Cell, Row, Table, numbers, remainder, words
from fhiradapter.reports.wording import inner, label, plural, sentence
from fhiradapter.results import Contrast, MixedModel, Results, SubjectSlope

UNITS = "The intercept is in points and stands for month 0; slopes are in points per month"


def period_table(results: Results) -> Table | None:
    """Return the slopes of the periods."""
    periods = results.progression.periods
    if not periods:
        return None
    return Table(
        caption="Slopes by period, points per month",
        columns=(
            *words("Period"),
            *numbers("n", "Mean", "SD", f"{confidence(results)} t interval", "Median", "Bootstrap interval"),
            *numbers("Excluded"),
        ),
        rows=tuple(
            (
                label(plain(name)),
                count(period.n),
                number(period.mean_slope),
                number(period.sd),
                interval(period.ci95),
                number(period.median_slope),
                interval(period.bootstrap),
                count(len(period.excluded)),
            )
            for name, period in periods.items()
        ),
        remarks=("n counts the subjects whose period is adequate. The bootstrap draws whole subjects.",),
    )


def exclusion_table(results: Results) -> Table | None:
    """Return why subjects do not count in a period, one row per reason."""
    subjects: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, period in results.progression.periods.items():
        for exclusion in period.excluded:
            subjects[name, exclusion.reason].append(plain(exclusion.subject_id))
    if not subjects:
        return None
    return Table(
        caption="Subjects without an adequate period",
        columns=(*words("Period", "Reason"), *numbers("n"), *words("Subjects")),
        rows=tuple(
            (label(plain(name)), sentence(plain(reason)), count(len(own)), names(own))
            for (name, reason), own in subjects.items()
        ),
    )


def names(subjects: list[str], *, longest: int = 24) -> str:
    """Return subject ids, and how many more there are.

    >>> names(["a", "b", "c"], longest=2)
    'a, b and 1 more'
    """
    more = len(subjects) - longest
    return ", ".join(subjects[:longest]) + (f" and {more:,} more" if more > 0 else "")


def slope_cell(row: SubjectSlope | None) -> tuple[str | Cell, str, str]:
    """Return slope, standard error, and points over days of one period."""
    if row is None:
        return "", "", ""
    slope = number(row.slope)
    shown = slope if row.adequate or row.slope is None else Cell(text=f"({slope})", kind="muted")
    return shown, number(row.se), f"{row.points} in {brief(round(row.days))} d"


def slope_table(results: Results) -> Table | None:
    """Return each subject's slopes, a period beside the other."""
    periods = tuple(dict.fromkeys(row.period for row in results.progression.by_subject_rows))
    if not periods:
        return None
    by_subject: dict[str, dict[str, SubjectSlope]] = defaultdict(dict)
    for row in results.progression.by_subject_rows:
        by_subject[row.subject_id][row.period] = row
    rows: list[Row] = []
    for subject, slopes in list(by_subject.items())[:LONGEST]:
        parts = [slope_cell(slopes.get(period)) for period in periods]
        rows.append((plain(subject), *(cell for part in parts for cell in part)))
    headings = [
        heading
        for period in periods
        for heading in (label(plain(period)) if len(periods) > 1 else "Slope", "SE", "Scores")
    ]
    return Table(
        caption="Least-squares slope of each subject, points per month",
        columns=(*words("Subject"), *numbers(*headings)),
        rows=tuple(rows),
        remarks=(
            *remainder(list(by_subject), "subject"),
            "SE is the standard error, from three scores on. A slope in brackets is shown but not counted: "
            "its period is not adequate.",
        ),
    )


def contrast_rows(contrasts: Mapping[str, Contrast], source: str) -> list[Row]:
    """Return one row per contrast."""
    return [
        (
            label(plain(name)),
            source,
            count(contrast.n),
            number(contrast.estimate),
            number(contrast.se),
            interval(contrast.ci95),
            p_value(contrast.wilcoxon_p),
        )
        for name, contrast in contrasts.items()
    ]


def contrast_table(results: Results) -> Table | None:
    """Return the differences between periods, paired and from the model."""
    model = results.progression.mixed_model
    rows = contrast_rows(results.progression.contrasts, "Paired slopes")
    rows += contrast_rows(model.contrasts, "Mixed model") if model else []
    if not rows:
        return None
    return Table(
        caption="Differences between periods within subjects, points per month",
        columns=(
            *words("Difference", "From"),
            *numbers("n", "Estimate", "SE", f"{confidence(results)} interval", "Wilcoxon p"),
        ),
        rows=tuple(rows),
        remarks=(
            "A positive difference is a slower loss. The Wilcoxon signed-rank p is exact, two-sided, and not "
            "adjusted for multiplicity.",
        ),
    )


def model_table(results: Results) -> Table | None:
    """Return the coefficients of the mixed model and what it says of itself."""
    model = results.progression.mixed_model
    return None if model is None else fitted_table(model, "Mixed model of the score")


def fitted_table(model: MixedModel, caption: str) -> Table:
    """Return the coefficients of a mixed model and what it says of itself."""
    fit = (
        "It converged" if model.converged else "It did not converge",
        "; the random effects are singular" if model.singular else "",
    )
    spread = ", ".join(f"{inner(plain(name))} {number(sd)}" for name, sd in model.random_sd.items())
    correlation = (
        f"; their correlation is {number(model.random_correlation)}"
        if model.random_correlation is not None
        else ""
    )
    remarks = [
        f"Fitted by {plain(model.method)} to {plural(model.observations, 'score')} of "
        f"{plural(model.subjects, 'subject')}. {''.join(fit)}. Criterion {number(model.criterion)}.",
        f"Standard deviation between subjects: {spread}{correlation}. Residual {number(model.residual_sd)}.",
    ]
    if model.fallback:
        remarks.append(f"Simplified: {sentence(plain(model.fallback))}")
    return Table(
        caption=caption,
        columns=(*words("Coefficient"), *numbers("Estimate", "SE")),
        rows=tuple(
            (label(plain(name)), number(value), number(model.se.get(name)))
            for name, value in model.coefficients.items()
        ),
        remarks=(UNITS + ".", *remarks),
    )


def score_note_table(results: Results) -> Table | None:
    """Return how often a score was flagged or left out."""
    notes = results.progression.score_notes
    if not notes:
        return None
    return Table(
        caption="Flags and exclusions of scores",
        columns=(*words("What was seen"), *numbers("Scores")),
        rows=tuple((label(plain(name)), count(number_of)) for name, number_of in notes.items()),
    )
