"""Regular results: columns of Observations of which every part was met before.

Most of a laboratory's results differ from their neighbours in id, subject, time and number alone. For these the
columns are made by look-ups in the memories that the mapper of single Observations fills, without a step of
Python for each row. Whatever is missing there, or unusual, is left to that mapper, so that no rule stands in
two places.
"""

from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from operator import attrgetter
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.fhir.elements import Observation, Resource
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.limits import NO_LIMITS
from fhiradapter.mappers.observation import OWN, USED
from fhiradapter.mappers.outcome import Note

INSTANT = pa.timestamp("us", tz="UTC")
CENTURY = -1_893_456_000_000_000  # 1910-01-01: what is earlier may stand for "unknown"
SUBSETTED = "SUBSETTED"

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
    # The rest makes an Observation irregular.
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
_quantity = attrgetter("code", "unit", "system", "comparator", "value")
_number = attrgetter("value")
_reference = attrgetter("reference")
_bytes = b"".__add__  # of a Raw: its bytes, without a call into Python


class Regular(NamedTuple):
    """Columns of regular Observations; `places` are their positions among the resources."""

    places: list[int]
    ids: Sequence[str]
    metas: Sequence[Any]
    subjects: Sequence[str]
    columns: list[Any]
    """The columns of a measurement without provenance, as sequences or Arrow arrays."""


def regular_results(resources: Sequence[Resource], context: Context) -> Regular | None:
    """Return the regular Observations among resources, None when there is none.

    A resource is regular when the mapper of Observations would return one row and no notes.
    """
    chosen = _Chosen(list(range(len(resources))), [list(map(type, resources)), list(resources)])
    chosen.keep(kind is Observation for kind in chosen.columns[0])
    if not chosen.places:
        return None
    chosen.columns = [list(column) for column in zip(*map(_parts, chosen.columns[1]), strict=True)]
    _keep_plain(chosen)
    when = _keep_dated(chosen, context)
    if when is None or not chosen.places:
        return None
    return _look_up(chosen, context)


class _Chosen:
    """Positions and columns of the resources that are still taken for regular."""

    def __init__(self, places: list[int], columns: list[list[Any]]) -> None:
        self.places = places
        self.columns = columns

    def keep(self, mask: Iterable[bool]) -> None:
        """Go on with those for which the mask is true."""
        wanted = list(mask)
        if all(wanted):
            return
        self.places = list(compress(self.places, wanted))
        self.columns = [list(compress(column, wanted)) for column in self.columns]


def _keep_plain(chosen: _Chosen) -> None:
    """Go on with those that have what every result has, and nothing that only some have."""
    for column in chosen.columns[10:]:
        if column.count(None) < len(column):
            chosen.keep([all(value is None for value in row) for row in zip(*chosen.columns[10:], strict=True)])
            break
    del chosen.columns[10:]
    ids, metas, status, _, subject, text, quantity, *_ = chosen.columns
    if not USED.issuperset(status) or None in ids or None in subject or None in text or None in quantity:
        chosen.keep(
            [
                row[2] in USED and None not in (row[0], row[4], row[5], row[6])
                for row in zip(*chosen.columns, strict=True)
            ]
        )
    metas = chosen.columns[1]
    if any(meta is not None and meta.tag is not None for meta in metas):
        chosen.keep([meta is None or not _is_subset(meta) for meta in metas])


def _is_subset(meta: Any) -> bool:
    return any(tag.code == SUBSETTED for tag in meta.tag or ())
