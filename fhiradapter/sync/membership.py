"""Membership: whose resources are read, as the settings choose them and the server knows them today."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec

from fhiradapter.connection import Members
from fhiradapter.errors import RefusedAnswerError, SettingsError
from fhiradapter.fhir.datatypes import Element, Identifier, Reference
from fhiradapter.fhir.pages import Entry, refuse
from fhiradapter.fhir.references import target_of
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.known import Known, Replacement
from fhiradapter.sync.queries import Query, escaped, portions
from fhiradapter.sync.stable import read_stable

IDENTIFIERS_AT_ONCE = 20


class Person(Element):
    """One member of a Group."""

    entity: Reference | None = None
    inactive: bool | None = None


class Group(Element):
    """A Group of Patients."""

    member: list[Person] | None = None


class Identified(Element):
    """The identifiers of a Patient."""

    identifier: list[Identifier] | None = None


class Membership(NamedTuple):
    """Whose resources are read."""

    patients: tuple[str, ...] | None
    """In ascending order; null: everybody's, without a list."""
    left: tuple[str, ...] = ()
    """Who was read before and is not chosen any more; their resources are kept."""
    remarks: tuple[str, ...] = ()
    """What to tell, in counts."""


_groups = msgspec.json.Decoder(Group)
_identified = msgspec.json.Decoder(Identified)


def members(rest: Rest, chosen: Members, known: Known, *, folder: Path = Path()) -> Membership:
    """Return who is chosen, and with each merged Patient whoever replaces it.

    Raises ServerError when the server cannot tell, SettingsError when the file of identifiers cannot be read.
    """
    remarks: tuple[str, ...] = ()
    if chosen.group is not None:
        patients = _of_group(rest, chosen.group)
    elif chosen.patients:
        patients = set(chosen.patients)
    elif chosen.identifiers is not None:
        patients, remarks = _identified_as(rest, identifiers_of(folder / chosen.identifiers))
    elif chosen.search is not None:
        patients = _found(rest, Query("Patient", tuple(parse_qsl(chosen.search.lstrip("?")))))
    else:
        return Membership(None)
    patients |= survivors(patients, known)
    before = {patient for mark in known.marks("Patient") for patient in mark.patients}
    left = tuple(sorted(before - patients))
    if left:
        remarks = (*remarks, f"{len(left)} Patients are not in the cohort any more; what was read is kept")
    return Membership(tuple(sorted(patients)), left, remarks)


def everybody(rest: Rest) -> tuple[str, ...]:
    """Return the ids of all Patients, for types that can only be read Patient by Patient."""
    return tuple(sorted(_found(rest, Query("Patient", (("_elements", "id"),)))))


def survivors(patients: set[str], known: Known) -> set[str]:
    """Return whoever replaces some Patients, and whoever replaces those; circles end by themselves."""
    follows: dict[str, list[Replacement]] = {}
    for replacement in known.replacements():
        follows.setdefault(replacement.patient, []).append(replacement)
    reached, waiting = set(patients), list(patients)
    while waiting:
        for replacement in follows.get(waiting.pop(), ()):
            if replacement.survivor not in reached:
                reached.add(replacement.survivor)
                waiting.append(replacement.survivor)
    return reached - patients


def identifiers_of(file: Path) -> list[str]:
    """Return the lines of a file of identifiers, `system|value` or a value; empty ones and # are skipped."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read as a file of identifiers") from error
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def _of_group(rest: Rest, group: str) -> set[str]:
    found = rest.read("Group", group)
    if found.entry is None:
        refuse(Reason.FORBIDDEN if found.status in {401, 403} else Reason.NOT_OFFERED, "Group", found.status)
    try:
        people = _groups.decode(found.entry.content).member or ()
    except msgspec.MsgspecError:
        refuse(Reason.NOT_FHIR, "Group", found.status)
    targets = (target_of(person.entity) for person in people if not person.inactive)
    return {target.id for target in targets if target.type == "Patient" and target.id}


def _found(rest: Rest, query: Query) -> set[str]:
    return {entry.id for entry in read_stable(rest, query)}


def _identified_as(rest: Rest, wanted: Sequence[str]) -> tuple[set[str], tuple[str, ...]]:
    """Return the Patients with some identifiers; which of them are nobody's is told as a count."""
    entries: list[Entry] = []
    for portion in portions(wanted, IDENTIFIERS_AT_ONCE):
        entries += _with_identifiers(rest, portion)
    owners: dict[str, set[str]] = {}
    for entry in entries:
        for identifier in _identifiers(entry):
            if identifier.value:
                for name in (identifier.value, f"{identifier.system or ''}|{identifier.value}"):
                    owners.setdefault(name, set()).add(entry.id)
    patients = {key for name in wanted for key in owners.get(name, ())}
    missing = sum(name not in owners for name in wanted)
    several = sum(len(owners.get(name, ())) > 1 for name in wanted)
    remarks = []
    if missing:
        remarks.append(f"{missing} of {len(wanted)} identifiers belong to no Patient")
    if several:
        remarks.append(f"{several} identifiers belong to several Patients; all of them are read")
    return patients, tuple(remarks)


def _identifiers(entry: Entry) -> Sequence[Identifier]:
    try:
        return _identified.decode(entry.content).identifier or ()
    except msgspec.MsgspecError:
        return refuse(Reason.NOT_FHIR, "Patient", 200)


def _with_identifiers(rest: Rest, names: Sequence[str]) -> list[Entry]:
    """Return who has some identifiers; a server that refuses lists is asked for one after the other."""
    values = [_token(name) for name in names]
    try:
        return read_stable(rest, Query("Patient", (("identifier", ",".join(values)),)))
    except RefusedAnswerError as error:
        if error.reason != Reason.QUERY_REFUSED or len(names) == 1:
            raise
    return [entry for name in names for entry in _with_identifiers(rest, [name])]


def _token(name: str) -> str:
    system, bar, value = name.rpartition("|")
    return f"{escaped(system)}{bar}{escaped(value)}"
