"""Exports: bulk exports from their order to their deletion, through any number of interruptions."""

import random as randomness
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fhiradapter.connection import Server
from fhiradapter.errors import RefusedAnswerError, ServerError, TransientServerError, UsageError
from fhiradapter.fhir.bulk import Offers
from fhiradapter.fhir.manifests import ManifestFile
from fhiradapter.fhir.units import Failure, Fetched
from fhiradapter.reasons import Reason
from fhiradapter.sync.bulk_log import BulkLog
from fhiradapter.sync.export_asking import Asking
from fhiradapter.sync.export_downloads import Downloads, Told
from fhiradapter.sync.export_files import PART, ExportServer, is_whole
from fhiradapter.sync.export_keeping import Keeper, Later
from fhiradapter.sync.export_states import Export, ExportLedger, Flaw, Kept, Landed, Order
from fhiradapter.sync.export_units import failures, name_of, units

LISTED_AGAIN = 3  # times that a manifest is asked for again because its files expired


class Advance(NamedTuple):
    """How far an export came in this run."""

    export: Export
    failure: Failure | None
    """Why its types cannot be handed on; null: they can."""
    over: bool
    """False: it is held, and gone on with in the next run."""


def _now() -> datetime:
    return datetime.now(UTC)


def _ignore(_told: Told) -> None:
    """Tell nobody."""


