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

    def add_identifier(self, key: str, patient: str) -> None:
        """Remember that a Patient carries an identifier."""
        known = self.identifiers.setdefault(key, patient)
        if known != patient:
            self.identifiers[key] = None
