"""Files: NDJSON, documents, folders and globs of these, plain or compressed, as a Source."""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, NamedTuple

from fhiradapter.errors import UsageError
from fhiradapter.fhir import compression
from fhiradapter.fhir.compression import COMPRESSIONS, Portion, portions
from fhiradapter.fhir.reading import HEAD, UTF16, Reader, beginning, failed
from fhiradapter.fhir.source import Batch
from fhiradapter.fhir.text import Sort, sort_of
from fhiradapter.reasons import Reason

FORMATS = (".ndjson", ".jsonl", ".json")
# What people and programs put beside an export and nobody sends as FHIR; passed over without a word. Any
# other file is read for what it holds, so that a form that cannot be read, such as XML, is said.
PAPERS = ("readme", "license")
TOOLS = (".md", ".csv", ".toml", ".py")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # of more than a letter, which would be a drive
PIECE = 16 << 20  # bytes; some twenty thousand resources, which take a core a tenth of a second


class Found(NamedTuple):
    """A file to read, with the name that rows carry."""

    path: Path
    name: str


class Piece(NamedTuple):
    """What is read by itself: a whole file, or of plain NDJSON the lines that begin in a range of bytes."""

    path: Path
    name: str
    start: int = 0
    stop: int | None = None
    """None for all that follows."""

    @property
    def whole(self) -> bool:
        """True for a file that is not cut."""
        return self.start == 0 and self.stop is None

    def __str__(self) -> str:
        """Return what a person needs to find it."""
        if self.whole:
            return self.name
        return f"{self.name}, bytes {self.start} to {self.stop or 'the end'}"


@dataclass(frozen=True)
class FileSource:
    """All resources below some paths; those that others refer to come first.

    Raises UsageError when a path does not exist. Whatever else is wrong with a file is its batch's failure.
    """

    paths: tuple[str | Path, ...]
    reader: Reader = field(default_factory=Reader)
    first: tuple[str, ...] = ()
    """Resource types whose files are read before the others."""
    piece_bytes: int = PIECE

    def total_bytes(self) -> int:
        """Return the size of all files as they lie on disk."""
        return sum(found.path.stat().st_size for found in list_files(self.paths) if found.path.is_file())

    def batches(self) -> Iterator[Batch]:
        """Yield the resources of all files, and the failures of files that hold none."""
        for found in self._ordered():
            yield from self.read(Piece(*found))

    def pieces(self) -> Iterator[Piece]:
        """Yield what can be read apart, in the order in which `batches` reads it.

        Where a file is cut depends on the file alone. Only plain NDJSON has places to cut at.
        """
        for found in self._ordered():
            cuts = range(self.piece_bytes, self._size_of_lines(found), self.piece_bytes)
            starts, stops = [0, *cuts], [*cuts, None]
            for start, stop in zip(starts, stops, strict=True):
                yield Piece(*found, start, stop)

    def read(self, piece: Piece, first_line: int = 1) -> Iterator[Batch]:
        """Yield the resources of a piece, of which the first line has a given number."""
        if piece.path.is_dir():
            yield failed(piece.name, Reason.NOT_A_FILE)
            return
        if not piece.path.is_file():  # a dangling link, or a pipe that would never end
            yield failed(piece.name, Reason.UNREADABLE_FILE)
            return
        try:
            if piece.whole:
                yield from self.reader.batches(portions(piece.path), piece.name)
            else:
                yield from self.reader.lines(_lines_of(piece), piece.name, first_line)
        except OSError:
            yield failed(piece.name, Reason.UNREADABLE_FILE)

    def _ordered(self) -> list[Found]:
        order = {name: place for place, name in enumerate(self.first)}
        return sorted(
            list_files(self.paths), key=lambda found: (order.get(self._type(found), len(order)), found.name)
        )

    def _size_of_lines(self, found: Found) -> int:
        """Return the size of plain NDJSON; 0 for what is to be read in one go."""
        if found.path.name.lower().endswith(COMPRESSIONS) or not found.path.is_file():
            return 0
        try:
            size = found.path.stat().st_size
            if size <= self.piece_bytes:
                return 0
            head, _, _ = beginning(portions(found.path))
        except OSError:
            return 0
        return size if not head.startswith(UTF16) and sort_of(head[:HEAD]).kind is Sort.LINES else 0

    def _type(self, found: Found) -> str:
        """Return the type of the first resource, by which bulk exports split their files."""
        if not found.path.is_file():
            return ""
        try:
            return sort_of(beginning(portions(found.path))[0][:HEAD]).first_type
        except OSError:
            return ""


def lines_between(path: Path, start: int, stop: int) -> int:
    """Return how many lines of a file end in a range of bytes."""
    count = 0
    with path.open("rb") as stream:
        stream.seek(start)
        while start < stop and (content := stream.read(min(compression.PORTION, stop - start))):
            count += content.count(b"\n")
            start += len(content)
    return count


def _lines_of(piece: Piece) -> Iterator[Portion]:
    """Yield the lines that begin in a range of bytes; the last one may end after it."""
    with piece.path.open("rb") as stream:
        if piece.start:
            stream.seek(piece.start - 1)
            _rest_of_line(stream)
        left = None if piece.stop is None else piece.stop - stream.tell()
        last = b"\n"
        while left is None or left > 0:
            content = stream.read(compression.PORTION if left is None else min(compression.PORTION, left))
            if not content:
                return
            yield Portion(content, False)
            last = content[-1:]
            left = None if left is None else left - len(content)
        if last != b"\n":
            while (content := stream.readline(compression.PORTION)) and last != b"\n":
                yield Portion(content, False)
                last = content[-1:]


def _rest_of_line(stream: IO[bytes]) -> None:
    while (content := stream.readline(compression.PORTION)) and not content.endswith(b"\n"):
        pass


def is_url(path: str | Path) -> bool:
    """Return True for what names a file system, such as s3a://bucket/folder or file:/folder."""
    return URL.match(str(path)) is not None


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
                hint = "; --engine spark reads other file systems" if is_url(given) else ""
                raise UsageError(f"{given}: there is no such file or folder{hint}")
            for match in matches:
                named = not match.is_dir() or has_format(match)
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
    return [
        path for path in sorted(folder.rglob("*")) if is_input(path.relative_to(folder), folder=path.is_dir())
    ]


def is_input(path: PurePath, *, folder: bool) -> bool:
    """Return True for files to read in a folder, and for folders that are named like a file.

    `path` is seen from the folder that was asked for.
    """
    # Hidden is what file managers, version control and half-done downloads leave, such as `._a.ndjson`.
    if any(part.startswith(".") for part in path.parts):
        return False
    if folder or has_format(path):
        return has_format(path)
    name = path.name.lower()
    return not name.startswith(PAPERS) and not name.endswith(TOOLS)


def has_format(path: PurePath) -> bool:
    """Return True when a name ends like those of the known formats."""
    name = path.name.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.endswith(FORMATS)