class Exports:
    """The exports of one source; at most one of them is under way.

    `folder` is where files land until they are committed, each export in a folder of its own. `tell` hears
    how far it is. Both `tell` and `sleep` may raise to end it all: the next run goes on from what was stored.
    """

    def __init__(
        self,
        server: ExportServer,
        ledger: ExportLedger,
        folder: Path,
        settings: Server,
        *,
        source: str,
        offers: Offers | None = None,
        log: BulkLog | None = None,
        tell: Callable[[Told], object] = _ignore,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], datetime] = _now,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self.server, self.ledger, self.folder, self.settings = server, ledger, folder, settings
        self.source, self.offers, self.log, self.tell = source, offers, log, tell
        self._sleep, self._now, self._random = sleep, now, random
        self._downloads = Downloads(server, settings, log, tell, sleep, random)
        self._landed: dict[int, Landed] = {}

    def held(self) -> Export | None:
        """Return the export that is under way; another one must not be begun beside it."""
        kept = self._held()
        return kept.export if kept is not None else None

    def all(self) -> list[Export]:
        """Return all exports of the source, the oldest first."""
        return [kept.export for kept in self.ledger.load() if kept.export.source == self.source]

    def begin(self, order: Order) -> Export:
        """Store a new export; nobody is asked yet. Raises UsageError when one is held."""
        if self._held() is not None:
            raise UsageError(f"{self.source}: an export is under way; it is gone on with first")
        export = Export(
            id=secrets.token_hex(10),
            source=self.source,
            request=order.request,
            began=self._now().astimezone(UTC).isoformat(),
            shard=order.shard,
            members=order.members,
            post=self.offers is not None and self.offers.post,
        )
        self.ledger.save(export)
        return export

    def advance(self, *, wait: float | None = None) -> Advance | None:
        """Go on with the held export until its files are here; null when none is held.

        `wait` is how many seconds this run waits for the server at most; null: until `export_days` are over.
        Raises AuthenticationError as it comes; the export is kept then.
        """
        kept = self._held()
        if kept is None:
            return None
        self._landed = kept.landed
        asking = self._asking(kept.export, wait)
        keeper = asking.keeper
        try:
            self._go_on(asking)
        except Later:
            return Advance(keeper.export, Failure(Reason.EXPORT_RUNNING), False)
        except TransientServerError as error:
            self._log_error(keeper.export, error)
            return Advance(keeper.export, Failure(Reason(error.reason), error.status), False)
        except ServerError as error:
            self._log_error(keeper.export, error)
            keeper.save(flaw=Flaw(str(error.reason), error.status))
        flaw = keeper.export.flaw
        failure = Failure(Reason(flaw.reason), flaw.status) if flaw is not None else None
        return Advance(keeper.export, failure, True)

    def fetched(self, advance: Advance) -> Iterator[Fetched]:
        """Yield what an export hands on: of each type bounded parts, then its watermark or its failure."""
        if advance.failure is not None:
            yield from failures(advance.export, advance.failure)
        else:
            yield from units(advance.export, self._landed, self.folder / advance.export.id)

    def committed(self, advance: Advance) -> Export:
        """Note that the store has all of it, and let the server forget the job."""
        if not advance.over:
            raise ValueError("the export is still under way")
        asking = self._asking(advance.export)
        asking.keeper.save(step="COMMITTED")
        return self._forgotten(asking)

    def cancel(self, id_: str | None = None) -> Export | None:
        """End an export, the one under way or that of an id, here and at the server; null: there is none."""
        for kept in reversed(self.ledger.load()):
            export = kept.export
            is_open = export.source == self.source and export.step != "DELETED"
            if is_open and id_ in {None, export.id}:
                asking = self._asking(export)
                asking.keeper.save(cancelled=True)
                return self._forgotten(asking)
        return None

    def _go_on(self, asking: Asking) -> None:
        keeper = asking.keeper
        if keeper.export.flaw is not None:
            return
        if keeper.export.step == "NEW":
            asking.kick()
        if keeper.export.step in {"KICKED", "RUNNING"}:
            asking.wait_for_manifest()
        self._download(asking)

    def _download(self, asking: Asking) -> None:
        """Bring every file that is wanted to the disk; what was here before is looked at again."""
        keeper = asking.keeper
        folder = self.folder / keeper.export.id
        self._look_again(folder)
        for listed_again in range(LISTED_AGAIN + 1):
            export = keeper.export
            todo = [
                number
                for number, file in enumerate(export.files)
                if number not in self._landed and _is_wanted(export, file)
            ]
            if not todo:
                break
            if export.step == "FILES":
                keeper.save(step="MANIFEST")
            keeper.in_time()

            def keep(one: Landed) -> None:
                self._landed[one.number] = one
                keeper.land(one)

            found = self._downloads.run(export, todo, self._landed, folder, keep)
            if found.trouble is not None:
                raise found.trouble
            if found.gone and (listed_again == LISTED_AGAIN or not self._list_again(asking, folder)):
                for number, status in found.gone.items():
                    flaw = Flaw(str(Reason.NO_FILE), status)
                    keep(Landed(number=number, generation=keeper.export.generation, flaw=flaw))
        if keeper.export.step != "FILES":
            self._log_end(keeper)
            keeper.save(step="FILES")

    def _list_again(self, asking: Asking, folder: Path) -> bool:
        """Ask where the files are now, as they expire before their export does; False when it is gone too."""
        try:
            if not asking.list_again():
                # Other files of another time: what is here belongs to an export that is no more.
                self._landed = {}
                shutil.rmtree(folder)
                folder.mkdir(mode=0o700)
        except RefusedAnswerError as error:
            if error.reason != Reason.EXPORT_GONE:
                raise
            return False
        return True

    def _look_again(self, folder: Path) -> None:
        """Remove what an interruption left half written, and forget files that are not as they were."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob(f"*{PART}"):
            path.unlink()
        self._landed = {
            number: one
            for number, one in self._landed.items()
            if one.flaw is not None or is_whole(folder / name_of(number), one)
        }

    def _held(self) -> Kept | None:
        for kept in self.ledger.load():
            if kept.export.source != self.source or kept.export.step == "DELETED":
                continue
            if kept.export.step == "COMMITTED" or kept.export.cancelled:
                self._forgotten(self._asking(kept.export))
                continue
            return kept
        return None

    def _forgotten(self, asking: Asking) -> Export:
        shutil.rmtree(self.folder / asking.keeper.export.id, ignore_errors=True)
        return asking.forget()

    def _asking(self, export: Export, wait: float | None = None) -> Asking:
        days = self.settings.export_days
        keeper = Keeper(export, self.ledger, days=days, sleep=self._sleep, now=self._now, wait=wait)
        return Asking(
            self.server, keeper, self.settings.tries, self._random, self.tell, self.offers, self.log
        )

    def _log_error(self, export: Export, error: ServerError) -> None:
        if self.log is not None:
            self.log.status_error(export.id, status=error.status, reason=str(error.reason))

    def _log_end(self, keeper: Keeper) -> None:
        good = [one for one in self._landed.values() if one.flaw is None]
        if self.log is not None:
            self.log.complete(
                keeper.export.id,
                files=len(good),
                resources=sum(one.lines for one in good),
                size=sum(one.bytes for one in good),
                milliseconds=keeper.elapsed() // 1_000,
            )


def _is_wanted(export: Export, file: ManifestFile) -> bool:
    return file.part != "output" or file.type is None or file.type in export.request.types
