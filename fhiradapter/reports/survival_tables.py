"""Tables of survival."""

from collections import defaultdict

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import MISSING, count, interval, number, p_value, percent, plain
from fhiradapter.reports.progression_tables import names
from fhiradapter.reports.table import LONGEST, Table, numbers, remainder, words
from fhiradapter.reports.wording import label, plural, sentence
from fhiradapter.results import Exclusion, GroupComparison, Results, Survival, SurvivalCurve, SurvivalStep

EVERYBODY = "All subjects"
MOST_CURVES = 4  # more lie upon each other: then everybody is shown as one
NOT_REACHED = "not reached"

EVENTS = {
    "death": "death",
    "death_ventilation_tracheostomy": "death, dependence on a ventilator or tracheostomy, whichever is first",
}


def curves(survival: Survival) -> dict[str, SurvivalCurve]:
    """Return the curves by the name of their group: the arms, then everybody."""
    return {**{label(plain(arm)): curve for arm, curve in survival.arms.items()}, EVERYBODY: survival.overall}


def drawn_curves(survival: Survival) -> dict[str, SurvivalCurve]:
    """Return the curves that are drawn: the arms where there are some, else everybody."""
    arms = {name: curve for name, curve in curves(survival).items() if name != EVERYBODY}
    return arms if 0 < len(arms) <= MOST_CURVES else {EVERYBODY: survival.overall}


def reached(months: float | None) -> str:
    """Return a median or a limit of it in months.

    >>> reached(10.25), reached(None)
    ('10.2', 'not reached')
    """
    return NOT_REACHED if months is None else number(months, decimals=1)


def median_interval(curve: SurvivalCurve) -> str:
    """Return the interval of a median, of which the upper limit often is not reached."""
    if curve.median_lower is None and curve.median_upper is None:
        return NOT_REACHED if curve.events else MISSING
    return f"{reached(curve.median_lower)} to {reached(curve.median_upper)}"


def survival_table(results: Results) -> Table | None:
    """Return subjects, events, medians and rates by group."""
    survival = results.survival
    if survival is None or not survival.overall.n:
        return None
    level = confidence(results)
    return Table(
        caption="Events and median time",
        columns=(
            *words("Group"),
            *numbers("n", "Events", "Median, months", f"{level} interval"),
            *numbers("Events per 100 person-years", f"{level} exact interval"),
        ),
        rows=tuple(
            (
                group,
                count(curve.n),
                count(curve.events),
                reached(curve.median),
                median_interval(curve),
                number(curve.rate, decimals=1),
                interval(curve.rate_interval, decimals=1),
            )
            for group, curve in curves(survival).items()
        ),
        remarks=(
            *log_rank_line(survival.log_rank),
            "A rate has an upper limit also where nothing happened; it takes the risk as constant over time.",
        ),
    )


def log_rank_line(test: GroupComparison | None) -> tuple[str, ...]:
    """Return the comparison of the arms as a sentence."""
    if test is None:
        return ()
    expected = "; ".join(
        f"{label(plain(arm))} {observed} observed, {number(expected, decimals=1)} expected"
        for arm, observed, expected in zip(test.arms, test.observed, test.expected, strict=True)
    )
    return (
        f"Log-rank test of the arms: chi-square {number(test.chi_square)} with "
        f"{plural(test.df, 'degree')} of freedom, p {p_value(test.p)}. Events: {expected}.",
    )


def step_at(curve: SurvivalCurve, months: float) -> SurvivalStep | None:
    """Return the step that holds at a time; nothing before the first one."""
    return next((step for step in reversed(curve.steps) if step.months <= months), None)


def time_table(results: Results) -> Table | None:
    """Return the share without the event at some times, as far as the curves go, one column per curve."""
    survival = results.survival
    if survival is None or not survival.overall.events:
        return None
    shown = drawn_curves(survival)
    rows = tuple(
        (number(months, decimals=0), *(share_at(curve, months, place) for curve in shown.values()))
        for place, months in enumerate(survival.times)
        if months > 0
    )
    if not rows:
        return None
    return Table(
        caption="Share without the event (Kaplan-Meier)",
        columns=numbers("Months", *shown),
        rows=rows,
        remarks=(f"In brackets the {confidence(results)} interval, from the first event on.",),
    )


def share_at(curve: SurvivalCurve, months: float, place: int) -> str:
    """Return the estimate at a time with its interval; nothing when nobody is followed any more.

    place: that of the time among `Survival.times`.
    """
    step = step_at(curve, months)
    if not curve.at_risk[place] and (step is None or step.survival > 0):
        return MISSING
    if step is None:
        return percent(100.0)
    estimate = percent(100 * step.survival)
    if step.lower is None or step.upper is None or not step.se:
        return estimate
    return f"{estimate} ({interval((100 * step.lower, 100 * step.upper), decimals=1)})"


def exclusion_table(caption: str, excluded: tuple[Exclusion, ...]) -> Table | None:
    """Return why subjects are left out, one row per reason."""
    subjects: dict[str, list[str]] = defaultdict(list)
    for exclusion in excluded:
        subjects[exclusion.reason].append(plain(exclusion.subject_id))
    if not subjects:
        return None
    return Table(
        caption=caption,
        columns=(*words("Reason"), *numbers("n"), *words("Subjects")),
        rows=tuple(
            (sentence(plain(reason)), count(len(own)), names(own)) for reason, own in subjects.items()
        ),
    )


def ending_table(results: Results) -> Table | None:
    """Return the subjects that had the event, in the order of time."""
    survival = results.survival
    if survival is None or not survival.overall.events:
        return None
    ended = sorted((row for row in survival.by_subject_rows if row.event), key=lambda row: row.months)
    in_arms, remarked = bool(survival.arms), any(row.note for row in ended)
    return Table(
        caption="Subjects with the event",
        columns=(
            *words("Subject", *(["Arm"] if in_arms else [])),
            *numbers("Months"),
            *words("Event", *(["Remark"] if remarked else [])),
        ),
        rows=tuple(
            (
                plain(row.subject_id),
                *((label(plain(row.arm)) if row.arm else MISSING,) if in_arms else ()),
                number(row.months, decimals=1),
                label(plain(row.cause)) if row.cause else MISSING,
                *((sentence(plain(row.note)) if row.note else "",) if remarked else ()),
            )
            for row in ended[:LONGEST]
        ),
        remarks=remainder(ended, "subject"),
    )
