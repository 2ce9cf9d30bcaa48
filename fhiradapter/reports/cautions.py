"""What the study's size and design allow one to conclude, in plain words."""

import math
from dataclasses import dataclass

from fhiradapter.reports.certainty import certainty, confidence
from fhiradapter.reports.formats import number, p_value, percent
from fhiradapter.reports.natural_history import CONCEPT, LEAST, MOST
from fhiradapter.reports.wording import inner, plural
from fhiradapter.results import Results

SMALL = 30  # subjects; below it the advice is on what few subjects cannot show


@dataclass(frozen=True, kw_only=True)
class Cautions:
    """What can be read from the report, and what cannot."""

    shows: tuple[str, ...]
    does_not_show: tuple[str, ...]


def unseen_limit(subjects: int, *, level: float) -> float:
    """Return the upper Clopper-Pearson limit, in percent, of an event that nobody had.

    With no event in n subjects the limit has a closed form, 1 - (alpha / 2) ** (1 / n).

    >>> round(unseen_limit(6, level=0.95), 1)
    45.9
    """
    return 100 * (1 - math.pow((1 - level) / 2, 1 / subjects))


def smallest_p(pairs: int) -> float:
    """Return the smallest two-sided p of the exact signed-rank test: all differences of one sign.

    >>> smallest_p(6)
    0.03125
    """
    return min(1.0, 2.0 ** (1 - pairs))


UNCONTROLLED = (
    "Efficacy. Subjects are compared with themselves over time. There is no concurrent control in "
    "these numbers: regression to the mean, natural deceleration of the score, and who stays in the "
    "study can each look like a treatment effect."
)
CONTROLLED = (
    "Efficacy, outside of By arm and Survival. Where all subjects are pooled they are compared with "
    "themselves over time, which no arm controls. Between the arms, chance and who stays in the study "
    "remain; whether the arms were drawn by lot, these data do not say."
)


def conclusions(results: Results) -> Cautions:
    """Return the cautions that this study's size and design call for."""
    size = results.cohort.n
    shows = [
        f"How the {plural(size, 'subject')} in these data did, one by one, and where each number comes from.",
        "How wide the uncertainty is: an interval holds every value that the data do not contradict.",
    ]
    limits = []
    if size > 0:
        level = certainty(results)
        limits.append(
            f"Rare harm. An event that none of {plural(size, 'subject')} had may still strike up to "
            f"{percent(unseen_limit(size, level=level))} of patients "
            f"(upper limit of the {confidence(results)} Clopper\N{EN DASH}Pearson interval)."
        )
    pairs = {
        inner(name): contrast.n
        for name, contrast in results.progression.contrasts.items()
        if 0 < contrast.n < SMALL
    }
    if pairs:
        least = "; ".join(
            f"{p_value(smallest_p(n))} with {plural(n, 'pair')} ({name})" for name, n in pairs.items()
        )
        limits.append(
            "Small effects. The smallest p that the exact signed-rank test can give, however strong the "
            f"effect, is {least}. A large p proves nothing either."
        )
    if results.exposure is not None:
        shows.append("Whether the planned infusions were given, and what was recorded around them.")
        limits.append(UNCONTROLLED if results.arms is None else CONTROLLED)
    else:
        limits.append(
            "Treatment effects. This study has no treatment: it describes the course of the disease only."
        )
    limits.append(
        "What was not recorded. Subjects who died or left have no later scores, and nothing here imputes "
        "them; no event in the data is not the same as no event."
    )
    if results.progression.concept == CONCEPT:
        limits.append(
            "A whole population. Natural-history limits "
            f"({number(-LEAST)} to {number(-MOST)} points per month) are drawn for plausibility, not for "
            "comparison."
        )
    return Cautions(shows=tuple(shows), does_not_show=tuple(limits))
