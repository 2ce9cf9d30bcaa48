"""Known: what planning and reading have to ask of the store."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from fhiradapter.fhir.units import Absence

State = Literal["current"] | Absence


class Held(NamedTuple):
    """The newest version of a resource that the store has, or that it knows to be away."""

    version: str | None
    updated: str | None
    state: State = "current"


class Mark(NamedTuple):
    """Up to when a shard of a type was read, and whose resources it held then."""

    shard: str
    at: str
    patients: tuple[str, ...] = ()


class Replacement(NamedTuple):
    """A Patient whose newest version says that another one replaces it."""

    patient: str
    survivor: str


class Known(Protocol):
    """One source's part of the store, as it was after the last commit."""

    def marks(self, kind: str) -> Sequence[Mark]:
        """Return the watermark of every shard of a type, with the patients of the unit that set it."""
        ...

    def held(
        self,
        kind: str,
        *,
        patients: Collection[str] | None = None,
        ids: Collection[str] | None = None,
    ) -> Mapping[str, Held]:
        """Return what is held of a type by id: of some patients (for Patient: these), of some ids, or all.

        Patients are those that `subjects.patient_of` finds in the newest version.
        """
        ...

    def count(self, kind: str, *, before: str, patients: Collection[str] | None = None) -> int:
        """Return how many current resources were last updated before an instant; undated ones count."""
        ...

    def referred(self, kind: str) -> Collection[str]:
        """Return the ids of a type, Medication or Specimen, that current resources refer to."""
        ...

    def replacements(self) -> Collection[Replacement]:
        """Return the merges that the current Patients tell of."""
        ...
