"""The listing of a study's exports, and an end to one of them."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from fhiradapter.errors import UsageError
from fhiradapter.settings import Study
from fhiradapter.store.lock import Lock
from fhiradapter.store.place import Place
from fhiradapter.sync.bulk_feed import FOLDER, exports_of
from fhiradapter.sync.circumstances import Circumstances
from fhiradapter.sync.export_journal import ExportJournals
from fhiradapter.sync.export_states import Export
from fhiradapter.sync.running import servers_of, store_folder


class ExportLine(msgspec.Struct, frozen=True):
    """One export; nothing of whom it is about."""

    id: str
    source: str
    began: str
    step: str
    level: str
    types: tuple[str, ...]
    since: str | None


def list_all(study: Study) -> list[ExportLine]:
    """Return the exports of all servers of a study, the oldest first."""
    names = {source.name for source in servers_of(study)}
    folder = store_folder(study) / FOLDER
    kept = ExportJournals(folder).load() if folder.is_dir() else []
    found = [_line(one.export) for one in kept if one.export.source in names]
    return sorted(found, key=lambda line: datetime.fromisoformat(line.began))


def cancel_one(study: Study, given: Circumstances, export: str) -> None:
    """Let the server forget an export. Raises UsageError when there is none of this id under way.

    Raises LockedError while a run holds the store.
    """
    folder: Path = store_folder(study)
    for source in servers_of(study):
        assert source.server is not None
        if not any(line.id == export and line.source == source.name for line in list_all(study)):
            continue
        lock = Lock(Place(folder).lock)
        try:
            with closing(given.open_fetcher(source)) as fetcher:
                exports_of(fetcher, folder, source.server, source=source.name, given=given).cancel(export)
        finally:
            lock.release()
        return
    raise UsageError(f"{export}: there is no such export; `fhiradapter bulk list` names them")


def _line(export: Export) -> ExportLine:
    request = export.request
    return ExportLine(
        export.id,
        export.source,
        export.began,
        export.step,
        request.level,
        tuple(request.types),
        request.since,
    )
