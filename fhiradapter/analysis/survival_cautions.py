"""What a reader of survival times should know."""

import pandas as pd

from fhiradapter.analysis.death_day import UNDATED
from fhiradapter.results.survival import SurvivalCurve
from fhiradapter.settings import Study

FEW_EVENTS = 10  # below, a chi-square distribution of the log-rank statistic is a rough one


def survival_cautions(
    study: Study,
    used: pd.DataFrame,
    overall: SurvivalCurve,
    *,
    arms: list[str],
    origin: str,
    undated_events: int,
) -> tuple[str, ...]:
    """Return sentences that hold for these times; used: one row per subject with a time at risk."""
    only_death = study.survival.event == "death"
    told: list[str] = []
    if overall.n and not overall.events:
        told.append(f"{'Nobody died' if only_death else 'No event happened'}: median not reached.")
    elif overall.n and overall.median is None:
        told.append("Median not reached: more than half of the curve is left at its end.")
    if overall.events and overall.events < FEW_EVENTS:
        tested = ", and the p value of the log-rank test is approximate" if len(arms) > 1 else ""
        told.append(f"Few events ({overall.events}): the intervals are wide{tested}.")
    undated = int(used["note"].eq(UNDATED).sum())
    if undated:
        told.append(
            f"{undated} died on an unknown date and count as dead on the day of their last contact, "
            "which may be too early."
        )
    if not only_death:
        told.append(
            "Ventilation and tracheostomy count as recorded; no code says that ventilation is permanent, and "
            "what was not recorded is missing."
        )
    if undated_events:
        told.append(f"{undated_events} of these events without a date could not be used.")
    if origin == "onset":
        told.append(
            "Nobody can enter a study after death, so the time between onset and entry counts as survived: "
            "survival from onset is overestimated (left truncation is not corrected)."
        )
    if study.survival.censoring == "data_cut" and study.follow_up.data_cut is not None:
        told.append("Who is not known to have died counts as alive at the data cut.")
    without_arm = int(used["arm"].isna().sum())
    if len(arms) > 1 and without_arm:
        told.append(f"{without_arm} without an arm are in the overall curve only.")
    return tuple(told)
