"""What one source's part of a store holds, as planning and reading ask for it."""

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from fhiradapter.fhir.instants import written
from fhiradapter.store.store import Store
from fhiradapter.sync.known import Held, Mark, Replacement, State
from fhiradapter.sync.reading import PATIENT_TYPE


class StoreKnown:
    """Answers from a store; threads ask it while nothing is committed, which `lock` sees to."""

    def __init__(self, store: Store, source: str, lock: threading.RLock) -> None:
        self._store = store
        self._source = source
        self._lock = lock
        # Planning asks for these type by type, and each question costs a millisecond.
        self._marks: dict[str, list[Mark]] | None = None
        self._counts: dict[tuple[str, frozenset[str] | None], dict[str, int]] = {}
        self._replacements: list[Replacement] | None = None

    def forget(self) -> None:
        """Ask the store again: something was committed."""
        self._marks = self._replacements = None
        self._counts = {}

    def marks(self, kind: str) -> Sequence[Mark]:
        """Return the watermark of every shard of a type."""
        with self._lock:
            if self._marks is None:
                found = self._store.all_marks(self._source)
                self._marks = {name: [Mark(*mark) for mark in marks] for name, marks in found.items()}
            return self._marks.get(kind, [])

    def held(
        self,
        kind: str,
        *,
        patients: Collection[str] | None = None,
        ids: Collection[str] | None = None,
    ) -> Mapping[str, Held]:
        """Return what is held of a type by id: of some patients (for Patient: these), of some ids, or all."""
        if ids is not None and not ids:
            return {}
        if kind == PATIENT_TYPE and ids is None:
            patients, ids = None, patients
        with self._lock:
            found = self._store.known(self._source, kind, ids=ids, patients=patients)
        return {
            key: Held(one.version, None if one.updated is None else written(one.updated), _state(one.state))
            for key, one in found.items()
        }

    def count(self, kind: str, *, before: str, patients: Collection[str] | None = None) -> int:
        """Return how many current resources were last updated before an instant; undated ones count."""
        cohort = None if patients is None else frozenset(patients)
        with self._lock:
            if (before, cohort) not in self._counts:
                self._counts[before, cohort] = self._store.counts(
                    self._source, before=before, patients=cohort
                )
            return self._counts[before, cohort].get(kind, 0)

    def referred(self, kind: str) -> Collection[str]:
        """Return the ids of a type that current resources refer to."""
        with self._lock:
            return self._store.referred(self._source, kind)

    def replacements(self) -> Collection[Replacement]:
        """Return the merges that the current Patients tell of."""
        with self._lock:
            if self._replacements is None:
                found = self._store.replacements(self._source)
                self._replacements = [Replacement(*one) for one in found]
            return self._replacements


STATES: dict[str, State] = {state: state for part in get_args(State) for state in get_args(part) or (part,)}


def _state(text: str) -> State:
    return STATES[text]
