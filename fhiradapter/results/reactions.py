"""What happened around infusions that a person should look at."""

from datetime import date

import msgspec

from fhiradapter.results.base import Result


class ReactionCandidate(Result, frozen=True, kw_only=True):
    """One thing seen soon after the start of an infusion; it is for review and is no event."""

    subject_id: str
    infusion_row_id: str
    infusion_on: date | None
    trigger: str  # vital sign, adverse event, medication
    trigger_row_id: str
    what: str
    on: date | None
    hours: float | None  # after the start; null where a time of day is missing


class ReactionCandidates(Result, frozen=True, kw_only=True):
    """Candidates for infusion reactions, with what they were looked for in."""

    rule: str
    infusions_checked: int
    infusions: int  # with a candidate
    subjects: int  # with a candidate
    candidates: tuple[ReactionCandidate, ...]
    not_placed: dict[str, int] = msgspec.field(default_factory=dict)
    not_read: tuple[str, ...] = ()  # kinds of trigger whose source was never read


class SpecialEvent(Result, frozen=True, kw_only=True):
    """An adverse event of special interest, with the time since the last infusion."""

    subject_id: str
    row_id: str
    term: str
    kind: str  # infusion reaction, cytokine release syndrome, named by the study
    grade: int | None
    started_on: date | None
    hours: float | None  # fewest that can lie between an infusion's start and the event
    window: str | None  # the study's window for this kind of event
    inside: bool | None  # null without a window or a start
