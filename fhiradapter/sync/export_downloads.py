"""Export downloads: all files of a manifest brought to the disk, several at a time, each again by itself."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fhiradapter.connection import Server
from fhiradapter.errors import ServerError, TransientServerError
from fhiradapter.fhir.bodies import ASKED_AGAIN
from fhiradapter.fhir.manifests import OUTCOME, ManifestFile
from fhiradapter.fhir.retries import backoff
from fhiradapter.reasons import Reason
from fhiradapter.sync.bulk_log import BulkLog
from fhiradapter.sync.export_files import Ended, ExportServer, land
from fhiradapter.sync.export_states import Export, Flaw, Landed
from fhiradapter.sync.export_units import name_of

EXPIRED = frozenset({403, 404, 410})
WRONG_FILE_TRIES = 3  # a file that breaks a rule each time is the server's, not the way's
NOT_REPEATED = frozenset(
    {Reason.FOREIGN_ORIGIN, Reason.REDIRECT_LOOP, Reason.BAD_REDIRECT, Reason.UNTRUSTED_SERVER}
)


class Told(NamedTuple):
    """How far an export is; `text` is the server's own, for a person's eyes and no log."""

    step: str
    text: str | None = None
    done: int = 0
    total: int = 0
    bytes: int = 0


@dataclass
class Round:
    """What one attempt did not bring: files that the server does not give any more, and its last trouble."""

    gone: dict[int, int] = field(default_factory=dict)
    trouble: ServerError | None = None


@dataclass(frozen=True)
class Downloads:
    """Downloads files of exports."""

    server: ExportServer
    settings: Server
    log: BulkLog | None
    tell: Callable[[Told], object]
    sleep: Callable[[float], object]
    random: Callable[[], float]

    def run(
        self,
        export: Export,
        todo: Sequence[int],
        landed: Mapping[int, Landed],
        folder: Path,
        keep: Callable[[Landed], object],
    ) -> Round:
        """Bring files to the disk and `keep` each, in this thread; one that breaks rules is kept as its flaw.

        Raises whatever ends all of it, such as an AuthenticationError.
        """
        ended = threading.Event()
        found = Round()
        size = sum(one.bytes for one in landed.values())
        done, total = len(export.files) - len(todo), len(export.files)
        with ThreadPoolExecutor(self.settings.concurrency, "export") as pool:
            try:
                futures = {pool.submit(self._fetch, export, number, folder, ended): number for number in todo}
                for future in as_completed(futures):
                    result = self._settled(export, futures.pop(future), future, found)
                    if result is not None:
                        keep(result)
                        done, size = done + 1, size + result.bytes
                        self.tell(Told("FILES", None, done, total, size))
            except BaseException:
                ended.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return found

    def _settled(
        self, export: Export, number: int, future: "Future[Landed | int]", found: Round
    ) -> Landed | None:
        """Return what came of a file; null when it is to be asked for again."""
        url = export.files[number].url
        try:
            result = future.result()
        except TransientServerError as error:
            found.trouble = error
            self._log_error(export, url, Flaw(str(error.reason), error.status))
            return None
        except ServerError as error:
            result = _flawed(export, number, error)
        if isinstance(result, int):
            found.gone[number] = result
            self._log_error(export, url, Flaw(str(Reason.NO_FILE), result))
            return None
        if result.flaw is not None:
            self._log_error(export, url, result.flaw)
        elif self.log is not None:
            self.log.download_complete(export.id, url, lines=result.lines, size=result.bytes)
        return result

    def _fetch(self, export: Export, number: int, folder: Path, ended: threading.Event) -> Landed | int:
        """Return a file that is here, or the status of one that is gone; a failure costs this file alone."""
        file = export.files[number]
        attempt = 0
        while True:
            attempt += 1
            if ended.is_set():
                raise Ended
            if self.log is not None:
                self.log.download_request(export.id, file.url, part=file.part, kind=file.type)
            try:
                result = land(
                    self.server,
                    file,
                    folder / name_of(number),
                    number=number,
                    generation=export.generation,
                    kind=_kind(file),
                    ended=ended,
                )
            except ServerError as error:
                if attempt >= _tries(error, self.settings.tries):
                    if error.reason in ASKED_AGAIN:
                        return _flawed(export, number, error)
                    raise
                self.sleep(backoff(attempt, random=self.random))
                continue
            if isinstance(result, int) and result not in EXPIRED:
                reason = Reason.FORBIDDEN if result == 401 else Reason.NO_FILE
                return Landed(number=number, generation=export.generation, flaw=Flaw(str(reason), result))
            return result

    def _log_error(self, export: Export, url: str, flaw: Flaw) -> None:
        if self.log is not None:
            self.log.download_error(export.id, url, status=flaw.status, reason=flaw.reason)


def _tries(error: ServerError, tries: int) -> int:
    if isinstance(error, TransientServerError):
        return tries
    return 1 if error.reason in NOT_REPEATED else WRONG_FILE_TRIES


def _flawed(export: Export, number: int, error: ServerError) -> Landed:
    flaw = Flaw(str(error.reason), error.status)
    return Landed(number=number, generation=export.generation, flaw=flaw)


def _kind(file: ManifestFile) -> str | None:
    """Return the type that each line must have."""
    match file.part:
        case "deleted":
            return "Bundle"
        case "error":
            return OUTCOME
        case "output":
            return file.type
