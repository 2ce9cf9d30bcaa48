"""Parts: what every result is made of."""

from collections.abc import Sequence

import msgspec
import pandas as pd

Interval = tuple[float, float]


# gc=False: results never refer back to themselves, and a collector that walks millions of them takes most of
# the time of making them.
class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part of the results: plain numbers and words, which `encoded` writes as JSON."""


def frame(rows: Sequence[Result], kind: type[Result]) -> pd.DataFrame:
    """Return one row per result, with its fields as columns, also when there is none."""
    return pd.DataFrame([msgspec.structs.asdict(row) for row in rows], columns=list(kind.__struct_fields__))


class Spread(Result, frozen=True, kw_only=True):
    """Median with range; n counts the subjects that have a value."""

    n: int
    median: float | None
    min: float | None
    max: float | None


class Exclusion(Result, frozen=True, kw_only=True):
    """A subject that an estimate does without, and why."""

    subject_id: str
    reason: str
