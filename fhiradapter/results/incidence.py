"""How many subjects had an event."""

from fhiradapter.results.base import Interval, Result


class Incidence(Result, frozen=True, kw_only=True):
    """Subjects with at least one event, with both intervals in percent."""

    count: int
    n: int
    events: int
    percent: float | None
    clopper_pearson: Interval | None
    wilson: Interval | None
    person_years: float | None = None  # at risk; null where it is not counted
    rate_per_100_person_years: float | None = None
    rate_interval: Interval | None = None  # exact Poisson
