"""What the data could not say."""

from fhiradapter.results.base import Result


class Unmapped(Result, frozen=True, kw_only=True):
    """A code that no code list knows, and how often it was seen."""

    table: str
    code: str
    display: str | None
    unit: str | None
    count: int


class Snapshot(Result, frozen=True, kw_only=True):
    """Which run of a sync the results were computed from, and how far that run got."""

    run: str
    ended: str  # UTC
    complete: bool
    read_up_to: dict[
        str, str | None
    ]  # resource type -> UTC, the oldest of all servers; null: read as a whole
    failed_units: int


class DataQuality(Result, frozen=True, kw_only=True):
    """What the data could not say."""

    issues: dict[str, dict[str, int]]  # reason -> disposition -> count
    unmapped: tuple[Unmapped, ...]
    unmapped_rows: int
    text_only_rows: int
