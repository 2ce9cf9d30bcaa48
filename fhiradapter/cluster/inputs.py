"""Inputs: files of any file system, under the names that rows carry, and how each is to be read."""

import posixpath
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fhiradapter.engines.entries import NOTHING, Entry, nothing_at
from fhiradapter.errors import UsageError
from fhiradapter.fhir.compression import COMPRESSIONS, portions_of
from fhiradapter.fhir.files import FileSource, has_format, is_input, is_url, list_files
from fhiradapter.fhir.reading import HEAD, UTF16, beginning
from fhiradapter.fhir.text import Sort, sort_of
from fhiradapter.reasons import Reason

if TYPE_CHECKING:
    from fhiradapter.engines.spark.storage import Storage

# Spark would unpack a file with such a name by itself, and end the whole run where it is damaged.
UNPACKED_BY_SPARK = (*COMPRESSIONS, ".gzip", ".bz2", ".lz4", ".snappy", ".deflate")
PASSED_OVER_BY_SPARK = ("_", ".")
LARGEST_WHOLE = 2**31 - 2**16  # bytes; what Java holds in one array
LARGEST_CARRIED = 64 << 20  # bytes that go through the driver, which few files do
LOOKED_AT_ONCE = 16  # a look at an object store is mostly waiting


class Form(Enum):
    """How the content of a file comes to those who map it."""

    LINES = "by splits at line ends"
    WHOLE = "in one piece"
    CARRIED = "from the driver, which has seen all of it or what is wrong with it"


@dataclass(frozen=True)
class Input:
    """One file; `path` as Hadoop writes it, `url` as Spark shows it in `_metadata.file_path`."""

    source: int
    name: str
    path: str
    url: str
    size: int
    form: Form
    first_type: str = ""
    content: bytes = b""
    """What is carried."""
    reason: Reason | None = None
    """Why it cannot be read, in place of any content."""
    place: str = ""
    """Its path, when workers read it by themselves from a disk that they share; empty elsewhere."""


def inputs_of(storage: "Storage", sources: Iterable[FileSource]) -> list[Input]:
    """Return all files of all sources, in the order in which they are to be read.

    Raises UsageError for a path that matches nothing.
    """
    found: list[Input] = []
    with ThreadPoolExecutor(LOOKED_AT_ONCE) as beside:
        for number, source in enumerate(sources):
            order = {name: place for place, name in enumerate(source.first)}
            listed = _listed(storage, source.paths)
            looked = beside.map(lambda one, number=number: _looked_at(storage, number, *one), listed)
            found += sorted(looked, key=lambda one: (order.get(one.first_type, len(order)), one.name))
    return found


def _listed(storage: "Storage", paths: Iterable[str | Path]) -> list[tuple[Entry, str]]:
    """Return files with the names that rows carry, which are those of `list_files`."""
    local = tuple(path for path in paths if not is_url(path))
    found: dict[str, tuple[Entry, str]] = {}
    for one in list_files(local) if local else ():
        path = f"file:{one.path.absolute()}"
        # A dangling link, or a pipe that would never end.
        entry = storage.entry(path) if one.path.is_file() or one.path.is_dir() else None
        found.setdefault(path, (entry or nothing_at(path), one.name))
    for given in map(str, paths):
        if is_url(given):
            for entry, name in _remote(storage, given):
                found.setdefault(entry.path, (entry, name))
    return _distinct(list(found.values()))


def _remote(storage: "Storage", given: str) -> list[tuple[Entry, str]]:
    try:
        entry = storage.entry(given)
        if entry is not None:
            return _inside(storage, entry) if entry.folder else [(entry, PurePosixPath(given).name)]
        matches = storage.matches(given)
    except OSError as error:
        raise UsageError(f"{given}: {error}") from error
    if not matches:
        raise UsageError(f"{given}: there is no such file or folder")
    found = []
    for match in matches:
        name = PurePosixPath(match.path)
        if not match.folder or has_format(name):
            found.append((match, name.name))
        if match.folder:
            found += [(inner, PurePosixPath(inner.path).name) for inner, _ in _inside(storage, match)]
    return found


def _inside(storage: "Storage", folder: Entry) -> list[tuple[Entry, str]]:
    """Return what is to be read below a folder, named from there."""
    named = [(inner, PurePosixPath(inner.path).relative_to(folder.path)) for inner in storage.below(folder)]
    return [(inner, str(name)) for inner, name in named if is_input(name, folder=inner.folder)]


def _distinct(found: list[tuple[Entry, str]]) -> list[tuple[Entry, str]]:
    """Return files with names of their own: where two agree, all are named from the folder they share."""
    if len({name for _, name in found}) == len(found):
        return found
    try:
        shared = posixpath.commonpath([posixpath.dirname(entry.path) for entry, _ in found])
    except ValueError:  # of several file systems
        return [(entry, entry.path) for entry, _ in found]
    return [(entry, posixpath.relpath(entry.path, shared)) for entry, _ in found]


def _looked_at(storage: "Storage", source: int, entry: Entry, name: str) -> Input:
    """Look at the beginning of a file, as a reader of this machine's files does."""

    def found(form: Form, kind: str = "", *, content: bytes = b"", reason: Reason | None = None) -> Input:
        return Input(source, name, entry.path, entry.url, entry.size, form, kind, content, reason)

    if entry.size == NOTHING:
        return found(Form.CARRIED, reason=Reason.UNREADABLE_FILE)
    if entry.folder:
        return found(Form.CARRIED, reason=Reason.NOT_A_FILE)
    try:
        with storage.opened(entry.path) as stream:
            head, _, _ = beginning(portions_of(stream, name))
    except OSError:
        return found(Form.CARRIED, reason=Reason.UNREADABLE_FILE)
    sort = sort_of(head[:HEAD])
    compressed = name.lower().endswith(COMPRESSIONS)
    strange = not compressed and (head.startswith(UTF16) or sort.kind is Sort.OTHER)
    lines = sort.kind is Sort.LINES and not compressed and not strange
    if place := storage.place_here(entry.path):
        form = Form.LINES if lines else Form.WHOLE
        return Input(source, name, entry.path, entry.url, entry.size, form, sort.first_type, place=str(place))
    if strange:
        return found(Form.CARRIED, sort.first_type, content=head[:HEAD])  # the beginning says what is wrong
    file = PurePosixPath(entry.path).name
    if not file.startswith(PASSED_OVER_BY_SPARK):
        return _through_spark(found, sort.first_type, entry.size, cut=lines and not _is_unpacked(file))
    if entry.size > LARGEST_CARRIED:
        raise UsageError(f"{name}: Spark passes over files whose names begin with _ or a dot; rename it")
    with storage.opened(entry.path) as stream:
        return found(Form.CARRIED, sort.first_type, content=stream.read())


def _is_unpacked(file: str) -> bool:
    return file.lower().endswith(UNPACKED_BY_SPARK)


def _through_spark(found: Callable[..., Input], kind: str, size: int, *, cut: bool) -> Input:
    """Return a file that Spark reads for the workers."""
    if cut:
        return found(Form.LINES, kind)
    if size > LARGEST_WHOLE:
        return found(Form.CARRIED, kind, reason=Reason.FILE_TOO_LARGE)
    return found(Form.WHOLE, kind)
