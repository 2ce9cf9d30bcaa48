"""Regular results: columns of Observations of which every part was met before.

Most of a laboratory's results differ from their neighbours in id, subject, time and number alone. For these
the columns are made by look-ups in the memories that the mapper of single Observations fills, without steps
of Python for each row. Whatever is missing there, or unusual, is left to that mapper, so that no rule stands
in two places.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.fhir.results import RARE, Mixed, Plain
from fhiradapter.mappers.columns import DAY, TEXT, constant
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import plain_encounter, plain_subject
from fhiradapter.mappers.observation import USED
from fhiradapter.mappers.result_memory import (
    amounts_of,
    limits_of,
    place_of,
    source_value_of,
    unit_of,
    value_of,
)

INSTANT = pa.timestamp("us", tz="UTC")
MICROSECONDS_A_DAY = 86_400_000_000
EARLIEST = -1_893_456_000_000_000  # 1910-01-01: a date before it may stand for "unknown"

PARTS = (
    "id",
    "meta",
    "status",
    "subject",
    "effective_date_time",
    "encounter",
    "code",
    "value_quantity",
    "performer",
    "reference_range",
)
_parts = attrgetter(*PARTS)
_rare = attrgetter(*RARE)
NONE_OF_THEM = (ABSENT,) * len(RARE)
_reference = attrgetter("reference")
_tag = attrgetter("tag")
_offset = itemgetter(slice(19, None))
_separator = itemgetter(slice(10, 11))
_bytes = b"".__add__  # the bytes of a Raw, without a call into Python


class Regular(NamedTuple):
    """Regular Observations in columns; `places` are their positions among the resources."""

    places: Sequence[int]
    ids: Sequence[str]
    metas: Sequence[Any]
    subjects: Sequence[str]
    columns: list[Sequence[Any] | pa.Array]
    """The columns of a measurement after those of provenance."""


class _Candidates:
    """Columns of the resources that are still taken for regular."""

    def __init__(self, places: Sequence[int], columns: Iterable[Sequence[Any]]) -> None:
        self._names = ("places", *PARTS)
        self._columns = dict(zip(self._names, (places, *columns), strict=True))

    def __len__(self) -> int:
        return len(self._columns["places"])

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self._columns[name]

    def keep(self, mask: Iterable[Any]) -> None:
        """Go on with those for which the mask is true."""
        wanted = list(mask)
        if not all(wanted):
            for name, column in self._columns.items():
                self._columns[name] = list(compress(column, wanted))

    def add(self, **columns: Sequence[Any]) -> None:
        """Add columns, one entry for each that is left."""
        self._columns |= columns


def regular_results(resources: Sequence[Any], context: Context) -> Regular | None:
    """Return the regular Observations among resources, None when there is none.

    A resource is regular when the mapper of Observations would return one row and no notes.
    """
    places: Sequence[int] = range(len(resources))
    if set(map(type, resources)) != {Plain}:
        places = [
            place
            for place, one in enumerate(resources)
            if type(one) is Plain or (type(one) is Mixed and _rare(one) == NONE_OF_THEM)
        ]
        resources = [resources[place] for place in places]
    if not resources:
        return None
    left = _Candidates(places, zip(*map(_parts, resources), strict=True))
    _keep_plain(left, context)
    _keep_known(left, context)
    _keep_measured(left, context)
    return _in_columns(left, context)


def _keep_plain(left: _Candidates, context: Context) -> None:
    """Go on with those that have what every result has."""
    needed = [left["id"], left["subject"], left["effective_date_time"]]
    if not USED.issuperset(left["status"]) or any(None in column for column in needed):
        left.keep(
            status in USED and None not in others
            for status, *others in zip(left["status"], *needed, strict=True)
        )
    metas = left["meta"]
    if None not in metas and set(map(id, map(_tag, metas))) == {id(ABSENT)}:
        return
    left.keep(meta is None or context.results.is_whole(meta.tag) for meta in metas)


def _keep_known(left: _Candidates, context: Context) -> None:
    """Look up code, subject, encounter, performer and time zone; go on where all are known."""
    memory = context.results
    codes, sent, times = list(map(_bytes, left["code"])), left["subject"], left["effective_date_time"]
    tests: list[Any] = list(map(memory.tests.get, codes))
    if not all(tests):
        tests = [test or memory.learn_test(code) for test, code in zip(tests, codes, strict=True)]
    subjects: list[Any] = list(map(context.subjects.get, map(_reference, sent)))
    if not all(subjects):
        subjects = [
            known or plain_subject(one.reference, context) for known, one in zip(subjects, sent, strict=True)
        ]
    encounters = _encounters(left["encounter"], context)
    performers = list(map(context.performers.known.get, map(_bytes, left["performer"])))
    left.add(test=tests, subject_id=subjects, encounter_id=encounters, performer_text=performers)
    offsets = {offset: offset in context.dates.offsets for offset in set(map(_offset, times))}
    # Mostly all are known, which is seen without looking at each row.
    if not (
        all(tests)
        and all(subjects)
        and False not in set(encounters)
        and all(performers)
        and all(offsets.values())
        and set(map(_separator, times)) == {"T"}
    ):
        left.keep(
            test is not None
            and subject is not None
            and encounter is not False
            and (performer is not None or raw is ABSENT)
            and time[10:11] == "T"
            and offsets[time[19:]]
            for test, subject, encounter, performer, raw, time in zip(
                tests, subjects, encounters, performers, left["performer"], times, strict=True
            )
        )


def _encounters(sent: Sequence[Any], context: Context) -> Sequence[Any]:
    """Return the Encounters of references; None where none was sent, False where one is no plain one."""
    if None not in sent:
        known: list[Any] = list(map(context.encounters.get, map(_reference, sent)))
        if all(known):
            return known
    met = context.encounters.get
    return [
        None if one is None else met(one.reference) or plain_encounter(one.reference, context) or False
        for one in sent
    ]


def _keep_measured(left: _Candidates, context: Context) -> None:
    """Look up quantity and limits; a quantity that was not met before is worked out."""
    tests, quantities = left["test"], list(map(_bytes, left["value_quantity"]))
    amounts: list[Any] = list(map(dict.get, map(amounts_of, tests), quantities))
    if not all(amounts):
        learn = context.results.learn_amount
        amounts = [
            amount or learn(test, sent) for amount, test, sent in zip(amounts, tests, quantities, strict=True)
        ]
        left.add(amount=amounts)
        left.keep(amounts)
        amounts = list(left["amount"])
    limits = list(map(dict.get, map(limits_of, amounts), map(_bytes, left["reference_range"])))
    left.add(amount=amounts, limits=limits)
    if not all(limits):
        left.keep(limits)


def _instants(left: _Candidates, now: int) -> tuple[pa.Array, pa.Array] | None:
    """Return texts and times of those whose time is one like most; None when none is left."""
    for attempt in (_castable, None):
        try:
            texts = pa.array(left["effective_date_time"], TEXT)
            at = texts.cast(INSTANT)
            break
        except pa.ArrowInvalid:
            # A leap second, 24:00 or 31 February: the mapper of single Observations says what it is.
            if attempt is None:
                return None
            left.keep(map(attempt, left["effective_date_time"]))
    micros = _micros(at)
    if len(left) and (micros.min() < EARLIEST or micros.max() > now):
        left.keep((micros >= EARLIEST) & (micros <= now))
        texts = pa.array(left["effective_date_time"], TEXT)
        at = texts.cast(INSTANT)
    return (texts, at) if len(left) else None


def _micros(at: pa.Array) -> Any:
    """Return instants as microseconds since 1970, without a copy."""
    return at.view(pa.int64()).to_numpy()


def _castable(text: str) -> bool:
    try:
        pa.scalar(text, TEXT).cast(INSTANT)
    except pa.ArrowInvalid:
        return False
    return True


def _in_columns(left: _Candidates, context: Context) -> Regular | None:
    """Return the columns of those that are left."""
    times = _instants(left, context.now)
    if times is None:
        return None
    texts, at = times
    if context.dates.zone is None and set(map(_offset, left["effective_date_time"])) == {"Z"}:
        days = pa.array((_micros(at) // MICROSECONDS_A_DAY).astype(np.int32)).view(DAY)
    elif context.dates.zone is None:
        days = pc.utf8_slice_codeunits(texts, 0, 10).cast(DAY)
    else:
        local = at.cast(pa.timestamp("us", tz=context.dates.zone.key))
        days = pc.local_timestamp(local).cast(DAY)
    memory, count = context.results, len(left)
    nothing = constant(None, count)
    amounts, performers = left["amount"], left["performer_text"]
    unit, source_unit = memory.unit_columns(list(map(unit_of, amounts)))
    columns = [
        *memory.code_columns(list(map(place_of, left["test"]))),
        left["status"],
        at,
        constant("second", count),
        days,
        texts,
        pa.nulls(count, INSTANT),
        list(map(value_of, amounts)),
        unit,
        nothing,  # comparator
        nothing,  # value as text
        nothing,  # value as a concept
        list(map(source_value_of, amounts)),
        source_unit,
        nothing,  # reason for its absence
        *zip(*left["limits"], strict=True),
        nothing,  # specimen
        nothing,  # method
        [performer or None for performer in performers] if "" in set(performers) else performers,
        left["encounter_id"],
        nothing,  # parent
    ]
    return Regular(left["places"], left["id"], left["meta"], left["subject_id"], columns)
