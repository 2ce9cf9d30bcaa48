"""Fetching: one unit read from its server, in smaller ones where the server cannot answer it as a whole."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from fhiradapter.errors import RefusedAnswerError, ServerError, TransientServerError
from fhiradapter.fhir.instants import SECOND, instant, milliseconds, written
from fhiradapter.fhir.units import Failure, Feed, Fetched, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.deletions import deletions
from fhiradapter.sync.lookups import look_up
from fhiradapter.sync.naming import named
from fhiradapter.sync.reading import Reading
from fhiradapter.sync.reconciliation import reconcile
from fhiradapter.sync.rereads import reread
from fhiradapter.sync.shards import BESIDE, shard_of
from fhiradapter.sync.updates import updates

Reader = Callable[[Unit, Reading], Iterator[Fetched]]
READERS: Mapping[Feed, Reader] = {
    "updated": updates,
    "reread": reread,
    "lookup": look_up,
    "deletions": deletions,
    "reconcile": reconcile,
}
BROKEN = frozenset({500, 501, 502, 504})  # after all tries; 503 and 429 ask for patience, not for less
# One bad resource makes a whole page unusable: without it the rest can be read.
SPOILT = frozenset(
    {
        Reason.MALFORMED_JSON,
        Reason.TRUNCATED_JSON,
        Reason.INVALID_ENCODING,
        Reason.TOO_DEEP,
        Reason.NOT_FHIR,
        Reason.MISSING_ELEMENT,
        Reason.SERVER_SAYS_ERROR,
        Reason.BODY_TOO_LARGE,
        Reason.TOO_MANY_PAGES,
    }
)
HALVINGS = 60
SHORTEST = SECOND  # of a window that is halved


class Budget(NamedTuple):
    """How often a unit may still be halved: each time costs all tries of a request."""

    left: list[int]

    def spend(self) -> bool:
        """Return whether there was something left."""
        self.left[0] -= 1
        return self.left[0] >= 0


def fetch(unit: Unit, reading: Reading) -> Iterator[Fetched]:
    """Yield what a unit is, in parts that each can be committed by itself, in this order.

    A part with a failure says why it could not be read; its watermark stays, and others may follow. Part of a
    unit that a server cannot answer is looked for by halving its Patients, then its window.
    Raises AuthenticationError, which concerns every unit.
    """
    for fetched in _fetch(unit, reading, Budget([HALVINGS])):
        # A mark on the way would say of a merge that it was read: it has one when all of it was.
        keeps = BESIDE not in unit.shard or fetched.watermark == unit.until
        yield fetched if keeps else fetched._replace(watermark=None)


def _fetch(unit: Unit, reading: Reading, budget: Budget) -> Iterator[Fetched]:
    rest = unit
    try:
        for fetched in READERS[unit.feed](unit, reading):
            yield fetched
            if unit.feed == "updated" and fetched.watermark is not None:
                rest = named(unit._replace(since=fetched.watermark))
    except ServerError as error:
        halves = _halves(rest, reading) if _is_worth_halving(error) else ()
        if not halves or not budget.spend():
            yield Fetched(rest, failure=Failure(_reason(error), error.status))
            return
        whole = True
        for half in halves:
            for fetched in _fetch(half, reading, budget):
                whole = whole and fetched.failure is None
                # After a gap in time nothing may move the watermark past it.
                keeps = whole or half.patients != rest.patients
                yield fetched if keeps else fetched._replace(watermark=None)


def _is_worth_halving(error: ServerError) -> bool:
    if isinstance(error, TransientServerError):
        return error.status in BROKEN
    return isinstance(error, RefusedAnswerError) and error.reason in SPOILT


def _halves(unit: Unit, reading: Reading) -> tuple[Unit, ...]:
    """Return a unit in two: by Patients, else by time; nothing when it is as small as can be."""
    count = len(unit.patients)
    if count > 1 and BESIDE not in unit.shard and not reading.sifts(unit):
        halves = unit.patients[: count // 2], unit.patients[count // 2 :]
        return tuple(named(unit._replace(shard=shard_of(half), patients=half)) for half in halves)
    low, high = instant(unit.since), instant(unit.until)
    if unit.feed != "updated" or high is None:
        return ()
    if low is None:
        beginning = written(0)
        return named(unit._replace(until=beginning)), named(unit._replace(since=beginning))
    if high - low <= SHORTEST:
        return ()
    middle = written(milliseconds((low + high) // 2))
    return named(unit._replace(until=middle)), named(unit._replace(since=middle))


def _reason(error: ServerError) -> Reason:
    try:
        return Reason(error.reason)
    except ValueError:
        return Reason.SERVER_FAILED
