"""Documents: JSON that is held whole, which is one resource, a Bundle of any type, or an array of these."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from fhiradapter.fhir.datatypes import ABSENT, Element
from fhiradapter.fhir.decoding import is_hazardous
from fhiradapter.fhir.salvage import is_sound, members, split, text_of
from fhiradapter.fhir.source import Batch, Failure, Version
from fhiradapter.reasons import Reason

ENTRIES_AT_ONCE = 2_000
BUNDLES_IN_BUNDLES = 8  # batch responses nest once; deeper is an accident or an attack
FULL_URL = re.compile(r"(https?://\S+?)/([A-Z][A-Za-z]+)/([^/?#\s]+)\Z")
DELETED_URL = re.compile(r"(?:\A|/)([A-Z][A-Za-z]+)/([^/?#\s]+)\Z")
ETAG = re.compile(r'(?:W/)?"([^"]+)"\Z')  # a weak entity tag around the version
BUNDLE = re.compile(rb'"resourceType"\s*:\s*"Bundle"')


class Request(Element):
    """What a transaction or history entry did."""

    method: str | None = None
    url: str | None = None


class Response(Element):
    """What came of a transaction entry, or when a history entry was made."""

    etag: str | None = None
    last_modified: str | None = None


class Search(Element):
    """Why an entry is in a search's answer."""

    mode: str | None = None


class Entry(Element):
    """One entry of a Bundle; its resource stays bytes."""

    full_url: str | None = None
    resource: msgspec.Raw = ABSENT
    request: Request | None = None
    response: Response | None = None
    search: Search | None = None


class Bundle(Element):
    """A Bundle of any type."""

    resource_type: str | None = None
    type: str | None = None
    entry: list[Entry] | None = None


class Name(Element):
    """Type and id of an entry's resource."""

    resource_type: str | None = None
    id: str | None = None


class Resource(NamedTuple):
    """One resource of a document, with the number of its entry."""

    content: bytes
    number: int
    id: str | None


_bundles = msgspec.json.Decoder(Bundle)
_entries = msgspec.json.Decoder(Entry)
_arrays = msgspec.json.Decoder(list[msgspec.Raw])
_names = msgspec.json.Decoder(Name)


def batches_of_document(content: bytes | memoryview, file: str) -> Iterator[Batch]:
    """Yield the resources of a document; whatever is no Bundle and no array is taken for one resource."""
    head = bytes(content[:256]).lstrip()
    if head[:1] == b"[":
        yield from _array(bytes(content), file)
    elif BUNDLE.search(bytes(content)):
        yield from _bundle(bytes(content), file, 1, 0)
    else:
        line = bytes(content)
        yield Batch(file, [line], [1], is_hazardous(line), bytes_read=len(line))


def is_bundle(line: bytes) -> bool:
    """Return True when a line's own type is Bundle; the word may also stand inside another resource."""
    if b"Bundle" not in line:
        return False
    try:
        return _names.decode(line).resource_type == "Bundle"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text_of(members(line).get("resourceType")) == "Bundle"


