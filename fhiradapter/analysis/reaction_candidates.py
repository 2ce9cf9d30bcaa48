"""Candidates for infusion reactions: what was seen soon after the start of an infusion."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

import pandas as pd

from fhiradapter.analysis.concomitant import GIVEN, READ
from fhiradapter.analysis.data_cut import after_cut
from fhiradapter.analysis.days import INSTANT, is_partial
from fhiradapter.analysis.infusion_proximity import days_of, hours_between, infusion_starts, last_infusion
from fhiradapter.analysis.moments import possible_moments
from fhiradapter.analysis.parts import over_parts
from fhiradapter.analysis.population import members
from fhiradapter.cohort.accounting import TypeAccount
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
    rows = over_parts(reaction_rows, cohort, study, timeline, infusions, vitals, events, kinds)
    return None if rows is None else summarise_reactions(rows, study, cohort.accounting)


@dataclass(frozen=True)
class ReactionRows:
    """What was seen soon after the infusions of some subjects.

    found: one row per candidate: `subject_id`, `row_id`, `trigger`, `what`, `at`, `on`, `infusion`,
        `infusion_on` and `hours`.
    checked: infusions dated to the day. not_placed: infusions and triggers that could not be placed.
    """

    found: pd.DataFrame
    checked: int
    not_placed: Counter[str]


def reaction_rows(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    infusions: pd.DataFrame,
    vitals: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Mapping[str, str],
) -> ReactionRows | None:
    """Set what was seen of some whole subjects against their infusions."""
    if study.treatment is None:
        return None
    starts = infusion_starts(infusions)
    return triggers_after(
        cohort, study, timeline, starts, vitals, events, kinds, without_day=len(infusions) - len(starts)
    )


def triggers_after(
    cohort: Cohort,
    study: Study,
    timeline: pd.DataFrame,
    starts: pd.DataFrame,
    vitals: pd.DataFrame,
    events: pd.DataFrame,
    kinds: Mapping[str, str],
    *,
    without_day: int,
) -> ReactionRows:
    """Set triggers against `starts`, as from `infusion_starts`; so many infusions are `without_day`."""
    triggers = pd.concat(
        [_readings(vitals), _events(events), _medication(cohort, study, timeline, kinds)], ignore_index=True
    )
    dateless = triggers["at"].isna() | is_partial(triggers["precision"])
    placed = triggers.loc[~dateless].reset_index(drop=True)
    found, unordered = _near(placed, starts, hours=study.safety.infusion_reaction_hours)
    found = found.assign(what=_words(found, vitals))
    return ReactionRows(
        found=found.drop(columns=["precision", "reading"]).reset_index(drop=True),
        checked=len(starts),
        not_placed=Counter(
            {
                INFUSION_WITHOUT_DAY: without_day,
                **_by_trigger(WITHOUT_DAY, triggers.loc[dateless, "trigger"]),
                **_by_trigger(ORDER_UNKNOWN, placed.loc[unordered, "trigger"]),
            }
        ),
    )


def summarise_reactions(
    rows: ReactionRows, study: Study, accounting: Mapping[str, TypeAccount]
) -> ReactionCandidates:
    """Return the candidates of all subjects; `accounting` tells which types were read."""
    reasons = [reason.format(name) for reason in (WITHOUT_DAY, ORDER_UNKNOWN) for name in sorted(READ_FROM)]
    return ReactionCandidates(
        rule=_rule(study.safety),
        infusions_checked=rows.checked,
        infusions=int(rows.found["infusion"].nunique()),
        subjects=int(rows.found["subject_id"].nunique()),
        candidates=_candidates(rows.found),
        not_placed={
            reason: rows.not_placed[reason]
            for reason in (INFUSION_WITHOUT_DAY, *reasons)
            if rows.not_placed[reason]
        },
        not_read=tuple(
            trigger for trigger, kind in READ_FROM.items() if accounting and kind not in accounting
        ),
    )


def _rule(safety: Safety) -> str:
    rescue = ", ".join([*safety.rescue_kinds, *safety.rescue_concepts]) or "none"
    return (
        f"Within {safety.infusion_reaction_hours:g} hours after the start of an infusion: a vital sign "
        f"outside the limits above, any adverse event, or a medication that may treat a reaction ({rescue})."
    )


def _readings(vitals: pd.DataFrame) -> pd.DataFrame:
    """Return the readings that show a sign, as triggers; `reading` is the place of each."""
    return vitals.assign(
        trigger=VITAL_SIGN,
        what=None,
        precision=vitals["precision"].astype(object),
        reading=range(len(vitals)),
    )[[*COLUMNS, "reading"]]


def _words(found: pd.DataFrame, vitals: pd.DataFrame) -> pd.Series:
    """Return what was seen in words, with the value of a reading."""
    of_vitals = found["reading"].notna()
    shown = vitals.iloc[found.loc[of_vitals, "reading"].astype(int)]
    units = shown["unit"].astype(object).where(shown["unit"].notna(), "")
    names = shown["concept"].map(PRESSURES).fillna("").astype(object)
    words = [
        f"{sign}: {name}{value:g} {unit}".strip()
        for sign, name, value, unit in zip(shown["sign"], names, shown["value"], units, strict=True)
    ]
    what = found["what"].astype(object)
    what.loc[of_vitals] = words
    return what


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
    counts = triggers.value_counts()
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
