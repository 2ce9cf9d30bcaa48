"""Replaying: what is in quarantine is mapped again after a definition was mended."""

from datetime import datetime
from pathlib import Path

from fhiradapter.api import run_id_at
from fhiradapter.settings import Study
from fhiradapter.store.store import Store
from fhiradapter.sync.mapping import StudyMapper


def replay_quarantine(study: Study, folder: Path, *, reason: str | None, now: datetime) -> tuple[int, int]:
    """Map what is in quarantine again, or what is there for one reason; return how many stay, and are freed.

    Raises LockedError while a run holds the store.
    """
    mapper = StudyMapper(study)
    with Store.open(folder, mapper=mapper, sources=mapper.sources) as store:
        before = store.quarantined(reason)
        store.begin_run(run_id_at(now), now=now, kind="replay")
        store.map_again([(one.source, one.type, one.id) for one in before])
        store.finish_run(now=now)
        left = {(one.source, one.type, one.id) for one in store.quarantined()}
    staying = sum((one.source, one.type, one.id) in left for one in before)
    return staying, len(before) - staying
