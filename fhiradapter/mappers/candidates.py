"""Candidates: resources of one type that are still taken for regular, in columns."""

from collections.abc import Iterable, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.fhir.datatypes import ABSENT
from fhiradapter.mappers.columns import TEXT
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.links import RELATIVE_ENCOUNTER, RELATIVE_PATIENT, plain_encounter, plain_subject

Column: TypeAlias = Sequence[Any] | npt.NDArray[Any] | pa.Array
_tag = attrgetter("tag")
_reference = attrgetter("reference")


class RegularRows(NamedTuple):
    """Regular resources in columns, one row for each; `places` are their positions among the resources."""

    table: str
    kind: str
    places: Sequence[int]
    ids: Sequence[str]
    metas: Sequence[Any]
    subjects: Sequence[str] | pa.Array
    columns: list[Sequence[Any] | pa.Array]
    """The columns of the table after those of provenance."""


class Candidates:
    """Columns by name, which lose the rows that turn out not to be regular."""

    def __init__(self, places: Sequence[int], names: Sequence[str], columns: Iterable[Sequence[Any]]) -> None:
        self._columns: dict[str, Column] = dict(zip(("places", *names), (places, *columns), strict=True))

    @classmethod
    def of(cls, resources: Sequence[Any], places: Sequence[int], names: Sequence[str]) -> "Candidates":
        """Take the elements of the resources at some places, of which there is at least one."""
        chosen = resources if len(places) == len(resources) else [resources[place] for place in places]
        return cls(places, names, zip(*map(attrgetter(*names), chosen), strict=True))

    def __len__(self) -> int:
        return len(self._columns["places"])

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def keep(self, mask: Iterable[Any]) -> None:
        """Go on with those for which the mask is true."""
        wanted = mask.tolist() if isinstance(mask, np.ndarray) else list(mask)
        if not all(wanted):
            for name, column in self._columns.items():
                self._columns[name] = _chosen(column, wanted)

    def add(self, **columns: Column) -> None:
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

    def keep_subjects(self, context: Context) -> None:
        """Look up the subjects; go on with those whose reference is a plain one."""
        sent = self["subject"]
        ids = _plain_ids(sent, RELATIVE_PATIENT, context)
        if ids is not None:
            prefix = context.subject_prefix
            self.add(subject_id=pc.binary_join_element_wise(prefix, ids, "") if prefix else ids)
            return
        met = context.subjects.get
        found = [met(one.reference) or plain_subject(one.reference, context) for one in sent]
        self.add(subject_id=found)
        self.keep(found)

    def keep_encounters(self, sent: Sequence[Any], context: Context) -> None:
        """Look up the Encounters, of which there may be none; go on where a reference is a plain one."""
        ids = _plain_ids(sent, RELATIVE_ENCOUNTER, context)
        if ids is not None:
            self.add(encounter_id=ids)
            return
        met = context.encounters.get
        found = [
            None if one is None else met(one.reference) or plain_encounter(one.reference, context) or False
            for one in sent
        ]
        self.add(encounter_id=found)
        self.keep(one is not False for one in found)


def _plain_ids(sent: Sequence[Any], kind: str, context: Context) -> pa.Array | None:
    """Return the ids of references 'kind/id', as most servers write them; None when not all are so."""
    if context.neighbours.bases:
        return None
    try:
        texts = pa.array(list(map(_reference, sent)), TEXT)
    except AttributeError:  # there is none
        return None
    if texts.null_count or not pc.all(pc.starts_with(texts, kind)).as_py():
        return None
    _, offsets_buffer, letters_buffer = texts.buffers()
    offsets, letters = np.frombuffer(offsets_buffer, np.int32), np.frombuffer(letters_buffer, np.uint8)
    # Each has the slash of its beginning, so that there is no other one when there are as many as references.
    slashes = np.count_nonzero(letters[: offsets[len(texts)]] == ord("/"))
    if slashes != len(texts) or np.diff(offsets[: len(texts) + 1]).min() == len(kind):
        return None
    return pc.utf8_slice_codeunits(texts, len(kind))


def _chosen(column: Any, wanted: list[Any]) -> Any:
    if isinstance(column, pa.Array):
        return column.filter(pa.array(map(bool, wanted), pa.bool_()))
    if isinstance(column, np.ndarray):
        return column[np.array(wanted, bool)]
    return list(compress(column, wanted))
