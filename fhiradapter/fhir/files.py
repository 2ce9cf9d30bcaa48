"""Files: NDJSON, documents, folders and globs of these, plain or compressed, as a Source."""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fhiradapter.errors import UsageError
from fhiradapter.fhir.compression import COMPRESSIONS, portions
from fhiradapter.fhir.reading import HEAD, Reader, failed
from fhiradapter.fhir.source import Batch
from fhiradapter.fhir.text import sort_of
from fhiradapter.reasons import Reason

FORMATS = (".ndjson", ".jsonl", ".json")
# What people and programs put beside an export and nobody sends as FHIR; passed over without a word. Any
# other file is read for what it holds, so that a form that cannot be read, such as XML, is said.
PAPERS = ("readme", "license")
TOOLS = (".md", ".csv", ".toml", ".py")


class Found(NamedTuple):
    """A file to read, with the name that rows carry."""

    path: Path
    name: str


@dataclass(frozen=True)
class FileSource:
    """All resources below some paths; those that others refer to come first.

    Raises UsageError when a path does not exist. Whatever else is wrong with a file is its batch's failure.
    """

    paths: tuple[str | Path, ...]
    reader: Reader = field(default_factory=Reader)
    first: tuple[str, ...] = ()
    """Resource types whose files are read before the others."""

    def total_bytes(self) -> int:
        """Return the size of all files as they lie on disk."""
        return sum(found.path.stat().st_size for found in list_files(self.paths) if found.path.is_file())

    def batches(self) -> Iterator[Batch]:
        """Yield the resources of all files, and the failures of files that hold none."""
        files = list_files(self.paths)
        order = {name: place for place, name in enumerate(self.first)}
        for found in sorted(files, key=lambda found: (order.get(self._type(found), len(order)), found.name)):
            yield from self._file(found)

    def _type(self, found: Found) -> str:
        """Return the type of the first resource, by which bulk exports split their files."""
        if not found.path.is_file():
            return ""
        try:
            return sort_of(next(portions(found.path)).content[:HEAD]).first_type
        except OSError:
            return ""

    def _file(self, found: Found) -> Iterator[Batch]:
        if found.path.is_dir():
            yield failed(found.name, Reason.NOT_A_FILE)
            return
        if not found.path.is_file():  # a dangling link, or a pipe that would never end
            yield failed(found.name, Reason.UNREADABLE_FILE)
            return
        try:
            yield from self.reader.batches(portions(found.path), found.name)
        except OSError:
            yield failed(found.name, Reason.UNREADABLE_FILE)


def list_files(paths: tuple[str | Path, ...]) -> list[Found]:
    """Return the files below paths, folders and globs, each once, in the order of their names.

    A file that is asked for by name or glob is always among them; of a folder all but those of `PAPERS` and
    `TOOLS` and hidden ones. What they hold is told by their beginning and not by their name.

    Raises UsageError for a path or a glob that matches nothing.
    """
    found: dict[str, Found] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for inner in _inputs(path):
                found.setdefault(os.path.realpath(inner), Found(inner, str(inner.relative_to(path))))
        elif path.exists():
            found.setdefault(os.path.realpath(path), Found(path, path.name))
        else:
            matches = [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207 - given is absolute or not
            if not matches:
                raise UsageError(f"{given}: there is no such file or folder")
            for match in matches:
                named = not match.is_dir() or _has_format(match)
                for inner in [*([match] if named else ()), *_inputs(match)]:
                    found.setdefault(os.path.realpath(inner), Found(inner, inner.name))
    return _distinct(list(found.values()))


def _distinct(found: list[Found]) -> list[Found]:
    """Return files with names of their own: where two agree, all are named from the folder they share."""
    if len({one.name for one in found}) == len(found):
        return found
    shared = os.path.commonpath([one.path.absolute().parent for one in found])
    return [Found(one.path, str(one.path.absolute().relative_to(shared))) for one in found]


def _inputs(folder: Path) -> list[Path]:
    """Return what is to be read below a folder; nothing when it is none."""
    return [path for path in sorted(folder.rglob("*")) if _is_input(path, below=folder)]


def _is_input(path: Path, *, below: Path) -> bool:
    """Return True for files to read in a folder, and for folders that are named like a file."""
    # Hidden is what file managers, version control and half-done downloads leave, such as `._a.ndjson`.
    if any(part.startswith(".") for part in path.relative_to(below).parts):
        return False
    if path.is_dir() or _has_format(path):
        return _has_format(path)
    name = path.name.lower()
    return not name.startswith(PAPERS) and not name.endswith(TOOLS)


def _has_format(path: Path) -> bool:
    """Return True when a name ends like those of the known formats."""
    name = path.name.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.endswith(FORMATS)
