"""A FHIR server's searches, histories and resources, each answer checked before it counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, urlencode

from fhiradapter.fhir.fetching import NO_HEADERS, Fetcher, Reply
from fhiradapter.fhir.origins import origin_of_base, resolve
from fhiradapter.fhir.pages import BundleType, Entry, Page, checked, date_of, entry_of, page_of, refuse
from fhiradapter.reasons import Reason

STRICT = {"Prefer": "handling=strict"}
EMPTY_PAGES = 50  # in a row; some servers filter after they page, none needs more
FORBIDDEN = 403
MISSING = frozenset({404, 410})

Parameters = tuple[tuple[str, str], ...]


class Found(NamedTuple):
    """What a reading by id was answered with."""

    status: int
    entry: Entry | None
    date: datetime | None


class Total(NamedTuple):
    """How many there are, by the server's own count; null when it does not say."""

    number: int | None
    date: datetime | None


@dataclass(frozen=True)
class Rest:
    """Reads one server through a fetcher, within limits."""

    fetcher: Fetcher
    page_size: int = 1_000
    most_pages: int = 100_000
    most_bytes: int = 64 * 2**30
    sizes: Mapping[str, int] = field(default_factory=dict, init=False)
    """Page sizes of types for which the server refuses the usual one."""

    def search(
        self,
        kind: str,
        parameters: Parameters = (),
        *,
        count: int | None = None,
        strict: bool = False,
        also: frozenset[str] = frozenset(),
    ) -> Page:
        """Return the first page of a search, which is one state of the server.

        Raises RefusedAnswerError when it does not count.
        """
        url = self.url_of(kind, (*parameters, ("_count", str(count or self.size_of(kind)))))
        return page_of(self._get(url, kind, strict=strict), kind=kind, also=also)

    def pages(
        self, kind: str, parameters: Parameters = (), *, count: int | None = None, history: bool = False
    ) -> Iterator[Page]:
        """Yield the pages of a search or type-level history, by its own links, until there is none."""
        place = f"{kind}/_history" if history else kind
        url = self.url_of(place, (*parameters, ("_count", str(count or self.size_of(kind)))))
        yield from self._followed(url, kind, "history" if history else "searchset")

    def follow(self, page: Page, kind: str) -> Iterator[Page]:
        """Yield the pages after one of a search."""
        if page.next is not None:
            url = self._own(page.next, page.url)
            yield from self._followed(url, kind, "searchset", following=True)

    def read(self, kind: str, key: str) -> Found:
        """Return what the server says of one id."""
        reply = self.fetcher.get(f"{self._base}/{kind}/{quote(key, safe='')}")
        entry = entry_of(reply, kind=kind, key=key) if reply.status == 200 else None
        return Found(reply.status, entry, date_of(reply.headers))

    def total(self, kind: str, parameters: Parameters = ()) -> Total:
        """Return how many resources a search has."""
        page = page_of(self._get(self.url_of(kind, (*parameters, ("_summary", "count"))), kind), kind=kind)
        return Total(page.total, page.date)

    def document(self, place: str) -> Reply:
        """Return whatever is below the base, such as `metadata`."""
        return self.fetcher.get(f"{self._base}/{place}")

    def with_sizes(self, sizes: Mapping[str, int]) -> "Rest":
        """Return a reader of the same server with page sizes of its own for some types."""
        other = replace(self)
        object.__setattr__(other, "sizes", sizes)
        return other

    def size_of(self, kind: str) -> int:
        """Return how many resources a page of a type is asked to hold."""
        return self.sizes.get(kind, self.page_size)

    def url_of(self, place: str, parameters: Parameters) -> str:
        """Return the URL of a search."""
        return f"{self._base}/{place}?{urlencode(parameters, safe=',:/', quote_via=quote)}"

    @property
    def _base(self) -> str:
        return self.fetcher.base_url.rstrip("/")

    def _get(self, url: str, kind: str, *, strict: bool = False, following: bool = False) -> Reply:
        reply = self.fetcher.get(url, headers=STRICT if strict else NO_HEADERS)
        if reply.status == 200:
            return reply
        if reply.status in {401, FORBIDDEN}:
            refuse(Reason.FORBIDDEN, kind, reply.status)
        if reply.status in MISSING:
            refuse(Reason.PAGE_EXPIRED if following else Reason.NOT_OFFERED, kind, reply.status)
        return refuse(Reason.QUERY_REFUSED, kind, reply.status)

    def _followed(
        self, url: str, kind: str, bundle: BundleType, *, following: bool = False
    ) -> Iterator[Page]:
        """Yield pages by their links; what comes again, or does not end, is refused."""
        urls: set[str] = set()
        seen: set[bytes] = set()
        read = empty = 0
        while True:
            if url in urls:
                refuse(Reason.PAGING_LOOP, kind, 200)
            urls.add(url)
            reply = self._get(url, kind, following=following or len(urls) > 1)
            page = page_of(reply, kind=kind, bundle=bundle)
            read += len(reply.body)
            if len(urls) > self.most_pages or read > self.most_bytes:
                refuse(Reason.TOO_MANY_PAGES, kind, 200)
            if page.entries or page.deleted:
                mark, empty = _fingerprint(page), 0
                if mark in seen:
                    refuse(Reason.PAGING_LOOP, kind, 200)
                seen.add(mark)
            elif (empty := empty + 1) > EMPTY_PAGES:
                refuse(Reason.PAGING_LOOP, kind, 200)
            yield page
            if page.next is None:
                return
            url = self._own(page.next, reply.url)

    def _own(self, link: str, asked: str) -> str:
        """Return a link as a URL of this server; nobody else is asked."""
        return resolve(link, at=asked, base=origin_of_base(self.fetcher.base_url))


def metadata_of(reply: Reply) -> bytes:
    """Return a document's JSON, refused when it is none."""
    if reply.status != 200:
        refuse(
            Reason.NOT_OFFERED if reply.status in MISSING else Reason.QUERY_REFUSED, "metadata", reply.status
        )
    return checked(reply, "metadata")


def _fingerprint(page: Page) -> bytes:
    mark = blake2b(digest_size=16)
    for entry in page.entries:
        mark.update(f"{entry.type}/{entry.id}/{entry.version}/{entry.updated};".encode())
    for deletion in page.deleted:
        mark.update(f"-{deletion.type}/{deletion.id}/{deletion.version}/{deletion.at};".encode())
    return mark.digest()
