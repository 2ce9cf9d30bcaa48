"""Shards: the Patients of a type that are read together, because they were read up to the same time."""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from fhiradapter.sync.known import Mark

ALL = "all"
BESIDE = "/"  # in names of what is read beside a type's own units, such as deletions/all


class Shard(NamedTuple):
    """Some Patients and up to when they were read."""

    name: str
    patients: tuple[str, ...] = ()
    at: str | None = None
    """Null: never, so their history is read in full."""


def shard_of(patients: Iterable[str]) -> str:
    """Return a name for some Patients that does not tell who they are."""
    return sha256("\n".join(sorted(patients)).encode()).hexdigest()[:16]


def shards(marks: Sequence[Mark], patients: Collection[str], size: int) -> list[Shard]:
    """Return Patients in groups; each belongs to the newest mark that holds it.

    A mark keeps its name while it holds whom it held. Those who are new get groups of their own, which are
    put together with others once they were read up to the same time. As a mark names the Patients of the
    unit that set it, no failure between two runs can lose anybody's history.
    """
    newest: dict[str, Mark] = {}
    marks = [mark for mark in marks if BESIDE not in mark.shard]
    for mark in sorted(marks, key=_age):
        for patient in mark.patients:
            newest[patient] = mark
    groups: dict[str, list[str]] = {}
    new: list[str] = []
    for patient in sorted(patients):
        if patient in newest:
            groups.setdefault(newest[patient].shard, []).append(patient)
        else:
            new.append(patient)
    found: list[Shard] = []
    small: list[Shard] = []
    times = {mark.shard: mark.at for mark in marks}
    for name, group in groups.items():
        for part in _parts(group, size):
            kept = part == group
            shard = Shard(name if kept else shard_of(part), tuple(part), times[name])
            (found if 2 * len(part) > size else small).append(shard)
    found += _together(small, size)
    found += [Shard(shard_of(part), tuple(part)) for part in _parts(new, size)]
    return sorted(found, key=lambda shard: (shard.at or "", shard.name))  # what lags behind comes first


def _together(small: Sequence[Shard], size: int) -> list[Shard]:
    """Put small groups together that were read up to the same time."""
    found: list[Shard] = []
    for shard in sorted(small, key=lambda shard: (shard.at or "", shard.name)):
        last = found[-1] if found else None
        together = 0 if last is None else len(last.patients) + len(shard.patients)
        if last is not None and last.at == shard.at and together <= size:
            found[-1] = Shard(last.name, tuple(sorted((*last.patients, *shard.patients))), last.at)
        else:
            found.append(shard)
    return found


def _parts(patients: Sequence[str], size: int) -> list[Sequence[str]]:
    return [patients[start : start + size] for start in range(0, len(patients), size)]


def _age(mark: Mark) -> tuple[str, str]:
    return mark.at, mark.shard
