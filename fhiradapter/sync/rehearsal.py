"""A rehearsal: a sync into a copy of the store, so that what it would change can be told beforehand."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from fhiradapter.analysing import analyse
from fhiradapter.results import Results
from fhiradapter.settings import Study
from fhiradapter.store.lock import Lock
from fhiradapter.store.place import Place, is_store
from fhiradapter.store.snapshot import published_name, read_snapshot
from fhiradapter.sync.running import Circumstances, run_sync, store_folder


class SlopeChange(msgspec.Struct, frozen=True):
    """One period's mean slope as it is and as it would be, points per month."""

    period: str
    n: int | None
    slope: float | None
    n_then: int | None
    slope_then: float | None


class Rehearsal(msgspec.Struct, frozen=True):
    """What a sync would change."""

    new: int
    changed: int
    removed: int
    concept: str
    unit: str
    slopes: tuple[SlopeChange, ...]
    partial: tuple[str, ...]


def rehearse(study: Study, given: Circumstances, *, full: bool = False) -> Rehearsal:
    """Do all of a sync in a copy of the store, compare the slopes, and throw the copy away.

    Requests to the server are those of the real run. Raises LockedError while another run goes on.
    """
    folder = store_folder(study)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the store: patient data stay on the disk that was chosen for them, in a folder of mode 0700.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".rehearsal-") as place:
        copy = Path(place) / "store"
        _copy(folder, copy)
        before = _results(study, folder)
        made = run_sync(study, replace(given, disk=None), full=full, folder=copy)
        after = _results(study, copy)
    return Rehearsal(
        new=made.run.new,
        changed=made.run.changed,
        removed=made.run.removed,
        concept=study.progression.concept,
        unit=next((one.progression.unit for one in (after, before) if one), "points/month"),
        slopes=_slopes(before, after),
        partial=made.partial,
    )


def _copy(folder: Path, copy: Path) -> None:
    if not is_store(folder):
        return
    lock = Lock(Place(folder).lock)
    try:
        # Raw files are never changed after they were written, so a second name for each is enough.
        shutil.copytree(folder, copy, symlinks=True, copy_function=_second_name)
    finally:
        lock.release()


def _second_name(source: str, target: str) -> None:
    if f"{os.sep}raw{os.sep}" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _results(study: Study, folder: Path) -> Results | None:
    if not is_store(folder) or published_name(Place(folder)) is None:
        return None
    return analyse(read_snapshot(folder), study)


def _slopes(before: Results | None, after: Results | None) -> tuple[SlopeChange, ...]:
    now = before.progression.periods if before else {}
    then = after.progression.periods if after else {}
    return tuple(
        SlopeChange(
            period,
            now[period].n if period in now else None,
            now[period].mean_slope if period in now else None,
            then[period].n if period in then else None,
            then[period].mean_slope if period in then else None,
        )
        for period in dict.fromkeys([*now, *then])
    )
