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

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.datatypes import ABSENT, Quantity
from fhiradapter.fhir.results import Result
from fhiradapter.mappers.columns import DAY, TEXT
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import plain_encounter, plain_subject
from fhiradapter.mappers.observation import OWN, USED
from fhiradapter.mappers.outcome import Note, Unusable
from fhiradapter.mappers.quantities import UnitUse, Value

INSTANT = pa.timestamp("us", tz="UTC")
EARLIEST = -1_893_456_000_000_000  # 1910-01-01: a date before it may stand for "unknown"

_parts = attrgetter(
    "id",
    "meta",
    "status",
    "code",
    "subject",
    "effective_date_time",
    "value_quantity",
    "performer",
    "encounter",
    "reference_range",
)
# A result that has one of these is irregular.
_rare = attrgetter(
    "context",
    "focus",
    "component",
    "specimen",
    "method",
    "has_member",
    "related",
    "implicit_rules",
    "contained",
)
NONE_OF_THEM = (ABSENT,) * 9
_quantity = attrgetter("comparator", "code", "unit", "system")
_number = attrgetter("value")
_known_values = attrgetter("values")  # of a UnitUse
_known_limits = attrgetter("limits")
_reference = attrgetter("reference")
_offset = itemgetter(slice(19, None))
_separator = itemgetter(slice(10, 11))
_coded, _remarks = itemgetter(0), itemgetter(1)  # of a Meaning
_bytes = b"".__add__  # the bytes of a Raw, without a call into Python


class Regular(NamedTuple):
    """Regular Observations in columns; `places` are their positions among the resources."""

    places: list[int]
    ids: Sequence[str]
    metas: Sequence[Any]
    subjects: Sequence[str]
    columns: list[Sequence[Any] | pa.Array]
    """The columns of a measurement after those of provenance."""


class _Candidates:
    """Columns of the resources that are still taken for regular; the first holds their positions."""

    def __init__(self, columns: Iterable[Sequence[Any]]) -> None:
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def keep(self, mask: Iterable[Any]) -> None:
        """Go on with those for which the mask is true."""
        wanted = list(mask)
        if not all(wanted):
            self.columns = [list(compress(column, wanted)) for column in self.columns]

    def add(self, *columns: Sequence[Any]) -> None:
        """Add columns, one entry for each that is left."""
        self.columns.extend(columns)


def regular_results(resources: Sequence[Any], context: Context) -> Regular | None:
    """Return the regular Observations among resources, None when there is none.

    A resource is regular when the mapper of Observations would return one row and no notes.
    """
    left = _Candidates([range(len(resources)), resources])
    if set(map(type, resources)) != {Result}:
        left.keep([type(resource) is Result for resource in resources])
    if not len(left):
        return None
    rare = list(map(_rare, left.columns[1]))
    if rare.count(NONE_OF_THEM) < len(rare):
        left.keep([one == NONE_OF_THEM for one in rare])
    if not len(left):
        return None
    left = _Candidates([left.columns[0], *zip(*map(_parts, left.columns[1]), strict=True)])
    _keep_plain(left)
    _keep_known(left, context)
    if not len(left):
        return None
    return _in_columns(left, context)


def _keep_plain(left: _Candidates) -> None:
    """Go on with those that have what every result has."""
    _, ids, _, statuses, _, subjects, times, quantities, *_ = left.columns
    if not USED.issuperset(statuses) or any(None in column for column in (ids, subjects, times, quantities)):
        left.keep(
            [
                status in USED and None not in needed
                for status, *needed in zip(statuses, ids, subjects, times, quantities, strict=True)
            ]
        )
    metas = left.columns[2]
    left.keep([meta is None or meta.tag is None or not _is_subset(meta) for meta in metas])


def _is_subset(meta: Any) -> bool:
    return any(tag.code == "SUBSETTED" for tag in meta.tag)


