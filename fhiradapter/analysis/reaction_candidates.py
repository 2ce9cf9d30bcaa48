"""Candidates for infusion reactions: what was seen soon after the start of an infusion."""

import math
from collections.abc import Mapping
from datetime import date
from typing import cast

import pandas as pd

from fhiradapter.analysis.concomitant import GIVEN, READ
from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.days import INSTANT, is_partial
from fhiradapter.analysis.infusion_proximity import days_of, hours_between, infusion_starts, last_infusion
from fhiradapter.analysis.moments import possible_moments
from fhiradapter.analysis.population import members
from fhiradapter.cohort.cohort import Cohort
from fhiradapter.cohort.model import Precision
from fhiradapter.results import ReactionCandidate, ReactionCandidates
from fhiradapter.settings import Safety, Study

VITAL_SIGN, ADVERSE_EVENT, MEDICATION = "vital sign", "adverse event", "medication"
READ_FROM = {
    VITAL_SIGN: "Observation",
    ADVERSE_EVENT: "AdverseEvent",
    MEDICATION: "MedicationAdministration",
}

INFUSION_WITHOUT_DAY = "infusions without a day"
WITHOUT_DAY = "{}s without a day"
ORDER_UNKNOWN = "{}s on an infusion's day, before or after its start not known"
PRESSURES = {"systolic_bp": "systolic ", "diastolic_bp": "diastolic "}
COLUMNS = ["subject_id", "row_id", "trigger", "what", "at", "on", "precision"]


def derive_reaction_candidates(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    *,
    infusions: pd.DataFrame,
    vitals: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Mapping[str, str],
) -> ReactionCandidates | None:
    """Return what was seen within `safety.infusion_reaction_hours` after an infusion's start, for review.

    None in a study without treatment. `infusions` is as from `given_infusions`; `vitals` are the readings
    that show a sign, as `derive_vital_signs` finds them; `events` is as from `adverse_event_table`; `kinds`
    gives the kind of each concept. A trigger is a vital sign, an adverse event of any term, or a medication
    of `safety.rescue_kinds` or `safety.rescue_concepts`, set against the last infusion before it. The hours
    run from the start, 0 < hours <= the setting; an adverse event may begin with the infusion itself. Nothing
    here is an event, and a medication may have been given for another reason.

    Where a time of day is missing, an adverse event counts when it can be inside, and a reading or medication
    only when it is certain to come after the start: on the infusion's own day it may be the premedication.
    What has no day cannot be placed. Both are counted in `not_placed`.
    """
    if study.treatment is None:
        return None
    hours = study.safety.infusion_reaction_hours
    starts = infusion_starts(infusions)
    triggers = pd.concat(
        [_readings(vitals), _events(events), _medication(cohort, study, timeline, kinds)], ignore_index=True
    )
    without_day = triggers["at"].isna() | is_partial(triggers["precision"])
    placed = triggers.loc[~without_day].reset_index(drop=True)
    found, unordered = _near(placed, starts, hours=hours)
    not_placed = {
        INFUSION_WITHOUT_DAY: len(infusions) - len(starts),
        **_by_trigger(WITHOUT_DAY, triggers.loc[without_day, "trigger"]),
        **_by_trigger(ORDER_UNKNOWN, placed.loc[unordered, "trigger"]),
    }
    unread = tuple(
        trigger for trigger, kind in READ_FROM.items() if cohort.accounting and kind not in cohort.accounting
    )
    return ReactionCandidates(
        rule=_rule(study.safety),
        infusions_checked=len(starts),
        infusions=int(found["infusion"].nunique()),
        subjects=int(found["subject_id"].nunique()),
        candidates=_candidates(found),
        not_placed={reason: count for reason, count in not_placed.items() if count},
        not_read=unread,
    )


def _rule(safety: Safety) -> str:
    rescue = ", ".join([*safety.rescue_kinds, *safety.rescue_concepts]) or "none"
    return (
        f"Within {safety.infusion_reaction_hours:g} hours after the start of an infusion: a vital sign "
        f"outside the limits above, any adverse event, or a medication that may treat a reaction ({rescue})."
    )


