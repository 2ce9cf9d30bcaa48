"""Export units: what an export's files hand on to the store, read from the disk as it is wanted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from fhiradapter.fhir.bulk import remarks_of
from fhiradapter.fhir.datatypes import Coding, Element
from fhiradapter.fhir.decoding import BOM
from fhiradapter.fhir.documents import DELETED_URL
from fhiradapter.fhir.pages import Entry
from fhiradapter.fhir.units import Failure, Fetched, Tombstone, Unit
from fhiradapter.reasons import Reason
from fhiradapter.sync.export_states import Export, Flaw, Landed, Slice
from fhiradapter.sync.naming import named
from fhiradapter.sync.subjects import patient_of

AT_ONCE = 64 << 20  # bytes in one unit, which is about what one commit takes
READ_AT_ONCE = 1 << 20
FIRST = ("Patient", "Medication", "Specimen")  # what others refer to
MOST_WARNINGS = 50


class Place(NamedTuple):
    """Some lines of one landed file."""

    path: Path
    slice: Slice
    mixed: bool


class _Version(Element):
    version_id: str | None = None
    last_updated: str | None = None
    tag: list[Coding] | None = None


class _Head(Element):
    resource_type: str
    id: str | None = None
    meta: _Version | None = None


class _Asked(Element):
    method: str | None = None
    url: str | None = None


class _Part(Element):
    full_url: str | None = None
    request: _Asked | None = None


class _Deletions(Element):
    meta: _Version | None = None
    entry: list[_Part] | None = None


_heads = msgspec.json.Decoder(_Head)
_loose = msgspec.json.Decoder()
_deletions = msgspec.json.Decoder(_Deletions)


@dataclass(frozen=True)
class Entries:
    """The resources of a type in some places; each iteration reads them anew."""

    kind: str
    places: tuple[Place, ...]
    patients: frozenset[str] = frozenset()
    """Whose resources were asked for; empty: everybody's."""

    def __iter__(self) -> Iterator[Entry]:
        for place in self.places:
            for line in lines_of(place.path, place.slice):
                if self.patients and _is_strangers(line, self.patients):
                    continue
                entry = _entry(line, self.kind)
                if not place.mixed or entry.type == self.kind:
                    yield entry

    def has_strangers(self) -> bool:
        """Return True when a server that was asked for some Patients sent others' resources as well."""
        lines = (line for place in self.places for line in lines_of(place.path, place.slice))
        return bool(self.patients) and any(_is_strangers(line, self.patients) for line in lines)


def units(export: Export, landed: Mapping[int, Landed], folder: Path) -> Iterator[Fetched]:
    """Yield what an export brought: for each type parts of bounded size, then its watermark.

    A type one of whose files could not be had fails as a whole, since no slice of it would be complete.
    """
    numbered = [(number, file) for number, file in enumerate(export.files) if number in landed]
    spoilt = next(
        (one.flaw for n, file in numbered if file.part == "deleted" and (one := landed[n]).flaw), None
    )
    graves: dict[str, list[Tombstone]] = {}
    try:
        graves = _tombstones(export, landed, folder) if spoilt is None else {}
    except msgspec.MsgspecError:
        spoilt = Flaw(str(Reason.NOT_FHIR))
    warnings = _warnings(export, landed, folder)
    for kind in sorted(export.request.types, key=lambda kind: (_order(kind), kind)):
        unit = unit_of(export, kind)
        mine = [
            (n, file)
            for n, file in numbered
            if file.part == "output" and file.type in {kind, None} and n in landed
        ]
        flaw = next((landed[n].flaw for n, _ in mine if landed[n].flaw is not None), spoilt)
        if flaw is not None:
            yield Fetched(unit, warnings=warnings, failure=Failure(Reason(flaw.reason), flaw.status))
            warnings = ()
            continue
        asked = frozenset(export.request.patients)
        *parts, last = _parts(
            [
                Place(folder / name_of(n), slice_, file.type is None)
                for n, file in mine
                if landed[n].types.get(kind)
                for slice_ in landed[n].slices
            ]
        )
        for number, places in enumerate(parts, 1):
            yield Fetched(unit._replace(name=f"{unit.name}/{number}"), Entries(kind, places, asked))
        if not mine and export.request.since is None:
            warnings = (*warnings, str(Reason.NO_FILE))
        if any(Entries(kind, places, asked).has_strangers() for places in (*parts, last)):
            warnings = (*warnings, str(Reason.FILTER_IGNORED))
        deleted = tuple(graves.get(kind, ()))
        yield Fetched(unit, Entries(kind, last, asked), deleted, export.watermark, warnings)
        warnings = ()


