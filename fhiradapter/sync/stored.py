"""What the store has, as planning and reading ask for it."""

from collections.abc import Collection, Mapping
from typing import cast

from fhiradapter.store.moments import moment
from fhiradapter.store.store import Store
from fhiradapter.sync.known import Held, Mark, Replacement, State


class Stored:
    """One source's part of an open store; see `known.Known`."""

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source

    def marks(self, kind: str) -> list[Mark]:
        """Return the watermark of every shard of a type, with the patients of the unit that set it."""
        return [Mark(*mark) for mark in self._store.marks(self._source, kind)]

    def held(
        self, kind: str, *, patients: Collection[str] | None = None, ids: Collection[str] | None = None
    ) -> Mapping[str, Held]:
        """Return what is held of a type by id: of some patients (for Patient: these), of some ids, or all."""
        found = self._store.known(self._source, kind, ids=ids, patients=patients)
        return {
            id_: Held(one.version, _text(one.updated), cast(State, one.state)) for id_, one in found.items()
        }

    def count(self, kind: str, *, before: str, patients: Collection[str] | None = None) -> int:
        """Return how many current resources were last updated before an instant; undated ones count."""
        return self._store.count(self._source, kind, before=before, patients=patients)

    def referred(self, kind: str) -> Collection[str]:
        """Return the ids of a type, Medication or Specimen, that current resources refer to."""
        return self._store.referred(self._source, kind)

    def replacements(self) -> list[Replacement]:
        """Return the merges that the current Patients tell of."""
        return [Replacement(*one) for one in self._store.replacements(self._source)]


def _text(updated: int | None) -> str | None:
    return (
        None if updated is None else moment(updated).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
