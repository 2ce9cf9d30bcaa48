"""Look-ups from a store: what was read in earlier runs is found when a resource asks for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from fhiradapter.fhir.decoding import Refusal, decode
from fhiradapter.fhir.elements import Patient
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.context import Context
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.outcome import Deferred, Unusable
from fhiradapter.mappers.patient import learn_patient
from fhiradapter.mappers.registry import MAPPERS

Meaning = TypeVar("Meaning")


class Stored(Protocol):
    """What a store has of one source: current resources, as they were sent."""

    def texts(self, kind: str, ids: Iterable[str], /) -> dict[str, bytes]:
        """Return the resources of a type with these ids."""
        ...

    def patients(self, key: str, /) -> list[bytes]:
        """Return the Patients that may carry an identifier."""
        ...


class OnDemand(dict[str, Meaning]):
    """A dictionary that asks the store before it says that it does not have something."""

    def __init__(self, load: Callable[[str], None], *, always: bool = False) -> None:
        super().__init__()
        self._load = load
        self._always = always
        self._asked: set[str] = set()

    def ask(self, key: str) -> None:
        """Ask the store, once; `always` also for what is known, as there may be more of it."""
        if key not in self._asked and (self._always or not super().__contains__(key)):
            self._asked.add(key)
            self._load(key)

    def note_asked(self, keys: Iterable[str]) -> None:
        """Remember that the store was asked for keys elsewhere."""
        self._asked.update(keys)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            self.ask(key)
        return super().__contains__(key)

    def get(self, key: str, default: Meaning | None = None) -> Meaning | None:  # type: ignore[override]
        """Return what a key means."""
        self.ask(key)
        return super().get(key, default)


@dataclass
class StoredLookups(Lookups):
    """Look-ups that know what the store has; what was read since is newer and goes before it."""

    read: set[str] = field(default_factory=set)
    """Ids of Patients read since."""

    def add_identifier(self, key: str, patient: str) -> None:
        """Remember that a Patient carries an identifier."""
        self.read.add(patient)
        super().add_identifier(key, patient)


def with_store(context: Context, stored: Stored) -> Context:
    """Return the context with look-ups of their own that find what the store has."""

    def load(kind: str) -> Callable[[str], None]:
        def found(id_: str) -> None:
            for text in stored.texts(kind, [id_]).values():
                _learn(kind, text, own)

        return found

    def load_patients(key: str) -> None:
        since = set(lookups.read)
        for text in stored.patients(key):
            patient = decode(text)
            if isinstance(patient, Patient) and patient.id not in since:
                learn_patient(patient, own)

    lookups = StoredLookups(
        medications=OnDemand(load("Medication")),
        specimens=OnDemand(load("Specimen")),
        identifiers=OnDemand(load_patients, always=True),
    )
    own = replace(context, lookups=lookups, final=False)
    return own


def prepare(
    later: Iterable[Later],
    context: Context,
    stored: Stored,
    ids: Callable[[Later], Iterable[tuple[str, str]]],
) -> None:
    """Read at once what waiting resources will ask for, rather than one by one."""
    wanted: dict[str, set[str]] = {"Medication": set(), "Specimen": set()}
    for one in later:
        for kind, id_ in ids(one):
            if kind in wanted:
                wanted[kind].add(id_)
    known = {
        kind: lookup
        for kind, lookup in (
            ("Medication", context.lookups.medications),
            ("Specimen", context.lookups.specimens),
        )
        if isinstance(lookup, OnDemand)
    }
    for kind, lookup in known.items():
        unknown = wanted[kind].difference(lookup.keys())
        if unknown:
            for text in stored.texts(kind, unknown).values():
                _learn(kind, text, context)
            lookup.note_asked(unknown)


def _learn(kind: str, text: bytes, context: Context) -> None:
    resource = decode(text)
    mapper = MAPPERS[kind]
    if isinstance(resource, Refusal) or mapper.learn is None:
        return
    try:
        mapper.map(resource, context)
    except (Unusable, Deferred):
        return
    mapper.learn(resource, context)
