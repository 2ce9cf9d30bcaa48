"""What a reader should bear in mind about the slopes, in plain sentences."""

from collections.abc import Mapping

import pandas as pd

from fhiradapter.analysis.periods import AFTER, BEFORE, DURING
from fhiradapter.results import Contrast, MixedModel
from fhiradapter.settings import Study

REGRESSION = (
    "A comparison with the time before treatment is open to regression to the mean: people tend to enter a "
    "study after a stretch of fast decline, and on average decline more slowly afterwards, treated or not."
)
DECELERATION = (
    "ALSFRS-R trajectories decelerate by themselves in many people, so a smaller slope later in the disease "
    "is no sign of an effect by itself."
)
ASSUMED_ONSET = (
    "The score at onset is assumed to be the maximum and was not measured; it enters the slopes before "
    "treatment, not the mixed model."
)
NO_SPREAD = (
    "The fixed effects of the mixed model explain every score: no variance can be estimated, and standard "
    "errors of 0 say nothing about the uncertainty."
)
FEW_PAIRS = 20


def cautions(
    study: Study,
    timeline: pd.DataFrame,
    lines: pd.DataFrame,
    contrasts: Mapping[str, Contrast],
    model: MixedModel | None,
    unmatched: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the sentences that hold for these results, the weightiest first; `unmatched` comes last."""
    told = []
    if study.treatment is None:
        adequate = _subjects(int(lines["adequate"].sum()))
        told.append(f"The slopes rest on {adequate}; there is no treatment to compare with.")
    else:
        told += [REGRESSION, DECELERATION, _about_pairs(contrasts["during_minus_before"].n)]
        told += _about_design(study, timeline, model)
    if model is not None and model.fallback:
        told.append(f"The mixed model is a simpler one than intended: {model.fallback}.")
    if model is not None and model.criterion is None:
        told.append(NO_SPREAD)
    return (*told, *unmatched)


def _about_design(study: Study, timeline: pd.DataFrame, model: MixedModel | None) -> list[str]:
    told = []
    arms = timeline["arm"].nunique()
    if arms > 1:
        told.append(f"The periods pool {arms} arms; they do not compare them: see By arm.")
    if study.progression.before_start == "onset":
        told.append(ASSUMED_ONSET)
    absent = [name for name in (BEFORE, DURING, AFTER) if model and name not in model.coefficients]
    if absent:
        told.append(f"The mixed model has no slope {' and '.join(absent)} treatment: no score tells it.")
    return told


def _about_pairs(pairs: int) -> str:
    if pairs == 0:
        return "No subject has an adequate slope both before and during treatment: they cannot be compared."
    sentence = f"The comparison of during with before treatment rests on {_subjects(pairs)}"
    if pairs > FEW_PAIRS:
        return f"{sentence}."
    return (
        f"{sentence}: the smallest two-sided p value that the exact Wilcoxon test can give is "
        f"{2.0 ** (1 - pairs):.4g}, and chance differences between so few people are large."
    )


def _subjects(count: int) -> str:
    return f"{count} subject" if count == 1 else f"{count} subjects"
