"""Candidates: resources of one type that are still taken for regular, in columns."""

from collections.abc import Iterable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple

import pyarrow as pa

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import plain_encounter, plain_subject

_tag = attrgetter("tag")
_reference = attrgetter("reference")


class RegularRows(NamedTuple):
    """Regular resources in columns, one row for each; `places` are their positions among the resources."""

    table: str
    kind: str
    places: Sequence[int]
    ids: Sequence[str]
    metas: Sequence[Any]
    subjects: Sequence[str]
    columns: list[Sequence[Any] | pa.Array]
    """The columns of the table after those of provenance."""


class Candidates:
    """Columns by name, which lose the rows that turn out not to be regular."""

    def __init__(self, places: Sequence[int], names: Sequence[str], columns: Iterable[Sequence[Any]]) -> None:
        self._columns = dict(zip(("places", *names), (places, *columns), strict=True))

    @classmethod
    def of(cls, resources: Sequence[Any], places: Sequence[int], names: Sequence[str]) -> "Candidates":
        """Take the elements of the resources at some places, of which there is at least one."""
        chosen = resources if len(places) == len(resources) else [resources[place] for place in places]
        return cls(places, names, zip(*map(attrgetter(*names), chosen), strict=True))

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

    def keep_named(self, *needed: str) -> None:
        """Go on with those that have an id and these elements."""
        columns = [self["id"], *(self[name] for name in needed)]
        if any(None in column for column in columns):
            self.keep(None not in row for row in zip(*columns, strict=True))

    def keep_whole(self, context: Context) -> None:
        """Go on with those of which no tag says that elements were left out."""
        metas = self["meta"]
        if None not in metas and set(map(id, map(_tag, metas))) <= {id(ABSENT)}:
            return
        self.keep(meta is None or context.results.is_whole(meta.tag) for meta in metas)


def subjects_of(sent: Sequence[Any], context: Context) -> list[Any]:
    """Return the subjects of references; None where one is no plain one."""
    known: list[Any] = list(map(context.subjects.get, map(_reference, sent)))
    if all(known):
        return known
    return [
        subject or plain_subject(one.reference, context) for subject, one in zip(known, sent, strict=True)
    ]


def encounters_of(sent: Sequence[Any], context: Context) -> list[Any]:
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
