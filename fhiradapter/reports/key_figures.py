"""The figures that a reader wants first."""

from dataclasses import dataclass

from fhiradapter.reports.certainty import confidence
from fhiradapter.reports.formats import brief, count, interval, number, plain, spread
from fhiradapter.reports.safety_tables import events_unread
from fhiradapter.reports.wording import inner, plural
from fhiradapter.results import Results

SEVERE = "grade 3 or more"  # the line of the overview


@dataclass(frozen=True, kw_only=True)
class KeyFigure:
    """One large number, what it is, and a remark below."""

    value: str
    words: str
    remark: str = ""


def key_figures(results: Results) -> tuple[KeyFigure, ...]:
    """Return what fits above everything else, as far as there is a value."""
    cohort = results.cohort
    level = confidence(results)
    known = [
        f"age {spread(cohort.age)}" if cohort.age.n else "",
        f"baseline score {spread(cohort.baseline_score)}" if cohort.baseline_score.n else "",
    ]
    figures = [
        KeyFigure(
            value=count(cohort.n),
            words="subject" if cohort.n == 1 else "subjects",
            remark="; ".join(filter(None, known)),
        )
    ]
    figures += [
        KeyFigure(
            value=number(summary.mean_slope),
            words=f"points per month {inner(period) if period != 'all' else ''}".strip(),
            remark=f"n = {summary.n}; {level} interval {interval(summary.ci95)}"
            if summary.ci95
            else f"n = {summary.n}",
        )
        for period, summary in results.progression.periods.items()
        if summary.mean_slope is not None
    ]
    figures += exposure_figures(results)
    if cohort.follow_up_months.median is not None:
        figures.append(
            KeyFigure(
                value=brief(round(cohort.follow_up_months.median, 1)),
                words="months of follow-up, median",
                remark=f"{plural(cohort.follow_up_months.n, 'subject')} with adequate follow-up; "
                f"{plural(cohort.deaths, 'death')}",
            )
        )
    return tuple(figures)


def exposure_figures(results: Results) -> list[KeyFigure]:
    """Return the figures on infusions, biomarkers and severe events."""
    figures = []
    if results.exposure is not None and results.exposure.infusions.get("median") is not None:
        doses = results.exposure.infusions
        figures.append(
            KeyFigure(
                value=brief(doses["median"]),
                words="infusions per subject, median",
                remark=f"range {brief(doses.get('min'))}\N{EN DASH}{brief(doses.get('max'))}, "
                f"{brief(doses.get('total'))} in all",
            )
        )
    figures += [
        KeyFigure(
            value=number(biomarker.gmr),
            words=inner(biomarker.concept)
            + (f" in {inner(plain(biomarker.matrix))}" if biomarker.matrix else "")
            + ", ratio to baseline",
            remark=f"geometric mean, n = {biomarker.n}",
        )
        for biomarker in list(results.biomarkers.values())[:1]
        if biomarker.gmr is not None
    ]
    severe = next((name for name in results.safety.overview if name == SEVERE), None)
    if severe is not None and results.exposure is not None and not events_unread(results):
        incidence = results.safety.overview[severe]
        limits = incidence.clopper_pearson
        figures.append(
            KeyFigure(
                value=f"{incidence.count}/{incidence.n}",
                words="subjects with an event of grade 3 or more",
                remark=f"{confidence(results)} interval {interval(limits, decimals=1)}\N{NO-BREAK SPACE}%"
                if limits
                else "",
            )
        )
    return figures
