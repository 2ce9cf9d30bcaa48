"""Export asking: beginning an export, asking how it goes, and reading its manifest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from fhiradapter.errors import RefusedAnswerError, ServerError, TransientServerError
from fhiradapter.fhir.bulk import Offers, is_transient, kick_off, remarks_of
from fhiradapter.fhir.fetching import Reply
from fhiradapter.fhir.instants import EPOCH, MICROSECOND, written
from fhiradapter.fhir.manifests import ManifestFile, manifest_of
from fhiradapter.fhir.origins import origin_of_base, resolve
from fhiradapter.fhir.pages import date_of
from fhiradapter.reasons import Reason
from fhiradapter.sync.bulk_log import BulkLog, Files
from fhiradapter.sync.export_downloads import Told
from fhiradapter.sync.export_files import ExportServer
from fhiradapter.sync.export_keeping import Keeper
from fhiradapter.sync.export_states import Export
from fhiradapter.sync.export_waits import poll_pause

JSON = {"Accept": "application/json", "Cache-Control": "no-cache"}
ACCEPTED, OK, FORBIDDEN = 202, 200, 403
BUSY = frozenset({429, 503})
PASSING = frozenset({408, 425, 500, 502, 504})
MISSING = frozenset({404, 410})
NOT_OFFERED = frozenset({404, 405, 410, 501})
MOST_MANIFESTS = 10_000
MOST_FILES = 1_000_000
BUSY_AT_FIRST = 4  # attempts that a refused kick-off counts as: the first pause is up to half a minute


class Listed(NamedTuple):
    """All pages of a manifest."""

    transaction_time: int
    """The earliest that a page says."""
    files: tuple[ManifestFile, ...]
    pages: int


@dataclass(frozen=True)
class Asking:
    """Asks one server about the export of a keeper."""

    server: ExportServer
    keeper: Keeper
    tries: int
    random: Callable[[], float]
    tell: Callable[[Told], object]
    offers: Offers | None = None
    log: BulkLog | None = None

    def kick(self) -> Export:
        """Ask the server to begin; a second time only after its word that it did not, or without any word."""
        keeper, export = self.keeper, self.keeper.export
        asked = kick_off(export.request, self.server.base_url, post=export.post)
        attempt = BUSY_AT_FIRST
        while True:
            keeper.wait()
            keeper.save(asked=True, ask_again=None)
            self.tell(Told("NEW"))
            try:
                reply = self.server.send(
                    asked.method, asked.url, headers=asked.headers, body=asked.body, repeat=False
                )
            except ServerError as error:
                self._log_kick_off(None, (str(error.reason),))
                raise
            self._log_kick_off(reply.status, tuple(remark.code for remark in remarks_of(reply.body)))
            if reply.status == ACCEPTED:
                moment = date_of(reply.headers)
                return keeper.save(
                    step="KICKED",
                    asked=False,
                    kicked=keeper.time(),
                    server_time=(moment - EPOCH) // MICROSECOND if moment is not None else None,
                    status_url=self._status_url(reply, asked.url),
                )
            if reply.status not in BUSY:
                raise _refusal(reply)
            attempt += 1
            keeper.save(asked=False)
            keeper.pause(poll_pause(attempt, reply.headers, random=self.random, now=keeper.now()))

    def wait_for_manifest(self) -> Export:
        """Ask until the manifest is there, and store what it says."""
        listed = self._listed(self._poll(self.keeper.export.status_url or ""))
        if self.log is not None:
            self.log.status_complete(self.keeper.export.id, transaction_time=listed.transaction_time)
        return self._save(listed, step="MANIFEST", ask_again=None)

    def list_again(self) -> bool:
        """Ask for the manifest of a finished export again; False when its files are other ones now."""
        listed = self._listed(self._poll(self.keeper.export.status_url or ""))
        export = self.keeper.export
        same = _shape(listed.files) == _shape(export.files)
        same = same and listed.transaction_time == export.transaction_time
        self._save(listed, generation=export.generation + (not same))
        return same

    def forget(self) -> Export:
        """Let the server forget the job; one that cannot be asked now is asked in the next run."""
        if self.keeper.export.status_url is not None:
            try:
                url = self.keeper.export.status_url
                status: int | None = self.server.send("DELETE", url, headers=JSON, repeat=False).status
            except TransientServerError:
                status = None
            except ServerError:
                status = OK  # it answered, if not as it should
            if status in {None, *BUSY, *PASSING} and not self.keeper.is_late():
                return self.keeper.export
        # Where the files lay is of no use any more, and may be a right to read them; whose they were neither.
        request = msgspec.structs.replace(self.keeper.export.request, patients=())
        return self.keeper.save(step="DELETED", files=(), status_url=None, members=(), request=request)

    def _save(self, listed: Listed, **changes: object) -> Export:
        return self.keeper.save(
            transaction_time=listed.transaction_time,
            watermark=written(self._seen_up_to(listed.transaction_time)),
            manifests=listed.pages,
            files=listed.files,
            **changes,
        )

    def _seen_up_to(self, transaction_time: int) -> int:
        """Return the time up to which everything is in the export.

        Some servers write the job's end as transactionTime, and what changed while it ran is in no export
        then: the time of the kick-off, by the server's own clock, is the latest that can be believed.
        """
        server_time = self.keeper.export.server_time
        if server_time is not None:
            return min(transaction_time, server_time)
        return transaction_time - self.keeper.elapsed()

    def _status_url(self, reply: Reply, asked: str) -> str:
        location = reply.headers.get("Content-Location")
        if not location:
            raise RefusedAnswerError(
                "$export: the server does not say where to ask",
                reason=Reason.BAD_MANIFEST,
                status=reply.status,
            )
        return resolve(location, at=asked, base=origin_of_base(self.server.base_url))

    def _poll(self, url: str) -> Reply:
        """Ask until the answer is there. A failure of the asking is not one of the export."""
        attempt = failed = 0
        while True:
            self.keeper.wait()
            attempt += 1
            try:
                reply = self.server.send("GET", url, headers=JSON, repeat=False)
            except TransientServerError:
                failed += 1
                if failed >= self.tries:
                    raise
                self._pause(failed)
                continue
            if reply.status == OK:
                return reply
            if reply.status == ACCEPTED:
                self._note_progress(reply)
            else:
                self._judge(reply, failed + 1)
            failed = failed + 1 if reply.status in PASSING else 0
            self._pause(attempt, reply)

    def _note_progress(self, reply: Reply) -> None:
        export, text = self.keeper.export, reply.headers.get("X-Progress")
        if self.log is not None:
            self.log.progress(export.id, text=text, retry_after=reply.headers.get("Retry-After"))
        self.tell(Told("RUNNING", text))
        if export.step == "KICKED":
            self.keeper.save(step="RUNNING")

    def _judge(self, reply: Reply, failed: int) -> None:
        """Raise what an answer means that is neither the manifest nor a wish for patience."""
        if reply.status in MISSING:
            raise RefusedAnswerError(
                "$export: the server does not know it any more",
                reason=Reason.EXPORT_GONE,
                status=reply.status,
            )
        if reply.status == FORBIDDEN:
            raise TransientServerError(
                "$export: its status is forbidden", reason=Reason.FORBIDDEN, status=reply.status
            )
        if reply.status in BUSY or is_transient(remarks_of(reply.body)):
            return
        if reply.status not in PASSING or failed >= self.tries:
            raise RefusedAnswerError(
                "$export: the server says that it failed", reason=Reason.EXPORT_FAILED, status=reply.status
            )
        if self.log is not None:
            reason = str(Reason.SERVER_FAILED)
            self.log.status_error(self.keeper.export.id, status=reply.status, reason=reason)

    def _pause(self, attempt: int, reply: Reply | None = None) -> None:
        headers = reply.headers if reply is not None else {}
        self.keeper.pause(poll_pause(attempt, headers, random=self.random, now=self.keeper.now()))

    def _listed(self, first: Reply) -> Listed:
        """Return what all pages of a manifest say."""
        export = self.keeper.export
        seen = {export.status_url or ""}
        files: list[ManifestFile] = []
        times: list[int] = []
        reply = first
        while True:
            page = manifest_of(reply)
            times.append(page.transaction_time)
            files += page.files
            if self.log is not None:
                self.log.page(export.id, Files.of(page.files), transaction_time=page.transaction_time)
            if page.next is None:
                break
            url = resolve(page.next, at=reply.url, base=origin_of_base(self.server.base_url))
            if url in seen or len(seen) > MOST_MANIFESTS or len(files) > MOST_FILES:
                raise RefusedAnswerError(
                    "$export: its manifest has no end", reason=Reason.PAGING_LOOP, status=reply.status
                )
            seen.add(url)
            reply = self._poll(url)
        if self.log is not None:
            self.log.manifest(export.id, Files.of(files), transaction_time=min(times), pages=len(times))
        return Listed(min(times), tuple(files), len(times))

    def _log_kick_off(self, status: int | None, codes: tuple[str, ...]) -> None:
        if self.log is not None:
            export = self.keeper.export
            self.log.kickoff(
                export.id,
                export.request,
                base_url=self.server.base_url,
                status=status,
                codes=codes,
                offers=self.offers,
            )


def _refusal(reply: Reply) -> ServerError:
    """Return what it means that an export was not begun."""
    message = "$export: the server does not begin it"
    if reply.status in PASSING:
        return TransientServerError(message, reason=Reason.SERVER_FAILED, status=reply.status)
    if reply.status == FORBIDDEN:
        return RefusedAnswerError(message, reason=Reason.FORBIDDEN, status=reply.status)
    reason = Reason.NOT_OFFERED if reply.status in NOT_OFFERED else Reason.QUERY_REFUSED
    return RefusedAnswerError(message, reason=reason, status=reply.status)


def _shape(files: tuple[ManifestFile, ...]) -> list[tuple[str, str | None, int | None]]:
    """Return what stays the same when only the places of files are new."""
    return [(file.part, file.type, file.count) for file in files]
