"""Rebuilding: the database of a store from its raw files alone."""

import os
from collections.abc import Sequence
from pathlib import Path

from fhiradapter.store.database import Database
from fhiradapter.store.disk import Disk
from fhiradapter.store.journal import read_journals
from fhiradapter.store.lock import Lock
from fhiradapter.store.mapping import Mapper
from fhiradapter.store.moments import moment
from fhiradapter.store.place import REBUILT, Place
from fhiradapter.store.raw import verify
from fhiradapter.store.store import PRIVATE, Store


def rebuild(folder: Path, *, mapper: Mapper, sources: Sequence[str], disk: Disk | None = None) -> str:
    """Make the database anew from the raw files, with today's definitions, publish it, and return its digest.

    The old database stays until the new one is complete. Raises LockedError when a run holds the store, and
    FhirAdapterError when raw files are missing or were changed.
    """
    place, disk = Place(folder, REBUILT), disk or Disk()
    mask = os.umask(PRIVATE)
    try:
        place.prepare(disk)
        lock = Lock(place.lock)
        try:
            journals = read_journals(place.raw)
            for journal, _ in journals:
                for record in journal.files:
                    verify(place.raw, record)
            _remove(place, disk)
            store = Store(
                place, lock, Database(place.database, disk, waiting=place.waiting), disk, mapper, sources
            )
            try:
                run_id = ""
                for journal, digest in journals:
                    if journal.run_id != run_id:
                        store.begin_run(journal.run_id, now=moment(journal.now), kind="rebuild")
                    run_id = journal.run_id
                    store.replay(journal, digest)
                if run_id:
                    store.finish_run(now=moment(journals[-1][0].now))
                found = store.dump_hash()
            finally:
                store.database.close()
            _remove(Place(folder), disk)
            disk.rename(place.database, Place(folder).database)
            disk.sync_folder(folder)
            return found
        finally:
            lock.release()
    finally:
        os.umask(mask)


def _remove(place: Place, disk: Disk) -> None:
    for path in (place.database, place.database.with_name(place.database.name + ".wal")):
        if path.exists():
            disk.remove(path)