def _keep_known(left: _Candidates, context: Context) -> None:
    """Look up code, subject, encounter, performer, unit, number and limits; go on where all are known."""
    codes, subjects, times, _, performers, encounters, _ = left.columns[4:]
    meanings = list(map(context.codes.known.get, map(_bytes, codes)))
    subject_ids = list(map(context.subjects.get, map(_reference, subjects)))
    if not all(subject_ids):
        subject_ids = [
            known or plain_subject(sent.reference, context)
            for known, sent in zip(subject_ids, subjects, strict=True)
        ]
    met = context.encounters.get
    places = [
        None if place is None else met(place.reference) or plain_encounter(place.reference, context) or 0
        for place in encounters
    ]
    performer_texts = list(map(context.performers.known.get, map(_bytes, performers)))
    left.add(meanings, subject_ids, places, performer_texts)
    offsets = {offset: offset in context.dates.offsets for offset in set(map(_offset, times))}
    # Mostly all are known, which is seen without looking at each row.
    if not (
        all(meanings)
        and all(subject_ids)
        and 0 not in set(places)
        and all(performer_texts)
        and all(offsets.values())
        and set(map(_separator, times)) == {"T"}
        and not any(map(_remarks, filter(None, meanings)))
    ):
        left.keep(
            [
                meaning is not None
                and not meaning[1]
                and subject is not None
                and place != 0
                and (performer is not None or sent is ABSENT)
                and time[10:11] == "T"
                and offsets[time[19:]]
                for meaning, subject, place, performer, sent, time in zip(
                    meanings, subject_ids, places, performer_texts, performers, times, strict=True
                )
            ]
        )
    _keep_measured(left, context)


def _keep_measured(left: _Candidates, context: Context) -> None:
    """Look up unit, number and limits; a number that was not met before is worked out."""
    coded = list(map(_coded, left.columns[11]))
    if not coded:
        return
    concepts, kinds, codes, displays = zip(*coded, strict=True)
    comparators, *unit = zip(*map(_quantity, left.columns[7]), strict=True)
    uses = list(map(context.quantities.uses.get, zip(concepts, codes, *unit, strict=True)))
    left.add(concepts, kinds, codes, displays, uses)
    if comparators.count(None) < len(comparators) or not all(uses):
        left.keep([use and sign is None for use, sign in zip(uses, comparators, strict=True)])
    quantities, ranges, known = left.columns[7], left.columns[10], left.columns.pop()
    values = list(map(dict.get, map(_known_values, known), map(_bytes, map(_number, quantities))))
    if not all(values):
        values = [
            value or _value(use, quantity, context)
            for value, use, quantity in zip(values, known, quantities, strict=True)
        ]
    limits = list(map(dict.get, map(_known_limits, known), map(_bytes, ranges)))
    left.add(values, limits)
    if not (all(values) and all(limits)):
        left.keep([value and limit for value, limit in zip(values, limits, strict=True)])


def _value(use: UnitUse, quantity: Quantity, context: Context) -> Value | None:
    """Return a number that was not met before, None when there is something to say about it."""
    notes: list[Note] = []
    try:
        value = context.quantities.read(quantity, use, OWN[0], notes)
    except Unusable:
        return None
    return value if not notes and value.source_value is not None else None


def _instants(left: _Candidates, now: int) -> tuple[pa.Array, pa.Array] | None:
    """Return texts and times of those whose time is one like most; None when none is left."""
    for attempt in (_castable, None):
        try:
            texts = pa.array(left.columns[6], TEXT)
            at = texts.cast(INSTANT)
            break
        except pa.ArrowInvalid:
            # A leap second, 24:00 or 31 February: the mapper of single Observations says what it is.
            if attempt is None:
                return None
            left.keep(map(attempt, left.columns[6]))
    span = pc.min_max(at.cast(pa.int64())).as_py()
    if len(left) and (span["min"] < EARLIEST or span["max"] > now):
        left.keep([EARLIEST <= one <= now for one in at.cast(pa.int64()).to_pylist()])
        texts = pa.array(left.columns[6], TEXT)
        at = texts.cast(INSTANT)
    return (texts, at) if len(left) else None


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
    if context.dates.zone is None:
        days = pc.utf8_slice_codeunits(texts, 0, 10).cast(DAY)
    else:
        local = at.cast(pa.timestamp("us", tz=context.dates.zone.key))
        days = pc.local_timestamp(local).cast(DAY)
    places, ids, metas, statuses, *_ = left.columns
    _, subjects, encounters, performers, *coded, values, limits = left.columns[11:]
    count = len(left)
    nothing = pa.nulls(count, TEXT)
    columns = [
        *coded,
        statuses,
        at,
        pa.repeat(pa.scalar("second", TEXT), count),
        days,
        texts,
        pa.nulls(count, INSTANT),
        *zip(*values, strict=True),
        *zip(*limits, strict=True),
        nothing,  # specimen
        nothing,  # method
        [performer or None for performer in performers] if "" in set(performers) else performers,
        encounters,
        nothing,  # parent
    ]
    return Regular(list(places), ids, metas, subjects, columns)
