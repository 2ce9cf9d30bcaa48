"""Function and survival ranked together."""

import pandas as pd

from fhiradapter.results.base import Exclusion, Result, frame


class CompositeArm(Result, frozen=True, kw_only=True):
    """The ranks of one arm; higher is better."""

    n: int
    deaths: int
    mean_rank: float
    median_rank: float


class RankTest(Result, frozen=True, kw_only=True):
    """A test that the arms' ranks differ by chance only."""

    method: str
    statistic: float
    p: float


class SubjectRank(Result, frozen=True, kw_only=True):
    """One subject's pairwise comparisons: wins minus losses, and the rank of that sum."""

    subject_id: str
    arm: str | None
    death_months: float | None
    score_months: float | None  # time of the last score
    change: float | None  # from baseline to the last score
    sum: int
    rank: float


class Composite(Result, frozen=True, kw_only=True):
    """Each subject compared with each other one: by death, then by the change of the score."""

    concept: str
    n: int
    arms: dict[str, CompositeArm]  # empty when there is one group
    test: RankTest | None
    by_subject_rows: tuple[SubjectRank, ...]
    excluded: tuple[Exclusion, ...]
    cautions: tuple[str, ...]

    @property
    def by_subject(self) -> pd.DataFrame:
        """One row per subject: death, change, sum and rank."""
        return frame(self.by_subject_rows, SubjectRank)
