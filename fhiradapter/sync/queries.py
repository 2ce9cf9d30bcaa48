"""Queries: what is searched for, as parameters in the order in which they are sent."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fhiradapter.fhir.instants import written
from fhiradapter.fhir.rest import Parameters

IDS_AT_ONCE = 50  # 64 characters each at most; some servers refuse URLs of more than 4,000
REFERENCES = frozenset({"subject", "individual"})  # may be about somebody else than a Patient: say which


class Query(NamedTuple):
    """A search of one type; several alternatives are searches of their own, put together."""

    kind: str
    parameters: Parameters = ()

    def between(self, low: int | None, high: int) -> "Query":
        """Return the part of it that was last updated in [low, high)."""
        bounds: Parameters = () if low is None else (("_lastUpdated", f"ge{written(low)}"),)
        return self.also(*bounds, ("_lastUpdated", f"lt{written(high)}"))

    def also(self, *parameters: tuple[str, str]) -> "Query":
        """Return it with further parameters."""
        return Query(self.kind, (*self.parameters, *parameters))


def about(parameter: str, patients: Iterable[str]) -> tuple[str, str]:
    """Return the parameter that asks for what is about some patients.

    >>> about("subject", ["7", "8"])
    ('subject', 'Patient/7,Patient/8')
    """
    prefix = "Patient/" if parameter in REFERENCES else ""
    return parameter, ",".join(f"{prefix}{escaped(patient)}" for patient in patients)


def by_id(ids: Iterable[str]) -> tuple[str, str]:
    """Return the parameter that asks for some ids."""
    return "_id", ",".join(map(escaped, ids))


def escaped(text: str) -> str:
    r"""Return a value as a search says it, where comma, bar and dollar have a meaning of their own.

    >>> escaped("a,b|c")
    'a\\,b\\|c'
    """
    for mark in "\\,$|":
        text = text.replace(mark, f"\\{mark}")
    return text


def portions(ids: Sequence[str], size: int = IDS_AT_ONCE) -> Iterator[Sequence[str]]:
    """Yield ids, some at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