def _readings(vitals: pd.DataFrame) -> pd.DataFrame:
    """Return the readings that show a sign, as triggers."""
    units = vitals["unit"].astype(object).where(vitals["unit"].notna(), "")
    names = vitals["concept"].map(PRESSURES).fillna("").astype(object)
    what = [
        f"{sign}: {name}{value:g} {unit}".strip()
        for sign, name, value, unit in zip(vitals["sign"], names, vitals["value"], units, strict=True)
    ]
    return vitals.assign(
        trigger=VITAL_SIGN,
        what=pd.Series(what, index=vitals.index, dtype=object),
        precision=vitals["precision"].astype(object),
    )[COLUMNS]


def _events(events: pd.DataFrame) -> pd.DataFrame:
    """Return the adverse events, as triggers."""
    return events.assign(trigger=ADVERSE_EVENT).rename(
        columns={
            "term": "what",
            "started_at": "at",
            "started_on": "on",
            "started_precision": "precision",
        }
    )[COLUMNS]


def _medication(
    cohort: Cohort, study: Study, timeline: pd.DataFrame, kinds: Mapping[str, str]
) -> pd.DataFrame:
    """Return the medication that may treat a reaction, as triggers."""
    treatment, safety = study.treatment, study.safety
    own = [treatment.concept, *treatment.comparators] if treatment is not None else []
    rescue = {name for name, kind in kinds.items() if kind in safety.rescue_kinds}
    chosen = (rescue | set(safety.rescue_concepts)) - set(own)
    rows = members(cohort.select("exposures", READ, concepts=chosen), timeline.index)
    rows = rows.loc[rows["status"].isin(GIVEN)]
    rows = rows.loc[~after_cut(rows, study.follow_up.data_cut)]
    return rows.assign(trigger=MEDICATION).rename(
        columns={
            "concept": "what",
            "started_at": "at",
            "started_on": "on",
            "started_precision": "precision",
        }
    )[COLUMNS]


def _near(
    placed: pd.DataFrame, starts: pd.DataFrame, *, hours: float
) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Return the candidates with `infusion`, `infusion_on` and `hours`, and where the order is unknown."""
    moments = possible_moments(placed["at"].astype(INSTANT), placed["precision"])
    timed = placed["precision"].eq(Precision.SECOND.value)
    subjects = placed["subject_id"]
    possible = last_infusion(subjects, moments["latest"], starts, bound="earliest", same_moment=True)
    certain = last_infusion(subjects, moments["earliest"], starts, bound="latest", same_moment=False)
    fewest = hours_between(moments["earliest"], possible["latest"]).clip(lower=0)
    passed = hours_between(moments["earliest"], certain["latest"])
    lenient = placed["trigger"].eq(ADVERSE_EVENT)
    inside = fewest.le(hours).where(lenient, passed.le(hours))
    overlap = moments["earliest"].le(possible["latest"]) & ~(timed & possible["clock"].eq(True))
    chosen = possible.where(lenient, certain)
    exact = timed & chosen["clock"].eq(True)
    found = placed.assign(
        infusion=chosen["infusion"],
        infusion_on=chosen["infusion_on"],
        hours=fewest.where(lenient, passed).where(exact),
    )
    return found.loc[inside], ~inside & ~lenient & overlap


def _by_trigger(sentence: str, triggers: pd.Series) -> dict[str, int]:
    counts = triggers.value_counts().sort_index()
    return {sentence.format(trigger): int(count) for trigger, count in counts.items()}


def _candidates(found: pd.DataFrame) -> tuple[ReactionCandidate, ...]:
    """Return the candidates by subject, infusion and time."""
    found = found.sort_values(["subject_id", "infusion_on", "infusion", "at", "row_id"], kind="stable")
    return tuple(
        ReactionCandidate(
            subject_id=subject,
            infusion_row_id=infusion,
            infusion_on=infusion_on,
            trigger=trigger,
            trigger_row_id=row_id,
            what=what,
            on=on,
            hours=None if math.isnan(since) else since,
        )
        for subject, infusion, infusion_on, trigger, row_id, what, on, since in zip(
            found["subject_id"],
            found["infusion"],
            cast("list[date | None]", days_of(found["infusion_on"])),
            found["trigger"],
            found["row_id"],
            found["what"],
            cast("list[date | None]", days_of(found["on"])),
            found["hours"].astype(float).tolist(),
            strict=True,
        )
    )
