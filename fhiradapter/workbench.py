"""The workbench: tasks of sources, each through the kernel of its source."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import local
from typing import NamedTuple

from fhiradapter.definitions.catalogue import load_catalogue
from fhiradapter.fhir.files import FileSource, Piece
from fhiradapter.fhir.source import Batch
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.context import Context, Readers
from fhiradapter.mappers.kernel import Kernel
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.parts import Gathered, Part

_last = local()
PART = 4 << 20  # bytes of input; some thousands of rows, so that work per part does not count


@dataclass(frozen=True)
class Plan:
    """How one source is mapped, in words that any process understands."""

    source: str
    now: int
    """The latest instant that is not the future, microseconds since 1970."""
    run_id: str = ""
    site: Path | None = None
    time_zone: str | None = None
    base_url: str | None = None
    subject_prefix: str = ""
    nesting: int = 64
    files: FileSource | None = None
    part_bytes: int = PART

    @property
    def home(self) -> frozenset[str]:
        """The base that the study says is the source's own, if it does."""
        return frozenset({self.base_url.rstrip("/")} if self.base_url else ())

    def context(self, readers: Readers | None = None) -> Context:
        """Return what the mapping needs to know. Raises DefinitionsError for wrong mapping and site files."""
        return Context.of(
            readers or Readers.of(load_catalogue(site=self.site), self.time_zone),
            now=self.now,
            source=self.source,
            base_url=self.base_url,
            subject_prefix=self.subject_prefix,
        )

    def kernel(self) -> Kernel:
        """Return a kernel; what is in memory is mostly small, and read by readers that are kept."""
        readers = _kept_readers(self.site, self.time_zone) if self.files is None else None
        return Kernel(self.context(readers), run_id=self.run_id, nesting=self.nesting)


class PieceTask(NamedTuple):
    """A piece of a source's files; without `first_line` its lines are counted from one."""

    source: int
    piece: Piece
    home: frozenset[str]
    first_line: int | None = None

    def __str__(self) -> str:
        """Return what a person needs to find it."""
        return str(self.piece)


class LaterTask(NamedTuple):
    """Resources of a source that had to wait until everything else was read."""

    source: int
    later: list[Later]
    home: frozenset[str]

    def __str__(self) -> str:
        """Return what a person needs to find it."""
        first, last = self.later[0], self.later[-1]
        return f"what waited for others, {first.file}:{first.line} to {last.file}:{last.line}"


class News(NamedTuple):
    """Everything of a source was read, and this is what its resources refer to."""

    source: int
    lookups: Lookups


Task = PieceTask | LaterTask


class Bench:
    """Does tasks; what it keeps between them makes them faster and changes nothing."""

    def __init__(self, plans: tuple[Plan, ...]) -> None:
        self._plans = plans
        self._kernels: dict[int, Kernel] = {}

    def hear(self, news: News) -> None:
        """Know from now on what the resources of a source refer to."""
        kernel = self._kernel(news.source)
        kernel.context = replace(kernel.context, lookups=news.lookups)
        kernel.finish()

    def run(self, task: Task) -> Iterator[Part]:
        """Do a task and yield what it gives."""
        kernel = self._kernel(task.source)
        kernel.context.home.bases = task.home
        if isinstance(task, LaterTask):
            mapped = kernel.map_deferred(task.later)
            yield Part(mapped, 0, 0, False, kernel.context.home.bases, Lookups())
            return
        files = self._plans[task.source].files
        if files is None:
            raise TypeError("a piece of a source without files")
        yield from self.map(task.source, files.read(task.piece, task.first_line or 1), task.piece.name)

    def fresh(self, source: int, batches: Iterable[Batch], name: str, home: frozenset[str]) -> Iterator[Part]:
        """Map batches of a source with nothing known of it but its bases; yield what they give."""
        kernel = self._kernel(source)
        kernel.context.home.bases = home
        kernel.context = replace(kernel.context, lookups=Lookups())
        yield from self.map(source, batches, name)

    def map(self, source: int, batches: Iterable[Batch], name: str = "") -> Iterator[Part]:
        """Map batches of a source and yield what they give."""
        kernel, enough = self._kernel(source), self._plans[source].part_bytes
        gathered = Gathered(name)
        for batch in batches:
            gathered.add(batch, kernel.map_batch(batch))
            if gathered.bytes_read >= enough:
                yield _part(gathered, kernel)
                gathered = Gathered(name)
        if gathered:
            yield _part(gathered, kernel)

    def _kernel(self, source: int) -> Kernel:
        kernel = self._kernels.get(source)
        if kernel is None:
            kernel = self._kernels[source] = self._plans[source].kernel()
        return kernel


class RemoteBench(Bench):
    """A bench in a process of its own, whose parts travel as bytes."""

    def run(self, task: Task) -> Iterator[bytes]:  # type: ignore[override]
        """Do a task and yield what it gives."""
        for part in super().run(task):
            yield part.packed()


def _kept_readers(site: Path | None, time_zone: str | None) -> Readers:
    """Return those that this thread used last, where they fit: to make some takes as long as a Bundle."""
    catalogue = load_catalogue(site=site)
    readers: Readers | None = getattr(_last, "readers", None)
    if readers is None or readers.catalogue is not catalogue or readers.time_zone != time_zone:
        readers = _last.readers = Readers.of(catalogue, time_zone)
    return readers


def _part(gathered: Gathered, kernel: Kernel) -> Part:
    """Return what was gathered, with the look-ups that it told of, which the kernel then forgets."""
    lookups = kernel.context.lookups
    kernel.context = replace(kernel.context, lookups=Lookups())
    return gathered.part(kernel.context.home.bases, lookups)
