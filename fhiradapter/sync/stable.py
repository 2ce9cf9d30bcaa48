"""Stable reading: the whole of a search that needs several pages, although others write meanwhile."""

from hashlib import blake2b

from fhiradapter.errors import RefusedAnswerError
from fhiradapter.fhir.pages import Entry, refuse
from fhiradapter.fhir.rest import Rest
from fhiradapter.reasons import Reason
from fhiradapter.sync.queries import Query

READINGS = 8
EXPIRIES = 4
SMALL = 50  # a page size that no server is known to refuse
SHRUNK = 0.61  # the second page size: no small multiple of it is one of the first


def read_stable(rest: Rest, query: Query, *, count: int | None = None) -> list[Entry]:
    """Return every resource of a search: one page where it fits in one, else as two readings agree.

    Paging by offset skips rows when others move: two readings with different page sizes that give the same
    versions, none of them twice, did not. Doubles of other versions are left in.

    Raises RefusedAnswerError: UNSTABLE after eight readings, PAGE_EXPIRED after four expiries.
    """
    usual = rest.size_of(query.kind)
    size = count or usual
    found: dict[tuple[str, str], Entry] = {}
    before: set[tuple[str, str]] | None = None
    expired, whole = 0, True
    for _ in range(READINGS):
        try:
            keys, pages, first = _reading(rest, query, size, found)
        except RefusedAnswerError as error:
            expired += error.reason == Reason.PAGE_EXPIRED
            if error.reason == Reason.QUERY_REFUSED and size > min(usual, SMALL):
                # Some servers refuse pages that are too large, where most give smaller ones.
                size = usual = usual if size > usual else SMALL
            elif error.reason != Reason.PAGE_EXPIRED or expired == EXPIRIES:
                raise
            before = None
            continue
        now = set(keys)
        repeats = len(keys) > len(now)
        if pages == 1 or (now == before and not repeats):
            return list(found.values())
        before = None if repeats else now
        # A server may give less than was asked for: the other size is of what it gave.
        whole = not whole
        size = max(usual, first) if whole else max(1, int(first * SHRUNK))
    return refuse(Reason.UNSTABLE, query.kind, 200)


def key_of(entry: Entry) -> tuple[str, str]:
    """Return what tells versions of resources apart; the content does where the server counts none."""
    return entry.id, entry.version or blake2b(entry.content, digest_size=16).hexdigest()


def _reading(
    rest: Rest, query: Query, count: int, found: dict[tuple[str, str], Entry]
) -> tuple[list[tuple[str, str]], int, int]:
    """Return the versions of one reading in their order, its number of pages, and the size of the first."""
    keys: list[tuple[str, str]] = []
    pages = first = 0
    for page in rest.pages(query.kind, query.parameters, count=count):
        pages += 1
        first = first or len(page.entries)
        for entry in page.entries:
            key = key_of(entry)
            keys.append(key)
            found[key] = entry
    return keys, pages, first
