"""The layout: how the tables of a cohort lie in folders, by buckets of whole subjects."""

from dataclasses import dataclass
from typing import Literal

BUCKET = "subject_bucket"
BUCKET_BYTES = 256 << 20  # of input; its subjects' rows fit into a worker several times
MOST_BUCKETS = 4_096

Format = Literal["parquet", "delta"]


@dataclass(frozen=True)
class Layout:
    """Format of the tables, and the number of buckets; by default one for every 256 MB of input.

    >>> Layout().of(3 << 30).buckets
    12
    """

    format: Format = "parquet"
    buckets: int | None = None

    def of(self, total_bytes: int) -> "Layout":
        """Return the layout of a cohort that is made of so many bytes."""
        fitting = min(-(-total_bytes // BUCKET_BYTES), MOST_BUCKETS)
        return Layout(self.format, self.buckets or max(fitting, 1))
