"""Writes: what others do to a simulated server, seeded; synthetic data."""

from dataclasses import dataclass
from random import Random

from .traits import Traits

START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z, microseconds
SECOND = 1_000_000
FACTS = ("Observation", "MedicationAdministration", "Condition")


@dataclass(slots=True)
class Version:
    """One version of a resource, as it becomes visible at a time."""

    kind: str
    id: str
    number: int
    updated: int
    seen: int
    patient: str | None
    body: bytes  # what follows meta
    deleted: bool = False
    survivor: str | None = None
    serial: int = 0
    entry: bytes = b""
    content: bytes = b""
    name: bytes = b""


class Writer:
    """Makes the writes of one seed, all at once, in the order in which they become visible."""

    def __init__(self, seed: int, traits: Traits) -> None:
        self.random = Random(seed)
        self.traits = traits
        self.latest: dict[tuple[str, str], Version] = {}
        self.patients: list[str] = []
        self.facts: list[tuple[str, str]] = []
        self.at = START
        self.made: list[Version] = []
        self.serial = 0

    def initial(self, patients: int, facts: int) -> list[Version]:
        """Return what is there at first, all of it visible."""
        for number in range(5):
            self._put("Medication", f"m{number}", None, b'"status":"active"')
        for _ in range(patients):
            self._new_patient()
        for _ in range(facts):
            self._tick()
            self._new_fact()
        made, self.made = self.made, []
        for version in made:
            version.seen = version.updated
        self.at += 60 * SECOND
        return made

    def writes(self, count: int, *, seconds: float = 2.0) -> list[Version]:
        """Return further writes; half of the instants are those of the write before."""
        while len(self.made) < count:
            if self.random.random() >= 0.5:
                self._tick(seconds)
            self._write(count)
        made, self.made = self.made[:count], []
        return sorted(made, key=lambda version: (version.seen, version.serial))

    def _tick(self, seconds: float = 2.0) -> None:
        self.at += 1000 + int(self.random.expovariate(1 / seconds) * 1000) * 1000

    def _write(self, count: int) -> None:
        chance = self.random.random()
        if chance < 0.001:
            for _ in range(120):  # a batch: more of one instant than a page holds
                self._new_fact()
        elif chance < 0.42:
            self._new_fact()
        elif chance < 0.80:
            self._update(self._fact())
        elif chance < 0.92:
            self._delete(self._fact())
        elif chance < 0.95:
            self._new_patient()
        elif chance < 0.97:
            self._put("Medication", f"m{self.random.randrange(5)}", None, b'"status":"active"')
        elif chance < 0.99:
            self._update(("Patient", self.random.choice(self.patients)))
        elif chance < 0.993:
            self._merge()
        else:
            self._restore()

    def _new_patient(self) -> None:
        key = f"p{len(self.patients)}"
        self.patients.append(key)
        self._put("Patient", key, key, b'"active":true')

    def _new_fact(self) -> None:
        kind = self.random.choice(FACTS)
        key = f"{kind[0].lower()}{self.serial}"
        self.facts.append((kind, key))
        self._put(kind, key, self.random.choice(self.patients), self._body(kind))

    def _body(self, kind: str) -> bytes:
        value = self.random.randrange(1000)
        if kind == "Observation":
            return (
                b'"status":"final","category":[{"coding":[{"code":"laboratory"}]}],"valueInteger":%d' % value
            )
        if kind == "MedicationAdministration":
            return b'"status":"completed","medicationReference":{"reference":"Medication/m%d"}' % (value % 5)
        return b'"onsetString":"%d"' % value

    def _fact(self) -> tuple[str, str]:
        return self.random.choice(self.facts)

    def _update(self, key: tuple[str, str]) -> None:
        old = self.latest[key]
        if not old.deleted and old.survivor is None:
            body = b'"active":true' if key[0] == "Patient" else self._body(key[0])
            self._put(*key, old.patient, body)

    def _delete(self, key: tuple[str, str]) -> None:
        old = self.latest[key]
        if not old.deleted:
            self._put(*key, old.patient, b"", deleted=True)

    def _restore(self) -> None:
        key = self._fact()
        old = self.latest[key]
        if old.deleted:
            self._put(*key, old.patient, self._body(key[0]))

    def _merge(self) -> None:
        one, other = self.random.sample(self.patients, 2)
        if self.latest["Patient", one].survivor or self.latest["Patient", other].survivor:
            return
        self.merge(one, other)

    def merge(self, one: str, other: str) -> None:
        """Replace one Patient by another, and let what belonged to the first belong to the second."""
        link = b'"active":false,"link":[{"other":{"reference":"Patient/%s"},"type":"replaced-by"}]'
        self._put("Patient", one, one, link % other.encode(), survivor=other)
        for key in self.facts:
            old = self.latest[key]
            if old.patient == one and not old.deleted:
                self._put(*key, other, old.body, silently=self.traits.relinks_silently)

    def _put(
        self,
        kind: str,
        key: str,
        patient: str | None,
        body: bytes,
        *,
        deleted: bool = False,
        survivor: str | None = None,
        silently: bool = False,
    ) -> None:
        old = self.latest.get((kind, key))
        number, updated = (old.number if old else 0) + 1, self.at
        if silently and old is not None:
            number, updated = old.number, old.updated
        late = self.random.random() < 0.1
        delay = int(self.random.uniform(0, self.traits.commit_seconds) * SECOND) if late else 0
        version = Version(
            kind, key, number, updated, self.at + delay, patient, body, deleted, survivor, self.serial
        )
        self.serial += 1
        self.latest[kind, key] = version
        self.made.append(version)
