"""Possible drug-induced liver injury by Hy's law."""

from datetime import date

import msgspec

from fhiradapter.results.base import Result


class LiverCase(Result, frozen=True, kw_only=True):
    """A subject whose aminotransferase and bilirubin meet the numbers of Hy's law, at the first such pair."""

    subject_id: str
    aminotransferase: str
    aminotransferase_row_id: str
    aminotransferase_on: date | None
    aminotransferase_uln: float  # multiples of the upper limit of normal
    bilirubin_row_id: str
    bilirubin_on: date | None
    bilirubin_uln: float
    days_between: int
    alkaline_phosphatase_row_id: str | None = None
    alkaline_phosphatase_uln: float | None = None  # the highest between the two days
    cholestatic: bool | None = None  # alkaline phosphatase at 2 x ULN or more; null when not known


class HysLaw(Result, frozen=True, kw_only=True):
    """Subjects by what can be said about Hy's law after their first dose."""

    rule: str
    subjects: int  # with a first dose
    assessable: int
    cases: tuple[LiverCase, ...]
    undecided: tuple[str, ...]  # subjects with a raised aminotransferase and no bilirubin to judge it by
    values_not_judged: int = (
        0  # ALT, AST and bilirubin without a limit of normal, or bounds that leave it open
    )
    not_assessable: dict[str, int] = msgspec.field(default_factory=dict)  # subjects, by reason
