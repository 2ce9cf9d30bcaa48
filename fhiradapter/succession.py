"""Succession: parts of one source as if a single process had read it from its beginning to its end.

Pieces are mapped before it is known what came before them: which bases are the source's own, and how many
lines a file had until then. What was supposed is compared here with what is so. Mostly the lines are moved,
and that is all; a piece for which more was wrong is mapped again.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from fhiradapter.fhir.files import Piece, lines_between
from fhiradapter.mappers.collected import Later
from fhiradapter.mappers.lookups import Lookups
from fhiradapter.mappers.parts import Part
from fhiradapter.workbench import Bench, LaterTask, PieceTask, Plan, Task


class Succession:
    """Knows at every part what the source had shown until then."""

    def __init__(self, source: int, plan: Plan, bench: Bench) -> None:
        """Begin a source; `bench` is where pieces are mapped again."""
        self.lookups = Lookups()
        self._source = source
        self._bench = bench
        self._home = plan.home
        self._reached: tuple[Path, int, int] | None = None
        """A file, where its next piece begins, and the number of the first line there."""
        self._counting = False
        self._counted: tuple[Path, int, int] | None = None

    def pieces(self, pieces: Iterable[Piece]) -> Iterator[PieceTask]:
        """Yield the tasks of pieces, with as much as is known when they are asked for."""
        for piece in pieces:
            yield PieceTask(self._source, piece, self._home, self._first_line(piece))

    def later(self, portions: Iterable[list[Later]]) -> Iterator[LaterTask]:
        """Yield the tasks of resources that waited."""
        for portion in portions:
            yield LaterTask(self._source, portion, self._home)

    def parts(self, results: Iterable[tuple[Task, Iterator[Part]]]) -> Iterator[Part]:
        """Yield what comes of tasks, with everything in its place."""
        for task, parts in results:
            if isinstance(task, LaterTask):
                yield from self._in_place(parts, task, 0)
                continue
            first = 1
            if task.piece.start and self._reached is not None:
                first = self._reached[2]
            repaired = task._replace(home=self._home, first_line=first)
            lines = 0
            for part in self._in_place(parts, repaired, first - (task.first_line or 1)):
                lines += part.lines_read
                yield part
            if task.piece.stop is not None:
                self._reached = (task.piece.path, task.piece.stop, first + lines)

    def take(self, part: Part) -> Part:
        """Take notice of what a part showed."""
        self._home = self._home or part.home
        self.lookups.take(part.lookups)
        return part

    def _in_place(self, parts: Iterator[Part], repaired: Task, offset: int) -> Iterator[Part]:
        taken = 0
        for part in parts:
            # A base that was not needed was not supposed either.
            same_home = not self._home or part.home in (frozenset(), self._home)
            if same_home and not (part.placed and offset):
                yield self.take(part.moved(offset))
                taken += 1
                continue
            # Resources without an id are named by their lines, and where there are some there are more.
            self._counting |= part.placed
            for again in islice(self._bench.run(repaired._replace(home=self._home)), taken, None):
                yield self.take(again)
            return

    def _first_line(self, piece: Piece) -> int | None:
        """Return the number of a piece's first line when it is known, or worth to be counted."""
        if piece.start == 0:
            return 1
        if self._reached is None or self._reached[0] != piece.path:
            return None
        _, start, line = self._reached
        if self._counted is not None and self._counted[0] == piece.path:
            _, start, line = max(self._counted, self._reached)
        if start < piece.start and not self._counting:
            return None
        # A line that ends in the last byte before a piece is followed by the first line of that piece.
        try:
            line += lines_between(piece.path, start - 1, piece.start - 1)
        except OSError:  # it is gone, which reading the piece will say
            return None
        self._counted = (piece.path, piece.start, line)
        return line
