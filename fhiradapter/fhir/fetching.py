"""Fetching: what a reader of FHIR servers needs of whatever brings it their answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reply(NamedTuple):
    """One complete, final answer."""

    status: int
    headers: Mapping[str, str]
    """By name, in whatever case it is asked for."""
    body: bytes
    """Complete, which means that length, last chunk and end of compression were checked; within the limit."""
    url: str
    """What was asked for."""


class Fetcher(Protocol):
    """The one door to a server; retries, deadlines, tokens and the origin rule are its matter."""

    base_url: str

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        """Return the answer, of status 2xx or 4xx; `fresh` asks caches on the way not to answer.

        Raises a ServerError or AuthenticationError when no answer can be had or used.
        """
        ...