def _array(content: bytes, file: str) -> Iterator[Batch]:
    try:
        parts = [bytes(part) for part in _arrays.decode(content)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        parts = [part for part in split(content).items if part.strip()]
        if all(map(is_sound, parts)):
            yield Batch(file, [], [], True, failures=(Failure(_reason(content), None, True),))
    resources = [Resource(part, number, None) for number, part in enumerate(parts, 1) if not is_bundle(part)]
    yield from _in_portions(resources, file)
    for number, part in enumerate(parts, 1):
        if is_bundle(part):
            yield from batches_of_bundle(part, file, number)


def batches_of_bundle(content: bytes, file: str, number: int) -> Iterator[Batch]:
    """Yield the resources of a Bundle that is a line or an item of a file, as of a file of its own."""
    yield from _bundle(content, f"{file}:{number}", number, 0)


def _bundle(content: bytes, file: str, number: int, level: int) -> Iterator[Batch]:
    try:
        bundle = _bundles.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        bundle = _salvaged(content)
        if all(is_sound(bytes(entry.resource)) for entry in bundle.entry or () if entry.resource):
            # The entries are whole, so the damage is the Bundle's own.
            yield Batch(file, [], [], True, failures=(Failure(_reason(content), number, True),))
    if bundle.resource_type != "Bundle" or level > BUNDLES_IN_BUNDLES:
        yield Batch(file, [content], [number], True, bytes_read=len(content))
        return
    resources: list[Resource] = []
    failures: list[Failure] = []
    nested: list[tuple[bytes, int]] = []
    targets: dict[str, tuple[str, str]] = {}
    bases: set[str] = set()
    for index, entry in enumerate(bundle.entry or (), 1):
        if entry.search is not None and entry.search.mode == "outcome":
            failures.append(Failure(Reason.OUTCOME, index, True))
            continue
        if entry.resource is ABSENT:
            failures.append(_absent(entry, index))
            continue
        resource = bytes(entry.resource)
        if is_bundle(resource):
            nested.append((resource, index))
            continue
        resources.append(Resource(resource, index, _learn(entry, resource, targets, bases)))
    yield from _in_portions(resources, file, targets, frozenset(bases), tuple(failures))
    for part, index in nested:
        yield from _bundle(part, f"{file}:{index}", index, level + 1)


def _absent(entry: Entry, index: int) -> Failure:
    """Say what an entry without a resource stands for."""
    if entry.request is None or entry.request.method != "DELETE":
        return Failure(Reason.NO_RESOURCE, index, True)
    url = DELETED_URL.search(entry.request.url or "") or DELETED_URL.search(entry.full_url or "")
    if url is None:
        return Failure(Reason.DELETED, index, True)
    response = entry.response or Response()
    etag = ETAG.match(response.etag or "")
    version = Version(url[1], url[2], etag[1] if etag else None, response.last_modified)
    return Failure(Reason.DELETED, index, True, version)


def _salvaged(content: bytes) -> Bundle:
    """Return as much of a Bundle as its brackets show: one bad entry does not take the others along."""
    found = members(content)
    entries = []
    for item in split(found["entry"]).items if "entry" in found else ():
        try:
            entries.append(_entries.decode(item))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            part = members(item)
            if resource := part.get("resource", item).strip():
                entries.append(Entry(text_of(part.get("fullUrl")), msgspec.Raw(resource)))
    return Bundle(text_of(found.get("resourceType")), text_of(found.get("type")), entries)


def _reason(content: bytes) -> Reason:
    return Reason.MALFORMED_JSON if split(content).complete else Reason.TRUNCATED_JSON


def _learn(entry: Entry, resource: bytes, targets: dict[str, tuple[str, str]], bases: set[str]) -> str | None:
    """Remember what an entry's full URL means; return an id for a resource that has none."""
    url = entry.full_url
    if not url:
        return None
    try:
        name = _names.decode(resource)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    match = FULL_URL.match(url)
    if match:
        bases.add(match[1])
    own = name.id or (match[3] if match else url.removeprefix("urn:uuid:").removeprefix("urn:oid:"))
    if name.resource_type:
        targets[url] = (name.resource_type, own)
    return None if name.id else own


def _in_portions(
    resources: list[Resource],
    file: str,
    targets: dict[str, tuple[str, str]] | None = None,
    bases: frozenset[str] = frozenset(),
    failures: tuple[Failure, ...] = (),
) -> Iterator[Batch]:
    for start in range(0, max(1, len(resources)), ENTRIES_AT_ONCE):
        portion = resources[start : start + ENTRIES_AT_ONCE]
        yield Batch(
            file,
            [part.content for part in portion],
            [part.number for part in portion],
            True,
            targets or {},
            bases,
            {part.number: part.id for part in portion if part.id},
            failures if start == 0 else (),
            sum(len(part.content) for part in portion),
        )
