"""Export plans: the exports a run needs: each Patient's history once, and changes after it."""

from collections.abc import Callable, Collection, Sequence

import msgspec

from fhiradapter.connection import Server
from fhiradapter.fhir.bulk import ExportRequest, Offers, level_for
from fhiradapter.fhir.instants import SECOND, instant, written
from fhiradapter.sync.export_states import Order
from fhiradapter.sync.known import Mark
from fhiradapter.sync.shards import ALL, BESIDE, shard_of


def request_of(
    settings: Server, types: Sequence[str], offers: Offers, *, patients: Sequence[str] = ()
) -> ExportRequest | None:
    """Return the first export that the settings ask for; null when the server offers no fitting level.

    `patients` are the cohort's when it is neither a Group nor everybody: they are named in the request.
    """
    group, export = settings.cohort.group, settings.export
    if export.level is not None:
        level = export.level if not offers.levels or export.level in offers.levels else None
    else:
        level = level_for(offers, group=group)
        # A whole system cannot be asked for some Patients.
        level = None if level == "system" and patients else level
    if level is None or (level == "group" and group is None):
        return None
    return ExportRequest(
        level=level,
        types=tuple(types),
        group=group if level == "group" else None,
        patients=tuple(patients) if level != "group" else (),
        type_filters=tuple(export.type_filters),
        elements=tuple(export.elements),
        associated=tuple(export.associated_data),
        output_format=export.output_format,
    )


def orders(
    asked: ExportRequest,
    marks: Callable[[str], Sequence[Mark]],
    *,
    members: Collection[str] | None = None,
    overlap_seconds: float,
) -> list[Order]:
    """Return the exports that are needed, in the order in which they are to be done.

    `asked` is the export as it would be for the first time; when it names Patients, each order names its own.
    `members` are those of the Group or list today; null: everybody. What no mark speaks of is read in full,
    new members' history by an export of them alone, and the rest from its oldest mark less the overlap.
    """
    if members is None:
        return _of_everybody(asked, marks, overlap_seconds)
    today = frozenset(members)
    newest = {kind: _newest(marks(kind), today) for kind in asked.types}
    unread = tuple(kind for kind in asked.types if not newest[kind])
    rest = tuple(kind for kind in asked.types if newest[kind])
    found = []
    if unread and today:
        found.append(Order(_request(asked, unread, today), ALL, tuple(sorted(today))))
    newcomers: dict[frozenset[str], list[str]] = {}
    for kind in rest:
        if new := today - newest[kind].keys():
            newcomers.setdefault(frozenset(new), []).append(kind)
    for new, kinds in newcomers.items():
        patients = tuple(sorted(new))
        request = msgspec.structs.replace(asked, types=tuple(kinds), patients=patients, since=None)
        found.append(Order(request, shard_of(patients), patients))
    if rest:
        # Whoever is new to one type keeps the older marks of the others, until all have the history.
        known = frozenset.intersection(*(frozenset(newest[kind]) for kind in rest))
        oldest = min(at for kind in rest for at in newest[kind].values())
        request = _request(asked, rest, today, since=_less(oldest, overlap_seconds))
        found.append(Order(request, ALL, tuple(sorted(known))))
    return found


def _of_everybody(
    asked: ExportRequest, marks: Callable[[str], Sequence[Mark]], overlap_seconds: float
) -> list[Order]:
    at = {kind: max((m.at for m in marks(kind) if m.shard == ALL), default=None) for kind in asked.types}
    unread = tuple(kind for kind in asked.types if at[kind] is None)
    rest = tuple(kind for kind in asked.types if at[kind] is not None)
    found = [Order(msgspec.structs.replace(asked, types=unread, since=None))] if unread else []
    if rest:
        since = _less(min(moment for moment in at.values() if moment is not None), overlap_seconds)
        found.append(Order(msgspec.structs.replace(asked, types=rest, since=since)))
    return found


def _newest(marks: Sequence[Mark], members: frozenset[str]) -> dict[str, str]:
    """Return for each member of today up to when it was read, by the newest mark that names it."""
    found: dict[str, str] = {}
    for mark in marks:
        if BESIDE not in mark.shard:
            for patient in members.intersection(mark.patients):
                found[patient] = max(mark.at, found.get(patient, ""))
    return found


def _request(
    asked: ExportRequest, kinds: tuple[str, ...], members: frozenset[str], *, since: str | None = None
) -> ExportRequest:
    patients = tuple(sorted(members)) if asked.patients else ()
    return msgspec.structs.replace(asked, types=kinds, patients=patients, since=since)


def _less(at: str, seconds: float) -> str:
    """Return the mark less the overlap; raises ValueError for a mark that is no instant."""
    moment = instant(at)
    if moment is None:
        raise ValueError("a watermark is no instant")
    return written(moment - int(seconds * SECOND))
