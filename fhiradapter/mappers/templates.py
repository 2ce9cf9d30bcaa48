"""Templates: rows that a mapper made of some parts of a resource, remembered for resources with the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhiradapter.cohort.schema import SCHEMAS
from fhiradapter.fhir.decoding import Refusal, decode
from fhiradapter.mappers.outcome import PROVENANCE, Deferred, Mapped, Unusable

CAPACITY = 20_000  # rows of one type; resources with other parts after them are mapped one by one
IN_BOUNDS = pc.TakeOptions(boundscheck=False)
NONE = -1


@dataclass
class Templates:
    """Rows of one table by the parts that decide on them."""

    known: dict[Any, int] = field(default_factory=dict)
    """Parts to the place of their row; -1 for those that are to be mapped one by one."""
    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _columns: list[pa.Array] = field(default_factory=list)

    def places(
        self,
        keys: Sequence[Any],
        resource_of: Callable[[Any], Mapping[str, Any]],
        map_one: Callable[[Any], Mapped],
    ) -> list[int]:
        """Return the places of the rows of some parts; -1 for those that are to be mapped one by one.

        What was not met before is mapped by the mapper: `resource_of` gives the FHIR of a resource with these
        parts and with any id, subject and time, on which no column depends that is taken from here.
        """
        found: list[int | None] = list(map(self.known.get, keys))
        if None not in found:
            return cast("list[int]", found)
        return [
            self._learn(key, resource_of, map_one) if place is None else place
            for place, key in zip(found, keys, strict=True)
        ]

    def _learn(
        self, key: Any, resource_of: Callable[[Any], Mapping[str, Any]], map_one: Callable[[Any], Mapped]
    ) -> int:
        if key in self.known:  # since a moment ago
            return self.known[key]
        if len(self.known) >= CAPACITY:
            return NONE
        sent = {name: value for name, value in resource_of(key).items() if value is not None}
        resource = decode(msgspec.json.encode(sent))
        place = NONE
        if not isinstance(resource, Refusal):
            try:
                mapped = map_one(resource)
            except (Unusable, Deferred):
                mapped = None
            if mapped is not None and len(mapped.rows) == 1 and not (mapped.notes or mapped.members):
                place = len(self._rows)
                self._rows.append(mapped.rows[0][2])
        self.known[key] = place
        return place

    def columns(self, table: str, places: Sequence[int]) -> list[pa.Array]:
        """Return the columns of their table after those of provenance, for the rows at some places."""
        if not self._columns or len(self._columns[0]) < len(self._rows):
            kinds = SCHEMAS[table].types[PROVENANCE:]
            self._columns = [
                pa.array(column, _stored(kind)).view(kind)
                for column, kind in zip(zip(*self._rows, strict=True), kinds, strict=True)
            ]
        indices = pa.array(np.array(places, np.int32))
        return [pc.call_function("array_take", [column, indices], IN_BOUNDS) for column in self._columns]


def _stored(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind == pa.date32() else kind
