"""Look-ups: what other resources need to know of Patients, Medications and Specimens."""

from dataclasses import dataclass, field
from typing import NamedTuple

from fhiradapter.mappers.codes import Coded


class Product(NamedTuple):
    """A Medication, as administrations refer to it."""

    coded: Coded
    batch: str | None


@dataclass
class Lookups:
    """What was read so far of the resources that others refer to; grows with their number alone."""

    medications: dict[str, Product] = field(default_factory=dict)
    specimens: dict[str, str | None] = field(default_factory=dict)
    identifiers: dict[str, str | None] = field(default_factory=dict)
    """'system|value' to Patient id; None when several Patients carry it."""

    newest: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Type and id to the rank of the version that was read."""

    def is_newest(self, kind: str, id: str, rank: tuple[int, int]) -> bool:  # noqa: A002 - FHIR's own name
        """Return True, and remember it, when no newer version of a resource was read before."""
        known = self.newest.get((kind, id))
        if known is not None and known > rank:
            return False
        self.newest[kind, id] = rank
        return True

    def add_identifier(self, key: str, patient: str) -> None:
        """Remember that a Patient carries an identifier."""
        known = self.identifiers.setdefault(key, patient)
        if known != patient:
            self.identifiers[key] = None

    def take(self, later: "Lookups") -> None:
        """Take in what was read after this, as if it had been read here."""
        for (kind, id_), rank in later.newest.items():
            if self.is_newest(kind, id_, rank):
                if kind == "Medication":
                    self.medications[id_] = later.medications[id_]
                else:
                    self.specimens[id_] = later.specimens[id_]
        for key, patient in later.identifiers.items():
            if patient is None:
                self.identifiers[key] = None
            else:
                self.add_identifier(key, patient)
