"""An instant server: answers searches at once from pages that lie ready on disk; its data are synthetic."""

import json
import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.fhir.instants import instant

BASE = "https://ehr.example.org/fhir"
UPDATED = b'"lastUpdated":"'
NEVER = 1 << 62


class _Type:
    """One type's resources in the order in which they were updated, as entries in a file."""

    def __init__(self, path: Path, contents: Iterable[bytes]) -> None:
        self.times = array("q")
        self.starts = array("q", [0])
        loose = path.with_suffix(".loose")
        times, starts = array("q"), array("q", [0])
        with loose.open("wb") as stream:
            for content in contents:
                begin = content.index(UPDATED) + len(UPDATED)
                times.append(instant(content[begin : content.index(b'"', begin)].decode()) or 0)
                starts.append(
                    starts[-1] + stream.write(b'{"resource":%s,"search":{"mode":"match"}},' % content)
                )
        with loose.open("rb") as unsorted, path.open("wb") as stream:
            for place in sorted(range(len(times)), key=times.__getitem__):
                size = starts[place + 1] - starts[place]
                stream.write(os.pread(unsorted.fileno(), size, starts[place]))
                self.times.append(times[place])
                self.starts.append(self.starts[-1] + size)
        loose.unlink()
        self.file = os.open(path, os.O_RDONLY)

    def entries(self, first: int, end: int) -> bytes:
        """Return entries without the comma after the last one."""
        return os.pread(self.file, max(0, self.starts[end] - self.starts[first] - 1), self.starts[first])


class InstantServer:
    """A Fetcher; `now` is the server's clock, and nobody writes but `change`."""

    base_url = BASE

    def __init__(self, folder: Path, resources: Mapping[str, Iterable[bytes]], *, now: datetime) -> None:
        self.folder, self.now = folder, now
        self.types = {
            kind: _Type(folder / f"{kind}.entries", contents) for kind, contents in resources.items()
        }
        self.requests: Counter[str] = Counter()

    def close(self) -> None:
        """Nothing is held."""

    def change(self, resources: Mapping[str, Mapping[str, bytes]]) -> None:
        """Give resources, by type and id, other contents; their times are in them."""
        for kind, changed in resources.items():
            old = self.types[kind]
            whole = json.loads(b"[" + old.entries(0, len(old.times)) + b"]")
            kept = (
                json.dumps(entry["resource"], separators=(",", ":")).encode()
                for entry in whole
                if entry["resource"]["id"] not in changed
            )
            os.close(old.file)
            self.types[kind] = _Type(self.folder / f"{kind}.entries", chain(kept, changed.values()))

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        """Answer a search, a history or a count."""
        del headers, fresh
        parts = urlsplit(url)
        kind, _, place = parts.path.removeprefix(urlsplit(BASE).path).strip("/").partition("/")
        self.requests[kind] += 1
        body = (
            self._metadata()
            if kind == "metadata"
            else self._found(kind, place, dict(pairs(parts.query)), url)
        )
        status = 404 if body is None else 200
        return Reply(status, {"Date": format_datetime(self.now, usegmt=True)}, body or b"{}", url)

    def _metadata(self) -> bytes:
        known = [
            {"type": kind, "interaction": [{"code": "search-type"}, {"code": "history-type"}]}
            for kind in self.types
        ]
        statement = {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": known}]}
        return json.dumps(statement).encode()

    def _found(self, kind: str, place: str, query: dict[str, str], url: str) -> bytes | None:
        if place not in {"", "_history"} or kind.startswith("."):
            return None
        of_type = self.types.get(kind)
        times = of_type.times if of_type is not None else array("q")
        low, high = query.get("ge") or query.get("_since"), query.get("lt")
        first = bisect_left(times, instant(low) or 0) if low else 0
        end = bisect_left(times, instant(high) or 0) if high else len(times)
        if {"patient", "subject", "individual"} & query.keys():
            first = end  # only asked for by the probe, and for somebody who is not there
        if "_id" in query:
            return self._by_id(of_type, set(query["_id"].split(",")), query.get("_summary"))
        bundle = b"history" if place else b"searchset"
        if query.get("_summary") == "count":
            return b'{"resourceType":"Bundle","type":"searchset","total":%d}' % (end - first)
        count, offset = int(query.get("_count", "20")), int(query.get("_offset", "0"))
        if query.get("_sort") == "-_lastUpdated":
            start, stop = max(first, end - offset - count), end - offset
            entries = (
                b",".join(of_type.entries(n, n + 1) for n in range(stop - 1, start - 1, -1))
                if of_type
                else b""
            )
        else:
            start = first + offset
            stop = min(start + count, end)
            entries = of_type.entries(start, stop) if of_type and stop > start else b""
        link = b""
        if offset + count < end - first:
            following = url.replace(f"&_offset={offset}", "") + f"&_offset={offset + count}"
            link = b'{"relation":"next","url":"%s"}' % following.encode()
        return b'{"resourceType":"Bundle","type":"%s","link":[%s],"entry":[%s]}' % (bundle, link, entries)

    def _by_id(self, of_type: _Type | None, ids: set[str], summary: str | None) -> bytes:
        whole = json.loads(b"[" + of_type.entries(0, len(of_type.times)) + b"]") if of_type else []
        found = [entry for entry in whole if entry["resource"]["id"] in ids]
        content = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        return json.dumps(content if summary else {**content, "entry": found}).encode()


def pairs(text: str) -> Iterable[tuple[str, str]]:
    """Yield parameters; the two bounds of a time under their own names."""
    for name, value in parse_qsl(text):
        yield (value[:2], value[2:]) if name == "_lastUpdated" else (name, value)
