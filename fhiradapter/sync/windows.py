"""Windows: everything of a search that was last updated in a span of time, although others write meanwhile.

A page of a search is one request and so one state of the server. Sorted by time, the next page is asked for
by the last instant of the one before, and not by its place; what is written meanwhile has a later time than
the window's end and belongs to the next window. Unsorted, the window is halved until each part is one page.
"""

from collections.abc import Iterator
from operator import gt
from statistics import median_low
from typing import NamedTuple

from fhiradapter.fhir.instants import MILLISECOND, instant, milliseconds, shown_to
from fhiradapter.fhir.pages import Entry, Page, refuse
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.queries import Query
from fhiradapter.sync.stable import read_stable

YEAR_ONE = -62_135_596_800_000_000
SPLITS = (0, YEAR_ONE + MILLISECOND)  # where a window without a beginning is cut: hardly anything is older
ONE_PAGE = 10_000  # asked for where a window cannot be split; servers give less when it is too much
SORTED = ("_sort", "_lastUpdated")


class Part(NamedTuple):
    """Some entries of a window, complete up to an instant; entries from there on may be among them."""

    entries: list[Entry]
    upto: int
    warnings: tuple[str, ...] = ()


def read_window(rest: Rest, query: Query, low: int | None, high: int, *, ordered: bool) -> Iterator[Part]:
    """Yield the window [low, high) in parts of ascending time, the last of which ends at `high`.

    Instants are microseconds, whole milliseconds. `ordered`: the server obeys `_sort=_lastUpdated`.
    Raises RefusedAnswerError: FILTER_IGNORED when the server answers with other times than those asked for,
    TOO_MANY_PAGES when it takes more requests than the settings allow.
    """
    if low is not None and low >= high:
        return
    window = _Window(rest, query)
    yield from (window.in_order(low, high) if ordered else window.in_halves(low, high))


class _Window:
    """Reads one window, and counts the requests that it takes."""

    def __init__(self, rest: Rest, query: Query) -> None:
        self.rest, self.query = rest, query
        self.requests = 0

    def in_order(self, low: int | None, high: int) -> Iterator[Part]:
        while True:
            page = self._page(low, high, ordered=True)
            if self._is_last(page):
                yield _part(page, high)
                return
            times = [instant(entry.updated) for entry in page.entries]
            known = [time for time in times if time is not None]
            if not known or len(known) < len(times) or any(map(gt, known, known[1:])):
                yield from self.in_halves(low, high)
                return
            # The last instant is read again, as more of it may follow; what is shown may be rounded.
            last, shown = known[-1], shown_to(page.entries[-1].updated or "")
            again = milliseconds(last - shown)
            if again >= high:
                refuse(Reason.FILTER_IGNORED, self.query.kind, 200)
            if low is None or again > low:
                yield _part(page, again)
                low = again
                continue
            # The page holds nothing but this instant, so going on by time does not get on.
            beyond = min(high, milliseconds(last + shown) + MILLISECOND)
            yield from self.in_halves(low, beyond)
            if beyond == high:
                return
            low = beyond

    def in_halves(self, low: int | None, high: int) -> Iterator[Part]:
        waiting = [(low, high)]
        while waiting:
            begin, end = waiting.pop()
            page = self._page(begin, end)
            if self._is_last(page):
                yield _part(page, end)
                continue
            middle = _middle(page, begin, end)
            if middle is not None:
                waiting += [(middle, end), (begin, middle)]
                continue
            count = max(self.rest.size_of(self.query.kind), ONE_PAGE)
            yield Part(read_stable(self.rest, self.query.between(begin, end), count=count), end)

    def _page(self, low: int | None, high: int, *, ordered: bool = False) -> Page:
        """Return the first page of a window; where more follow, its times must be those asked for."""
        self.requests += 1
        if self.requests > self.rest.most_pages:
            refuse(Reason.TOO_MANY_PAGES, self.query.kind, 200)
        query = self.query.between(low, high)
        page = self.rest.search(query.kind, (query.also(SORTED) if ordered else query).parameters)
        if page.next is None:
            return page
        strays = sum(_is_stray(entry.updated, low, high) for entry in page.entries)
        # An index that lags behind shows a newer version here and there; a filter that is ignored, many.
        if 2 * strays > len(page.entries):
            refuse(Reason.FILTER_IGNORED, self.query.kind, 200)
        return page

    def _is_last(self, page: Page) -> bool:
        """Return True when nothing follows a page; some servers end with empty pages that have a next one."""
        if page.next is None:
            return True
        if page.entries:
            return False
        return not any(following.entries for following in self.rest.follow(page, self.query.kind))


def _middle(page: Page, low: int | None, high: int) -> int | None:
    """Return where to split: at the median of what the page shows, else in the middle; null: nowhere."""
    if low is None:
        return next((split for split in SPLITS if split < high), None)
    if high - low <= MILLISECOND:
        return None
    times = [time for time in (instant(entry.updated) for entry in page.entries) if time is not None]
    middle = milliseconds(median_low(times)) if times else low
    return middle if low < middle < high else milliseconds((low + high) // 2)


def _is_stray(updated: str | None, low: int | None, high: int) -> bool:
    time = instant(updated)
    if time is None or updated is None:
        return False
    shown = shown_to(updated)
    return time >= high + shown or (low is not None and time <= low - shown)


def _part(page: Page, upto: int) -> Part:
    return Part(page.entries, upto, tuple(page.warnings))
