"""A simulated FHIR server: implements the Fetcher over versions that become visible as its clock goes on."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from fhiradapter.errors import TransientServerError
from fhiradapter.fhir.fetching import NO_HEADERS, Reply
from fhiradapter.fhir.instants import instant
from fhiradapter.reasons import Reason

from .traits import Traits
from .writes import SECOND, Version, Writer

BASE = "https://ehr.example.org/fhir"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = ("Patient", "Observation", "MedicationAdministration", "Condition", "Medication")
CACHED_SECONDS = 60
SUBJECTS = ("patient", "subject", "individual")
OUTCOME = (
    b'{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational",'
    b'"diagnostics":"a remark"}]},"search":{"mode":"outcome"}}'
)


class Headers(dict[str, str]):
    """Headers by name."""


class Snapshot(NamedTuple):
    """What a search found, kept for its next pages."""

    found: list[Version]
    begun: int
    short: bool


class Simulator:
    """One server, one seed."""

    def __init__(
        self, seed: int = 0, traits: Traits | None = None, *, patients: int = 30, facts: int = 600
    ) -> None:
        self.traits = traits or Traits()
        self.base_url = BASE
        self.random = Random(seed * 7 + 1)
        self.writer = Writer(seed, self.traits)
        self.visible: dict[str, dict[str, Version]] = {kind: {} for kind in KINDS}
        self.by_time: dict[str, list[tuple[int, int, Version]]] = {kind: [] for kind in KINDS}
        self.events: dict[str, list[tuple[int, int, Version]]] = {kind: [] for kind in KINDS}
        self.of_patient: dict[tuple[str, str], set[str]] = {}
        self.pending: list[Version] = []
        self.next = 0
        self.requests: list[str] = []
        self.cache: dict[str, tuple[int, Reply]] = {}
        self.tokens: dict[str, Snapshot] = {}
        self.expired = False
        self.groups: dict[str, tuple[str, ...]] = {}
        for version in self.writer.initial(patients, facts):
            self._show(version)
        self.now = self.writer.at

    # -- the others -------------------------------------------------------------------------------------

    def plan_writes(self, count: int, *, seconds: float = 2.0) -> int:
        """Make further writes that happen as the clock goes on; return when the last one was made."""
        self.writer.at = max(self.writer.at, self.now)
        self.pending = self.pending[self.next :] + self.writer.writes(count, seconds=seconds)
        self.next = 0
        return self.writer.at

    def put(self, kind: str, key: str, patient: str | None, body: bytes = b"", **more: Any) -> None:
        """Write one version now, visible at once."""
        self.writer.at = max(self.writer.at, self.now)
        self.writer._put(kind, key, patient, body, **more)
        self._flush()

    def merge(self, one: str, other: str) -> None:
        """Merge two Patients now."""
        self.writer.at = max(self.writer.at, self.now)
        self.writer.merge(one, other)
        self._flush()

    def _flush(self) -> None:
        for version in self.writer.made:
            version.seen = self.now
            self._show(version)
        self.writer.made = []

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)
        while self.next < len(self.pending) and self.pending[self.next].seen <= self.now:
            self._show(self.pending[self.next])
            self.next += 1

    def truth(self) -> dict[tuple[str, str], Version]:
        """Return the newest version of everything that is there."""
        return {(kind, version.id): version for kind in KINDS for version in self.visible[kind].values()}

    def _show(self, version: Version) -> None:
        kind, key = version.kind, version.id
        self._write_out(version)
        insort(self.events[kind], (version.updated, version.serial, version))
        old = self.visible[kind].get(key)
        newest = next((v for v in (old,) if v is not None), None) or self._deleted.get((kind, key))
        if newest is not None and (newest.number, newest.serial) > (version.number, version.serial):
            return
        if old is not None:
            times = self.by_time[kind]
            del times[bisect_left(times, (old.updated, old.serial))]
            if old.patient is not None:
                self.of_patient[kind, old.patient].discard(key)
        if version.deleted:
            self.visible[kind].pop(key, None)
            self._deleted[kind, key] = version
            return
        self._deleted.pop((kind, key), None)
        self.visible[kind][key] = version
        insort(self.by_time[kind], (version.updated, version.serial, version))
        if version.patient is not None:
            self.of_patient.setdefault((kind, version.patient), set()).add(key)

    @property
    def _deleted(self) -> dict[tuple[str, str], Version]:
        return self.__dict__.setdefault("deleted", {})

    def shown(self, moment: int) -> str:
        """Return an instant as this server shows it."""
        at = EPOCH + timedelta(microseconds=moment)
        zone = "Z"
        if self.traits.zone_shown:
            at, zone = at + timedelta(hours=2), "+02:00"
        fraction = "" if self.traits.seconds_shown else f".{at.microsecond // 1000:03d}"
        return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"

    def _write_out(self, version: Version) -> None:
        kind, key = version.kind.encode(), version.id.encode()
        meta = b'"meta":{"versionId":"%d","lastUpdated":"%s"' % (
            version.number,
            self.shown(version.updated).encode(),
        )
        url = b'{"fullUrl":"%s/%s/%s",' % (BASE.encode(), kind, key)
        if version.deleted:
            version.entry = (
                url
                + b'"request":{"method":"DELETE","url":"%s/%s"},"response":{"status":"204",'
                % (
                    kind,
                    key,
                )
                + b'"etag":"W/\\"%d\\"","lastModified":"%s"}}'
                % (
                    version.number,
                    self.shown(version.updated).encode(),
                )
            )
            return
        head = b'{"resourceType":"%s","id":"%s",' % (kind, key)
        subject = b""
        if version.patient is not None and version.kind != "Patient":
            subject = b',"subject":{"reference":"Patient/%s"}' % version.patient.encode()
        version.content = head + meta + b"}" + subject + (b"," + version.body if version.body else b"") + b"}"
        tag = b',"tag":[{"code":"SUBSETTED"}]}'
        tail = b',"search":{"mode":"match"}}'
        version.entry = url + b'"resource":' + version.content + tail
        version.name = url + b'"resource":' + head + meta + tag + b"}" + tail

    # -- the server ---------------------------------------------------------------------------------------

    def get(self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, fresh: bool = True) -> Reply:
        """Answer a request; meanwhile others write."""
        self.requests.append(url)
        self.advance(self.random.uniform(0.05, 1.0))
        if self.traits.cached and not fresh:
            at, reply = self.cache.get(url, (0, None))
            if reply is not None and self.now - at < CACHED_SECONDS * SECOND:
                return reply
        status, body = self._answer(url)
        reply = Reply(status, self._headers(), body, url)
        self.cache[url] = self.now, reply
        return reply

    def _headers(self) -> Headers:
        if not self.traits.dated:
            return Headers()
        return Headers(Date=format_datetime(EPOCH + timedelta(seconds=self.now // SECOND), usegmt=True))

    def _answer(self, url: str) -> tuple[int, bytes]:
        parts = urlsplit(url)
        path = parts.path.removeprefix(urlsplit(BASE).path).strip("/").split("/")
        query = parse_qsl(parts.query)
        if path == ["metadata"]:
            return 200, self._metadata()
        kind = path[0]
        if kind in self.traits.forbidden:
            return 403, b"{}"
        if kind == "Group" and len(path) == 2:
            return self._group(path[1])
        if kind not in self.visible:
            return 404, b"{}"
        if path[1:] == ["_history"]:
            return self._history(kind, dict(query))
        if len(path) == 2:
            return self._read(kind, path[1])
        return self._search(kind, query)

    def _group(self, name: str) -> tuple[int, bytes]:
        if name not in self.groups:
            return 404, b"{}"
        people = ",".join(f'{{"entity":{{"reference":"Patient/{key}"}}}}' for key in self.groups[name])
        return 200, f'{{"resourceType":"Group","id":"{name}","member":[{people}]}}'.encode()

    def _read(self, kind: str, key: str) -> tuple[int, bytes]:
        version = self.visible[kind].get(key)
        if key in self.traits.barred:
            return 403, b"{}"
        if version is not None:
            return 200, version.content
        return (410 if (kind, key) in self._deleted else 404), b"{}"

    def _metadata(self) -> bytes:
        interactions = '{"code":"read"},{"code":"search-type"}'
        if self.traits.history:
            interactions += ',{"code":"history-type"}'
        types = ",".join(f'{{"type":"{kind}","interaction":[{interactions}]}}' for kind in KINDS)
        statement = (
            '{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","software":{"name":"simulator"},'
        )
        return f'{statement}"rest":[{{"mode":"server","resource":[{types}]}}]}}'.encode()

    def _history(self, kind: str, query: dict[str, str]) -> tuple[int, bytes]:
        if not self.traits.history:
            return 404, b"{}"
        since = instant(query.get("_since")) or 0
        events = self.events[kind]
        found = [event[2] for event in events[bisect_left(events, (since, -1)) :]]
        found.reverse()
        return self._page(kind, found, query, place=f"{kind}/_history", bundle=b"history")

    def _search(self, kind: str, pairs: list[tuple[str, str]]) -> tuple[int, bytes]:
        traits, query = self.traits, dict(pairs)
        if "_token" in query:
            return self._following(kind, query)
        largest = self.traits.largest_count
        if largest is not None and int(query.get("_count", "0")) > largest:
            return 400, b"{}"
        found = self._found(kind, pairs, query)
        if found is None:
            return 400, b"{}"
        if any(version.patient in traits.broken_patients for version in found):
            raise TransientServerError(
                f"{kind}: status 500 after 6 tries", reason=Reason.SERVER_FAILED, status=500
            )
        if query.get("_summary") == "count":
            total = b'"total":%d' % len(found) if traits.counts else b'"timestamp":"2026-01-01"'
            return 200, b'{"resourceType":"Bundle","type":"searchset",%s}' % total
        if traits.paging == "snapshot" and "_offset" not in query:
            return self._snapshot(kind, found, query)
        return self._page(kind, found, query, place=kind)

    def _found(self, kind: str, pairs: list[tuple[str, str]], query: dict[str, str]) -> list[Version] | None:
        """Return what a search finds in its order; null: refused."""
        traits = self.traits
        patients = next((query[name] for name in SUBJECTS if name in query), None)
        bounds = [value for name, value in pairs if name == "_lastUpdated"]
        if self._refuses(kind, query, patients, bounds):
            return None
        if bounds and traits.last_updated == "empty":
            return []
        low, high = _limits(bounds) if traits.last_updated == "obeyed" else (0, 1 << 62)
        rows = self._candidates(kind, query, patients, low, high)
        if traits.hides_merged and kind == "Patient":
            rows = [version for version in rows if version.survivor is None]
        if traits.hidden:
            rows = [version for version in rows if version.id not in traits.hidden]
        if query.get("category", "laboratory") != "laboratory":
            return []
        return self._in_order(rows, query.get("_sort"))

    def _refuses(self, kind: str, query: dict[str, str], patients: str | None, bounds: list[str]) -> bool:
        traits = self.traits
        by_id = "_id" in query
        return (
            (kind in traits.needs_patient and patients is None and not by_id)
            or (kind in traits.no_patient_for and patients is not None)
            or (kind in traits.needs_category and "category" not in query and not by_id)
            or (bool(bounds) and (traits.last_updated == "refused" or kind in traits.no_updated_for))
        )

    def _in_order(self, rows: Iterable[Version], order: str | None) -> list[Version]:
        if self.traits.sorts and order in {"_lastUpdated", "-_lastUpdated"}:
            return sorted(rows, key=_by_time, reverse=order.startswith("-"))
        if self.traits.order == "newest":
            return sorted(rows, key=_by_time, reverse=True)
        if self.traits.order == "id":
            return sorted(rows, key=lambda version: version.id)
        return sorted(rows, key=lambda version: (len(version.id), version.id))

    def _candidates(
        self, kind: str, query: dict[str, str], patients: str | None, low: int, high: int
    ) -> Iterable[Version]:
        visible = self.visible[kind]
        if "_id" in query:
            rows: Iterable[Version] = (visible[key] for key in query["_id"].split(",") if key in visible)
        elif patients is not None:
            names = patients.replace("Patient/", "").split(",")
            if not self.traits.lists and len(names) > 1:
                return []
            rows = (visible[key] for name in names for key in self.of_patient.get((kind, name), ()))
        else:
            times = self.by_time[kind]
            return [row[2] for row in times[bisect_left(times, (low, -1)) : bisect_left(times, (high, -1))]]
        return [version for version in rows if low <= version.updated < high]

    def _snapshot(self, kind: str, found: list[Version], query: dict[str, str]) -> tuple[int, bytes]:
        token = str(len(self.tokens))
        self.tokens[token] = Snapshot(found, self.now, "_elements" in query)
        return self._page(kind, found, {**query, "_token": token}, place=kind)

    def _following(self, kind: str, query: dict[str, str]) -> tuple[int, bytes]:
        snapshot = self.tokens[query["_token"]]
        limit = self.traits.token_seconds
        if limit is not None and self.now - snapshot.begun > limit * SECOND:
            return 410, b"{}"
        if self.traits.expires_once and not self.expired:
            self.expired = True
            return 410, b"{}"
        short = {"_elements": "id"} if snapshot.short else {}
        return self._page(kind, snapshot.found, {**query, **short}, place=kind)

    def _page(
        self,
        kind: str,
        found: list[Version],
        query: dict[str, str],
        *,
        place: str,
        bundle: bytes = b"searchset",
    ) -> tuple[int, bytes]:
        count = min(int(query.get("_count", "20")), self.traits.page_cap)
        offset = int(query.get("_offset", "0"))
        rows = found[offset : offset + count]
        following = offset + count < len(found) or (self.traits.empty_end and bool(rows))
        links = b""
        if following:
            kept = {**query, "_offset": str(offset + count)}
            if "_token" in query:
                kept = {"_token": query["_token"], "_offset": str(offset + count), "_count": str(count)}
            values = "&".join(f"{name}={value}" for name, value in self._pairs(query, kept))
            links = b'{"relation":"next","url":"%s/%s?%s"}' % (BASE.encode(), place.encode(), values.encode())
        short = "_elements" in query and self.traits.subsetted
        entries = [version.name if short else version.entry for version in rows]
        if self.traits.outcomes and entries:
            entries.append(OUTCOME)
        total = b'"total":%d,' % len(found) if self.traits.counts and bundle == b"searchset" else b""
        return 200, b'{"resourceType":"Bundle","type":"%s",%s"link":[%s],"entry":[%s]}' % (
            bundle,
            total,
            links,
            b",".join(entries),
        )

    def _pairs(self, query: dict[str, str], kept: dict[str, str]) -> list[tuple[str, str]]:
        """Return the parameters of a next link; two bounds of one name are both kept."""
        pairs = [pair for pair in parse_qsl(urlsplit(self.requests[-1]).query) if pair[0] != "_offset"]
        if "_token" in kept:
            return list(kept.items())
        return [*pairs, ("_offset", kept["_offset"])]


def _by_time(version: Version) -> tuple[int, int]:
    return version.updated, version.serial


def _limits(bounds: list[str]) -> tuple[int, int]:
    """Return the span of time that some bounds leave."""
    low, high = 0, 1 << 62
    for bound in bounds:
        moment = instant(bound[2:]) or 0
        if bound.startswith("lt"):
            high = min(high, moment)
        else:
            low = max(low, moment + bound.startswith("gt"))
    return low, high