def failures(export: Export, failure: Failure) -> Iterator[Fetched]:
    """Yield the failure of every type of an export."""
    for kind in export.request.types:
        yield Fetched(unit_of(export, kind), failure=failure)


def unit_of(export: Export, kind: str) -> Unit:
    """Return the unit by which a type's watermark moves."""
    return named(
        Unit(
            export.source,
            kind,
            "",
            "bulk",
            export.shard,
            export.members,
            export.request.since,
            export.watermark,
        )
    )


def name_of(number: int) -> str:
    """Return the name of a landed file."""
    return f"{number:06d}.ndjson"


def lines_of(path: Path, slice_: Slice) -> Iterator[bytes]:
    """Yield the lines of a slice that are not empty, without their ends."""
    with path.open("rb") as file:
        file.seek(slice_.start)
        left, rest = slice_.end - slice_.start, b""
        while left > 0:
            content = file.read(min(left, READ_AT_ONCE))
            if not content:
                break
            left -= len(content)
            lines = (rest + content).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if text := line.removeprefix(BOM).strip():
                    yield text
        if text := rest.removeprefix(BOM).strip():
            yield text


def _parts(places: Sequence[Place]) -> list[tuple[Place, ...]]:
    """Return places in groups of a fair size; thousands of small files make few groups."""
    parts: list[list[Place]] = [[]]
    size = 0
    for place in places:
        if size >= AT_ONCE:
            parts.append([])
            size = 0
        parts[-1].append(place)
        size += place.slice.end - place.slice.start
    return [tuple(part) for part in parts]


def _entry(line: bytes, kind: str) -> Entry:
    try:
        head = _heads.decode(line)
    except msgspec.ValidationError:
        # An id or version of the wrong type: the store decides, and says why.
        head = _Head(resource_type=_type_of(line) or kind)
    meta = head.meta or _Version()
    subsetted = any(tag.code == "SUBSETTED" for tag in meta.tag or ())
    return Entry(head.resource_type, head.id or "", meta.version_id, meta.last_updated, line, subsetted)


def _is_strangers(line: bytes, patients: frozenset[str]) -> bool:
    patient = patient_of(line)
    return patient is not None and patient not in patients


def _type_of(line: bytes) -> str | None:
    resource = _loose.decode(line)
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) else None


def _tombstones(export: Export, landed: Mapping[int, Landed], folder: Path) -> dict[str, list[Tombstone]]:
    """Return what the `deleted` files say: transactions whose entries are DELETE requests."""
    found: dict[str, list[Tombstone]] = {}
    for number, file in enumerate(export.files):
        if file.part != "deleted" or number not in landed:
            continue
        for slice_ in landed[number].slices:
            for line in lines_of(folder / name_of(number), slice_):
                bundle = _deletions.decode(line)
                at = bundle.meta.last_updated if bundle.meta is not None else None
                for part in bundle.entry or ():
                    if part.request is None or part.request.method != "DELETE":
                        continue
                    target = DELETED_URL.search((part.request.url or "").partition("?")[0])
                    if target is not None and target[1] in export.request.types:
                        found.setdefault(target[1], []).append(Tombstone(target[1], target[2], "deleted", at))
    return found


def _warnings(export: Export, landed: Mapping[int, Landed], folder: Path) -> tuple[str, ...]:
    """Return the codes of what the server remarked, `error/not-found`; never their text."""
    found: dict[str, None] = {}
    for number, file in enumerate(export.files):
        if file.part != "error":
            if file.part == "output" and file.type is not None and file.type not in export.request.types:
                found[str(Reason.NOT_ASKED_FOR)] = None
            continue
        one = landed.get(number)
        if one is None or one.flaw is not None:
            found[str(Reason.UNREADABLE_FILE)] = None
            continue
        for slice_ in one.slices:
            for line in lines_of(folder / name_of(number), slice_):
                for remark in remarks_of(line):
                    found[f"{remark.severity}/{remark.code}"] = None
    return tuple(sorted(found)[:MOST_WARNINGS])


def _order(kind: str) -> int:
    return FIRST.index(kind) if kind in FIRST else len(FIRST)
